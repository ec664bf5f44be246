"""What the first divergent tensor looks like: where in it the errors are, and which simple mistake would give it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..reference.ops import Array
from .measuring import difference
from .names import BAND, TOKENS, split
from .rounding import PRECISIONS
from .run import counted, layout_of
from .tracing import Trace

_LISTED = 6  # rows or offsets that are listed one by one
_AS_LARGE = (0.1, 3.0)  # errors over the expected ones of another dtype, where only a part is computed in it
_ALIKE = 1e-4  # of the variance, what may be left when a tensor is said to be a multiple of another


def hints(
    name: str, got: Array, allowed: float, ignore_padding: bool, expected: Trace, precision: str, units: float
) -> list[str]:
    """Sentences on a tensor that has the shape of `expected[name]` and errors above `allowed`.

    units: its error in units of the expected one of the precision, NaN if that is not known.
    """
    wanted = np.asarray(expected[name], np.float64)
    place = expected.place(name)
    mask = np.broadcast_to(counted(place, wanted.ndim, expected.run, ignore_padding), wanted.shape)
    mask = mask & np.isfinite(wanted)
    values = np.asarray(got, np.float64)
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(values - wanted) <= allowed) & mask
    where = [sentence for sentence in (_rows(off), *_places(place, off, expected)) if sentence]
    found: list[str] = []
    found += _multiple(values, wanted, mask)
    found += _mistaken(name, values, mask, expected)
    return where + (found or list(_as_if_in(precision, units)))


def _as_if_in(precision: str, units: float) -> Iterator[str]:
    """Whether the errors are as large as another dtype makes them."""
    for other in PRECISIONS.values():
        expected = other.unit / PRECISIONS[precision].unit
        if expected > 1 and _AS_LARGE[0] <= units / expected <= _AS_LARGE[1]:
            yield f"the errors are as large as those of {other.name}"


def _rows(off: Array) -> str:
    """Which rows of the batch, where it is not all of them."""
    rows = np.flatnonzero(off.reshape(len(off), -1).any(axis=1)) if off.ndim else np.empty(0)
    return f"only in row {_listed(rows)} of {len(off)} of the batch" if 0 < len(rows) < len(off) else ""


def _places(place: str, off: Array, expected: Trace) -> Iterator[str]:
    """Which kinds of tokens, heads and columns, where it is not all of them."""
    run = expected.run
    layout, visible = layout_of(place, run), run.visible
    if layout == BAND:
        heads = np.flatnonzero(off.any(axis=(0, 2, 3)))
        if 0 < len(heads) < off.shape[1]:
            yield f"only in head {_listed(heads)} of {off.shape[1]}"
        yield from _columns(place, off, expected)
        tokens: Array = np.asarray(off.any(axis=(1, 3)))
    elif layout == TOKENS:
        tokens = np.asarray(off.reshape(*visible.shape, -1).any(axis=2))
    else:
        return
    kinds = {"masked": ~visible, "global": run.is_global, "local": visible & ~run.is_global}
    parts = [f"{(tokens & kind).sum()} of {kind.sum()} {title}" for title, kind in kinds.items() if kind.any()]
    if tokens.any() and not tokens.all():
        yield f"at {', '.join(parts)} tokens"


def _columns(place: str, off: Array, expected: Trace) -> Iterator[str]:
    """Of a band: whether global keys are wrong, or neighbours, and how far away."""
    columns = int(expected.run.is_global.sum(axis=1).max())
    one_sided = expected.run.config.windows[split(place)[0] or 0] // 2
    wrong: Array = np.asarray(off.any(axis=(0, 1, 2)))
    offsets = np.flatnonzero(wrong[columns:]) - one_sided
    neighbours = len(wrong) - columns
    if columns and wrong[:columns].any() and not len(offsets):
        yield "only on the global keys"
    elif 0 < len(offsets) < neighbours:
        also = " and on global keys" if wrong[:columns].any() else ""
        yield f"only on neighbours at offset {_listed(offsets)}{also}"


def _multiple(values: Array, wanted: Array, mask: Array) -> Iterator[str]:
    mask = mask & np.isfinite(values)
    a, b = values[mask], wanted[mask]
    squares, products, norms = float(a @ a), float(a @ b), float(b @ b)
    if squares == 0 or norms == 0:
        return
    factor = products / norms
    left = 1 - products * products / (squares * norms)
    if left < _ALIKE and abs(factor - 1) > 0.01:
        yield f"all values are {factor:.4g} x what is expected"


def _mistaken(name: str, values: Array, mask: Array, expected: Trace) -> Iterator[str]:
    """Whether it is what another place of the same layer should be."""
    layer, _ = split(name)
    for other in expected.places:
        if layer is not None and split(other)[0] == layer and expected.place(name) != other:
            wanted = np.asarray(expected[other], np.float64)
            if wanted.shape == values.shape:
                found = difference(values, wanted, mask & np.isfinite(wanted))
                size = float(np.abs(wanted[mask & np.isfinite(wanted)]).max(initial=0.0))
                if found.largest <= 0.05 * size:
                    yield f"it is what {other} should be"


def _listed(numbers: Array) -> str:
    shown = ", ".join(str(number) for number in numbers[:_LISTED].tolist())
    return shown + (", ..." if len(numbers) > _LISTED else "")
