"""What a micro-kernel is: the innermost loop of every matrix product, on one tile of the result.

    out[p, r, lane] (+)= sum over k of left[r, k] right[p, k, lane]      for ROWS rows r and some panels p

`left` is a matrix whose rows lie side by side, as weights are stored; `right` is panels of 16 tokens. An element of
either is a float32 or float64, or a 32-bit word with 2 bfloat16 or 4 int8 values that are neighbours along k.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..jit import types
from ..layout.instructions import LANES, Value, intrinsic

__all__ = ["MicroKernel", "Tile", "compiled_tile", "plain_tile", "values_per_word"]

Array = NDArray[Any]

# tile(left, left_at, left_row, ahead, ahead_rows, right, right_at, right_panel, panels, depth, accumulate, out, out_at,
# out_panel): `*_at` is where an operand begins, left_row the elements from one row to the next, *_panel from one panel
# to the next. ahead, ahead_rows: where rows begin that are wanted next, and how many to fetch meanwhile. depth:
# elements along k. accumulate: add to what is in out, whose rows lie 16 elements apart.
Tile = Callable[..., None]


class MicroKernel(NamedTuple):
    """A micro-kernel and its sizes.

    name: of its kind of values and its instructions. tile: see `Tile`; it does `rows` rows and up to `panels` panels.
    begin, end: called on each thread before the first tile and after the last. step: `depth` is a multiple of it.
    chunk: the most of it that is done at a time, so that the rows stay in the first-level cache.
    """

    name: str
    kind: str
    tile: Tile
    rows: int
    panels: int
    begin: Callable[[], None]
    end: Callable[[], None]
    step: int
    chunk: int


def values_per_word(kind: str) -> int:
    """How many values lie in one element of an operand."""
    return {"bfloat16": 2, "int8": 4}.get(kind, 1)


def compiled_tile(emit: Callable[[Any, Any, Any, Any], None]) -> Any:
    """A micro-kernel whose code `emit(context, builder, signature, args)` writes."""

    @intrinsic
    def tile(
        typing_context: Any,
        left: Any,
        left_at: Any,
        left_row: Any,
        ahead: Any,
        ahead_rows: Any,
        right: Any,
        right_at: Any,
        right_panel: Any,
        panels: Any,
        depth: Any,
        accumulate: Any,
        out: Any,
        out_at: Any,
        out_panel: Any,
    ) -> Any:
        index = types.int64
        signature = types.void(
            left, index, index, index, index, right, index, index, index, index, types.boolean, out, index, index
        )

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
            emit(context, builder, signature, args)
            return context.get_dummy_value()

        return signature, codegen

    return tile


def plain_tile(kind: str, rows: int) -> Tile:
    """A micro-kernel in NumPy, for runs without the JIT."""

    def unpack(words: Array, unsigned: bool) -> Array:  # [n, depth] -> [n, depth * values per word]
        if kind == "bfloat16":
            return (np.ascontiguousarray(words).view(np.uint16).astype(np.uint32) << 16).view(np.float32)
        if kind == "int8":
            return np.ascontiguousarray(words).view(np.uint8 if unsigned else np.int8).astype(np.int64)
        return words

    def tile(
        left: Array,
        left_at: int,
        left_row: int,
        ahead: int,
        ahead_rows: int,
        right: Array,
        right_at: int,
        right_panel: int,
        panels: int,
        depth: int,
        accumulate: bool,
        out: Array,
        out_at: int,
        out_panel: int,
    ) -> None:
        lefts = unpack(np.stack([left[left_at + row * left_row :][:depth] for row in range(rows)]), unsigned=False)
        for panel in range(panels):
            rights = right[right_at + panel * right_panel :][: depth * LANES].reshape(depth, LANES)
            target = out[out_at + panel * out_panel :][: rows * LANES].reshape(rows, LANES)
            product = lefts @ unpack(rights.T, unsigned=True).T
            target[:] = target + product if accumulate else product

    return tile
