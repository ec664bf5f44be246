"""The ways in which implementations lay out the same intermediate, brought to the one that a trace has.

HF projects [seq, batch, hidden], pads to a multiple of the window and keeps attention maps as [batch, seq, heads, ...];
others split heads early or keep a dense map. Where shapes leave it open which way was meant, all are tried. Outputs of
the model are not laid out anew: there the shape is part of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...reference.forward import banded
from ...reference.ops import Array
from ..traces.recorder import nothing_in
from ..traces.tensor_names import BAND, COLUMNS, GLOBALS, OUTPUTS, TOKENS, split
from ..traces.trace import Trace
from ..traces.valid_elements import counted, layout_of

FOLDED = "dense map folded"


def readings(name: str, array: Array, expected: Trace) -> list[tuple[str, Array]]:
    """An intermediate in the shape that the trace has it in, and what was done; nothing where its shape fits no way."""
    place = expected.place(name)
    shape = expected[name].shape
    found = [("", array)] if array.shape == shape else []
    if name in OUTPUTS:
        return found
    layout = layout_of(place, expected.run)
    if layout == TOKENS:
        ways = _tokens(array, shape, expected, heads="attention.self" in place)
    elif layout == GLOBALS:
        ways = _globals(array, shape, expected)
    elif layout in (BAND, COLUMNS):
        ways = _maps(place, array, shape, expected)
    else:
        ways = iter(())
    return found + [(how, other) for how, other in ways if other.shape == shape]


def _tokens(array: Array, shape: tuple[int, ...], expected: Trace, heads: bool) -> Iterator[tuple[str, Array]]:
    batch, length = shape[:2]
    if array.ndim == 3 and array.shape[0] == batch and array.shape[1] > length:
        yield "padding cut off", array[:, :length]
    if array.ndim == 2 and batch == 1:
        yield "a batch of one added", array[None, :length]
    if array.ndim == 2 and array.shape[0] == batch * length:
        yield "rows taken apart", array.reshape(batch, length, -1)
    if not heads:
        return
    if array.ndim == 3 and array.shape[1] == batch and array.shape[0] >= length:
        yield "(seq, batch, hidden) turned", array.swapaxes(0, 1)[:, :length]
    number = expected.run.config.num_attention_heads
    if array.ndim == 4 and array.shape[0] == batch and array.shape[1] == number and array.shape[2] >= length:
        yield "heads put side by side", array.swapaxes(1, 2)[:, :length].reshape(batch, length, -1)
    if array.ndim == 4 and array.shape[0] == batch and array.shape[2] == number and array.shape[1] >= length:
        yield "heads put side by side", array[:, :length].reshape(batch, length, -1)


def _globals(array: Array, shape: tuple[int, ...], expected: Trace) -> Iterator[tuple[str, Array]]:
    batch, columns, _ = shape
    if array.ndim == 3 and array.shape[:2] == (columns, batch):
        yield "(slot, batch, hidden) turned", array.swapaxes(0, 1)
    length = expected.run.visible.shape[1]
    for how, tokens in (("", array), *_tokens(array, (batch, length), expected, heads=True)):
        if tokens.ndim == 3 and tokens.shape[:2] == (batch, length):
            packed = np.zeros(shape, tokens.dtype)
            for row, marks in enumerate(expected.run.is_global):
                packed[row, : marks.sum()] = tokens[row, marks]
            yield "; ".join(filter(None, (how, "global tokens taken out"))), packed


def _maps(name: str, array: Array, shape: tuple[int, ...], expected: Trace) -> Iterator[tuple[str, Array]]:
    batch, heads, length, columns = shape
    layout = layout_of(name, expected.run)
    if array.ndim != 4 or array.shape[0] != batch:
        return
    if array.shape[1] >= length and array.shape[2:] == (heads, columns) and layout == BAND:
        yield "(batch, seq, heads, columns) turned", array.swapaxes(1, 2)[:, :, :length]
    if array.shape[1] != heads:
        return
    if array.shape[2] > length and array.shape[3] == columns:
        yield "padding cut off", array[:, :, :length]
    if array.shape[2] == columns and array.shape[3] >= length and layout == COLUMNS:
        yield "(slot, seq) turned", array.swapaxes(2, 3)[:, :, :length]
    if array.shape[2] == array.shape[3] and array.shape[2] >= length:
        yield FOLDED, _folded(name, array[:, :, :length, :length], expected)


def _folded(name: str, dense: Array, expected: Trace) -> Array:
    layer, _ = split(name)
    is_global = expected.run.is_global
    columns, one_sided = int(is_global.sum(axis=1).max()), expected.run.config.windows[layer or 0] // 2
    nothing = nothing_in(name)
    which = 1 if layout_of(name, expected.run) == COLUMNS else 0
    return np.stack(
        [banded(row, marks, columns, one_sided, nothing)[which] for row, marks in zip(dense, is_global, strict=True)]
    )


def seen_beyond(
    name: str, dense: Array, expected: Trace, ignore_padding: bool, least: float
) -> tuple[Array, tuple[int, ...]]:
    """What local queries see outside of their window: folding leaves no column for it.

    dense: scores or probabilities [B, H, S, S] at least, as they were before. least: what is more is seen.

    Returns how far away the keys are, int64 in order, and where in the map the largest such number is, () for none.
    """
    run, place = expected.run, expected.place(name)
    length = run.visible.shape[1]
    asks = np.broadcast_to(counted(place, 4, run, ignore_padding)[:, 0, :, 0], run.visible.shape)
    position = np.arange(length)
    offset = position[None, :] - position[:, None]  # [query, key]
    far = np.abs(offset) > run.config.windows[split(name)[0] or 0] // 2
    seen, largest, where = np.zeros((length, length), bool), least, tuple[int, ...]()
    for row, heads in enumerate(dense):
        which = far & asks[row][:, None] & ~run.is_global[row]
        for head, values in enumerate(heads):
            values = values[:length, :length]
            found = np.where(which & (values > least), values, -np.inf)
            seen |= found > least
            if found.max() > largest:
                largest = found.max()
                query, key = divmod(int(found.argmax()), length)
                where = row, head, query, key
    return np.unique(offset[seen]), where
