"""The layouts that implementations use for an intermediate, converted to the layout of a trace.

HF projects [seq, batch, hidden], pads to a multiple of the window and stores attention maps as
[batch, seq, heads, ...]; others split heads early or store a dense map. Where a shape is ambiguous, all layouts are
tried. Outputs of the model are not converted: their shape is part of the result.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...reference.forward import banded
from ...reference.ops import Array
from ..traces.recorder import masked_value
from ..traces.tensor_names import BAND, COLUMNS, GLOBALS, OUTPUTS, TOKENS, split_layer
from ..traces.trace import Trace
from ..traces.valid_elements import layout_of, valid_elements

DENSE_TO_BAND = "dense map to band"


def in_trace_layout(name: str, array: Array, expected: Trace) -> list[tuple[str, Array]]:
    """An intermediate in the shape of the trace, and how it was converted, for each layout that its shape allows."""
    canonical = expected.canonical_name(name)
    shape = expected[name].shape
    found = [("", array)] if array.shape == shape else []
    if name in OUTPUTS:
        return found
    layout = layout_of(canonical, expected.run)
    if layout == TOKENS:
        converted = _tokens(array, shape, expected, heads="attention.self" in canonical)
    elif layout == GLOBALS:
        converted = _globals(array, shape, expected)
    elif layout in (BAND, COLUMNS):
        converted = _maps(canonical, array, shape, expected)
    else:
        converted = iter(())
    return found + [(how, other) for how, other in converted if other.shape == shape]


def _tokens(array: Array, shape: tuple[int, ...], expected: Trace, heads: bool) -> Iterator[tuple[str, Array]]:
    batch, length = shape[:2]
    if array.ndim == 3 and array.shape[0] == batch and array.shape[1] > length:
        yield "padding removed", array[:, :length]
    if array.ndim == 2 and batch == 1:
        yield "batch axis added", array[None, :length]
    if array.ndim == 2 and array.shape[0] % batch == 0 and array.shape[0] >= batch * length:
        yield "(batch * seq, hidden) unflattened", array.reshape(batch, -1, array.shape[1])[:, :length]
    if not heads:
        return
    if array.ndim == 3 and array.shape[1] == batch and array.shape[0] >= length:
        yield "(seq, batch, hidden) transposed", array.swapaxes(0, 1)[:, :length]
    for how, merged in _heads_merged(array, batch, length, expected):
        yield how, merged[:, :length]


def _heads_merged(array: Array, batch: int, least: int, expected: Trace) -> Iterator[tuple[str, Array]]:
    """[batch, n, hidden] of an array with an axis for the heads, n being `least` or more."""
    number, size = expected.run.config.num_attention_heads, expected.run.config.hidden_size
    if array.ndim == 3 and array.shape[0] == batch * number and array.shape[2] * number == size:
        how, array = "(batch * heads, seq, head size) unfolded, ", array.reshape(batch, number, *array.shape[1:])
    else:
        how = ""
    if array.ndim != 4 or array.shape[0] != batch:
        return
    for title, axes in (
        ("heads merged", (0, 2, 1, 3)),
        ("heads merged", (0, 1, 2, 3)),
        ("(batch, heads, head size, seq) transposed, heads merged", (0, 3, 1, 2)),
    ):
        turned = array.transpose(axes)
        if turned.shape[2] == number and turned.shape[3] * number == size and turned.shape[1] >= least:
            yield how + title, turned.reshape(batch, turned.shape[1], size)


def _globals(array: Array, shape: tuple[int, ...], expected: Trace) -> Iterator[tuple[str, Array]]:
    batch, columns, _ = shape
    if array.ndim == 3 and array.shape[:2] == (columns, batch):
        yield "(slot, batch, hidden) transposed", array.swapaxes(0, 1)
    for how, merged in _heads_merged(array, batch, columns, expected):
        yield how, merged[:, :columns]
    length = expected.run.visible.shape[1]
    for how, tokens in (("", array), *_tokens(array, (batch, length), expected, heads=True)):
        if tokens.ndim == 3 and tokens.shape[:2] == (batch, length):
            packed = np.zeros(shape, tokens.dtype)
            for row, marks in enumerate(expected.run.is_global):
                packed[row, : marks.sum()] = tokens[row, marks]
            yield "; ".join(filter(None, (how, "global tokens selected"))), packed


def _maps(name: str, array: Array, shape: tuple[int, ...], expected: Trace) -> Iterator[tuple[str, Array]]:
    batch, heads, length, columns = shape
    layout = layout_of(name, expected.run)
    if array.ndim == 3 and array.shape[0] == batch * heads:
        unfolded = array.reshape(batch, heads, *array.shape[1:])
        for how, other in (("", unfolded), *_maps(name, unfolded, shape, expected)):
            yield "; ".join(filter(None, ("(batch * heads, ...) unfolded", how))), other
    if array.ndim != 4 or array.shape[0] != batch:
        return
    if array.shape[1] >= length and array.shape[2:] == (heads, columns) and layout == BAND:
        yield "(batch, seq, heads, columns) transposed", array.swapaxes(1, 2)[:, :, :length]
    if array.shape[1] != heads:
        return
    if array.shape[2] > length and array.shape[3] == columns:
        yield "padding removed", array[:, :, :length]
    if array.shape[2] == columns and array.shape[3] >= length and layout == COLUMNS:
        yield "(slot, seq) transposed", array.swapaxes(2, 3)[:, :, :length]
    if array.shape[2] == array.shape[3] and array.shape[2] >= length:
        yield DENSE_TO_BAND, _dense_to_band(name, array[:, :, :length, :length], expected)


def _dense_to_band(name: str, dense: Array, expected: Trace) -> Array:
    layer, config, is_global = split_layer(name)[0] or 0, expected.run.config, expected.run.is_global
    layout = int(is_global.sum(axis=1).max()), config.windows[layer] // 2, masked_value(name), config.dilations[layer]
    which = 1 if layout_of(name, expected.run) == COLUMNS else 0
    return np.stack([banded(row, marks, *layout)[which] for row, marks in zip(dense, is_global, strict=True)])


def attention_outside_window(
    name: str, dense: Array, expected: Trace, ignore_padding: bool, least: float
) -> tuple[Array, tuple[int, ...]]:
    """The attention of local queries to keys outside of their window, which a band has no column for.

    dense: scores or probabilities [B, H, S, S], possibly padded. least: values above it count as attention.

    Returns the offsets of the keys, int64 in order, and the index of the largest such value in the map, () if none.
    """
    run, canonical = expected.run, expected.canonical_name(name)
    length, layer = run.visible.shape[1], split_layer(name)[0] or 0
    asks = np.broadcast_to(valid_elements(canonical, 4, run, ignore_padding)[:, 0, :, 0], run.visible.shape)
    position = np.arange(length)
    offset = position[None, :] - position[:, None]  # [query, key]
    one_sided, dilations = run.config.windows[layer] // 2, run.config.dilations[layer]
    outside = {of: (np.abs(offset) > one_sided * of) | (offset % of > 0) for of in set(dilations)}
    seen, largest, where = np.zeros((length, length), bool), least, tuple[int, ...]()
    for row, heads in enumerate(dense):
        which = asks[row][:, None] & ~run.is_global[row]
        for head, values in enumerate(heads):
            values = values[:length, :length]
            found = np.where(outside[dilations[head]] & which & (values > least), values, -np.inf)
            seen |= found > least
            if found.max() > largest:
                largest = found.max()
                query, key = divmod(int(found.argmax()), length)
                where = row, head, query, key
    return np.unique(offset[seen]), where
