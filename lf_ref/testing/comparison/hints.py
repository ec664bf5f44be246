"""Hints on the first divergent tensor: where its errors are, and which simple mistake would cause them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...reference.ops import ACTIVATIONS, Array
from ..traces.tensor_names import BAND, COLUMNS, TOKENS, split_layer
from ..traces.trace import Trace
from ..traces.valid_elements import layout_of, valid_elements
from .attention_hints import attention_hints, format_ranges
from .metrics import MASKED_SCORE, difference
from .precisions import PRECISIONS

_AS_LARGE = (0.1, 3.0)  # ratio to the expected error of another dtype, if only a part is computed in it
_FORMULAS = ("gelu_new", "relu", "silu", "tanh")  # beside gelu, the activations that differ by more than rounding
_SMALL = 0.25  # of the largest magnitude, the largest error that can be one of rounding
_ALIKE = 1e-4  # of the variance, the largest residual of a tensor that is a multiple of another


def hints(
    name: str, got: Array, allowed: float, ignore_padding: bool, expected: Trace, precision: str, error_ratio: float
) -> list[str]:
    """Hints on a tensor with the shape of `expected[name]` and errors above `allowed`.

    error_ratio: its error divided by the expected error of the precision, NaN if unknown.
    """
    wanted = np.asarray(expected[name], np.float64)
    canonical = expected.canonical_name(name)
    counts = np.broadcast_to(valid_elements(canonical, wanted.ndim, expected.run, ignore_padding), wanted.shape)
    mask = counts & np.isfinite(wanted)
    values = np.asarray(got, np.float64)
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(values - wanted) <= allowed) & mask
        off |= counts & (wanted == -np.inf) & (values > MASKED_SCORE)
    layout = layout_of(canonical, expected.run)
    tokens = _wrong_tokens(layout, off, expected)
    whole = canonical not in expected.sampled
    where = [sentence for sentence in (_rows(off), _kinds(tokens, expected), _from_token(tokens)) if sentence and whole]
    found: list[str] = []
    if layout in (BAND, COLUMNS) and whole:
        found += attention_hints(canonical, values, np.asarray(expected[name]), counts, off, allowed, expected)
    found += _multiple(values, wanted, mask)
    found += _other_tensors(name, values, mask, expected)
    found += _activations(canonical, values, allowed, expected)
    found += _zeros(layout, values, wanted, expected)
    small = np.abs(values[mask] - wanted[mask]).max(initial=0.0) <= _SMALL * np.abs(wanted[mask]).max(initial=0.0)
    return where + (found or list(_as_if_in(precision, error_ratio) if small else ()))


def _as_if_in(precision: str, error_ratio: float) -> Iterator[str]:
    """A hint if the errors are as large as those of another dtype."""
    for other in PRECISIONS.values():
        expected = other.unit_roundoff / PRECISIONS[precision].unit_roundoff
        if expected > 1 and _AS_LARGE[0] <= error_ratio / expected <= _AS_LARGE[1]:
            yield f"the errors are as large as rounding errors of {other.name}"


def _rows(off: Array) -> str:
    """The rows of the batch that have errors, unless all have."""
    rows = np.flatnonzero(off.reshape(len(off), -1).any(axis=1)) if off.ndim else np.empty(0)
    return f"only in row {format_ranges(rows)} of the batch of {len(off)}" if 0 < len(rows) < len(off) else ""


def _wrong_tokens(layout: str | None, off: Array, expected: Trace) -> Array:
    """The tokens that have errors; of no tokens, for tensors of another layout.  # -> bool [B, S]"""
    if layout == TOKENS:
        return np.asarray(off.reshape(*expected.run.visible.shape, -1).any(axis=2))
    return np.asarray(off.any(axis=(1, 3))) if layout == BAND else np.zeros((1, 0), bool)


def _kinds(tokens: Array, expected: Trace) -> str:
    """The kinds of tokens that have errors, unless all have."""
    visible, is_global = expected.run.visible, expected.run.is_global
    if not tokens.any() or tokens.all():
        return ""
    kinds = {"masked": ~visible, "global": is_global, "local": visible & ~is_global}
    parts = [f"{(tokens & kind).sum()} of {kind.sum()} {title}" for title, kind in kinds.items() if kind.any()]
    return f"at {', '.join(parts)} tokens"


def _from_token(tokens: Array) -> str:
    """The token from which on there are errors, in some row at each position, if there are none before."""
    wrong: Array = np.asarray(tokens.any(axis=0))
    first = int(wrong.argmax()) if wrong.any() else 0
    return f"right up to token {first - 1}, wrong from {first} on" if first and wrong[first:].all() else ""


def _zeros(layout: str | None, values: Array, wanted: Array, expected: Trace) -> Iterator[str]:
    """A hint if whole tokens are 0."""
    if layout == TOKENS:
        shape = (*expected.run.visible.shape, -1)
        zero = ~values.reshape(shape).any(axis=2) & wanted.reshape(shape).any(axis=2)
        if zero.any():
            yield f"it is 0 at {zero.sum()} of {zero.size} tokens"


def _multiple(values: Array, wanted: Array, mask: Array) -> Iterator[str]:
    mask = mask & np.isfinite(values)
    a, b = values[mask], wanted[mask]
    squares, products, norms = float(a @ a), float(a @ b), float(b @ b)
    if squares == 0 or norms == 0:
        return
    factor = products / norms
    left = 1 - products * products / (squares * norms)
    if left < _ALIKE and abs(factor - 1) > 0.01:
        yield f"all values are {factor:.4g} x the expected ones"


def _other_tensors(name: str, values: Array, mask: Array, expected: Trace) -> Iterator[str]:
    """A hint if the values are those of another tensor of the same layer, or of the same head."""
    part = _part(name)
    for other in expected.canonical_names:
        if part and _part(other) == part and expected.canonical_name(name) != other:
            wanted = np.asarray(expected[other], np.float64)
            if wanted.shape == values.shape:
                found = difference(values, wanted, mask & np.isfinite(wanted))
                size = float(np.abs(wanted[mask & np.isfinite(wanted)]).max(initial=0.0))
                if found.largest <= 0.05 * size:
                    yield f"it equals the expected {other}"


def _part(name: str) -> str:
    """The layer of a tensor, or its head; "" for outputs."""
    layer, within = split_layer(name)
    return within.rpartition(".")[0] if layer is None else str(layer)


def _activations(canonical: str, values: Array, allowed: float, expected: Trace) -> Iterator[str]:
    """A hint if the values are another activation of the input than that of the config."""
    layer, within = split_layer(canonical)
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
                yield f"it is {name} of its input, expected is {asked}"
