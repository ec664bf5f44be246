"""What the first divergent tensor looks like: where in it the errors are, and which simple mistake would give it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...reference.ops import ACTIVATIONS, Array
from ..traces.tensor_names import BAND, COLUMNS, TOKENS, split
from ..traces.trace import Trace
from ..traces.valid_elements import counted, layout_of
from .attention_hints import listed, map_hints
from .metrics import UNSEEN, difference
from .precisions import PRECISIONS

_AS_LARGE = (0.1, 3.0)  # errors over the expected ones of another dtype, where only a part is computed in it
_FORMULAS = ("gelu_new", "relu", "silu", "tanh")  # beside gelu, the activations that differ in more than digits
_ALIKE = 1e-4  # of the variance, what may be left when a tensor is said to be a multiple of another


def hints(
    name: str, got: Array, allowed: float, ignore_padding: bool, expected: Trace, precision: str, units: float
) -> list[str]:
    """Sentences on a tensor that has the shape of `expected[name]` and errors above `allowed`.

    units: its error in units of the expected one of the precision, NaN if that is not known.
    """
    wanted = np.asarray(expected[name], np.float64)
    place = expected.place(name)
    counts = np.broadcast_to(counted(place, wanted.ndim, expected.run, ignore_padding), wanted.shape)
    mask = counts & np.isfinite(wanted)
    values = np.asarray(got, np.float64)
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(values - wanted) <= allowed) & mask
        off |= counts & (wanted == -np.inf) & (values > UNSEEN)
    layout = layout_of(place, expected.run)
    where = [sentence for sentence in (_rows(off), _places(layout, off, expected)) if sentence]
    found: list[str] = []
    if layout in (BAND, COLUMNS):
        found += map_hints(place, values, np.asarray(expected[name]), counts, off, allowed, expected)
    found += _multiple(values, wanted, mask)
    found += _mistaken(name, values, mask, expected)
    found += _activations(place, values, allowed, expected)
    return where + (found or list(_as_if_in(precision, units)))


def _as_if_in(precision: str, units: float) -> Iterator[str]:
    """Whether the errors are as large as another dtype makes them."""
    for other in PRECISIONS.values():
        expected = other.unit / PRECISIONS[precision].unit
        if expected > 1 and _AS_LARGE[0] <= units / expected <= _AS_LARGE[1]:
            yield f"the errors are as large as rounding to {other.name} makes them"


def _rows(off: Array) -> str:
    """Which rows of the batch, where it is not all of them."""
    rows = np.flatnonzero(off.reshape(len(off), -1).any(axis=1)) if off.ndim else np.empty(0)
    return f"only in row {listed(rows)} of the batch of {len(off)}" if 0 < len(rows) < len(off) else ""


def _places(layout: str | None, off: Array, expected: Trace) -> str:
    """Which kinds of tokens, where it is not all of them."""
    run = expected.run
    visible = run.visible
    if layout == TOKENS:
        tokens: Array = np.asarray(off.reshape(*visible.shape, -1).any(axis=2))
    elif layout == BAND:
        tokens = np.asarray(off.any(axis=(1, 3)))
    else:
        return ""
    if not tokens.any() or tokens.all():
        return ""
    kinds = {"masked": ~visible, "global": run.is_global, "local": visible & ~run.is_global}
    parts = [f"{(tokens & kind).sum()} of {kind.sum()} {title}" for title, kind in kinds.items() if kind.any()]
    return f"at {', '.join(parts)} tokens"


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


def _activations(place: str, values: Array, allowed: float, expected: Trace) -> Iterator[str]:
    """Whether it is another activation of its input than the one that is asked for."""
    layer, within = split(place)
    if within == "intermediate.intermediate_act_fn":
        source, asked = f"encoder.layer.{layer}.intermediate.dense", expected.run.config.hidden_act
    elif within == "lm_head.activation":
        source, asked = "lm_head.dense", "gelu"
    else:
        return
    if source in expected:
        x = np.asarray(expected[source], np.float64)
        candidates = {"no activation at all": x, **{name: ACTIVATIONS[name](x) for name in ("gelu", *_FORMULAS)}}
        for name, wanted in candidates.items():
            if name != asked and np.abs(values - wanted).max() <= allowed:
                yield f"it is {name} of its input, where {asked} is asked for"
