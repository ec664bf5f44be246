"""What becomes of a tile of sums while it is in the first-level cache: bias, activation, residual, and the layout.

An epilogue is a compiled function

    finish(room, weight, scales, row, skip, panel, count, layout, out)

room: the tile, [panels, rows, 16], which begins at `row` of the weight and at `panel` of the operand and has `count`
panels; the first `skip` rows were done before. layout: three integers, see each epilogue. out: a flat array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from ..layout.vectors import LANES, load, pair, reals, spread, store, store_across, store_halves
from ..rows.activations import activation

__all__ = ["epilogue"]

Finish = Callable[..., None]

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_HALF_WORD = np.dtype(np.uint16)


def _value_of(kind: str) -> Callable[..., Any]:
    """The sums of a row and panel as values of the linear map, with the bias."""

    @numba.njit(**_OPTIONS)
    def value(room: Any, at: int, weight: Any, row: int, scales: Any, token: int) -> Any:
        return load(room, at) + spread(weight.bias[row])

    @numba.njit(**_OPTIONS)
    def int8_value(room: Any, at: int, weight: Any, row: int, scales: Any, token: int) -> Any:
        total = reals(load(room, at) - spread(weight.offsets[row]))
        return total * (spread(weight.scales[row]) * load(scales, token)) + spread(weight.bias[row])

    return int8_value if kind == "int8" else value


def _to_lanes(kind: str, rows: int, function: Any) -> Finish:
    """out[first + panel, row - origin] = function(value).  layout: first panel of out, its channels, the origin."""
    value = _value_of(kind)

    @numba.njit(**_OPTIONS)
    def to_lanes(
        room: Any, weight: Any, scales: Any, row: int, skip: int, panel: int, count: int, layout: Any, out: Any
    ) -> None:
        for index in range(count):
            at = ((layout[0] + panel + index) * layout[1] + row - layout[2]) * LANES
            for i in range(skip, rows):
                x = value(room, (index * rows + i) * LANES, weight, row + i, scales, (panel + index) * LANES)
                store(function(x), out, at + i * LANES)

    return to_lanes


def _add_to_lanes(kind: str, rows: int, function: Any) -> Finish:
    """out[first + panel, row] += value: the residual stands in out.  layout: as `_to_lanes`."""
    value = _value_of(kind)

    @numba.njit(**_OPTIONS)
    def add_to_lanes(
        room: Any, weight: Any, scales: Any, row: int, skip: int, panel: int, count: int, layout: Any, out: Any
    ) -> None:
        for index in range(count):
            at = ((layout[0] + panel + index) * layout[1] + row) * LANES
            for i in range(skip, rows):
                x = value(room, (index * rows + i) * LANES, weight, row + i, scales, (panel + index) * LANES)
                store(load(out, at + i * LANES) + x, out, at + i * LANES)

    return add_to_lanes


def _to_words(kind: str, rows: int, function: Any) -> Finish:
    """As `_to_lanes`, rounded to bfloat16: rows 2i and 2i + 1 in words of row i.  layout: as there, in words."""
    value = _value_of(kind)

    @numba.njit(**_OPTIONS)
    def to_words(
        room: Any, weight: Any, scales: Any, row: int, skip: int, panel: int, count: int, layout: Any, out: Any
    ) -> None:
        for index in range(count):
            at = ((layout[0] + panel + index) * layout[1] + (row - layout[2]) // 2) * LANES
            for i in range(skip, rows, 2):
                low, token = (index * rows + i) * LANES, (panel + index) * LANES
                x = function(value(room, low, weight, row + i, scales, token))
                y = function(value(room, low + LANES, weight, row + i + 1, scales, token))
                store(pair(x, y), out, at + i // 2 * LANES)

    return to_words


def _to_rows(kind: str, rows: int, per_word: int) -> Finish:
    """out[head, token, channel] = value.  layout: first panel, tokens of out, channels of a head, a multiple of 8.

    per_word: 1, or 2 to round to bfloat16, two channels in a word.
    """
    value = _value_of(kind)

    @numba.njit(**_OPTIONS)
    def one(room: Any, at: int, weight: Any, row: int, scales: Any, token: int) -> Any:
        return value(room, at, weight, row, scales, token)

    @numba.njit(**_OPTIONS)
    def two(room: Any, at: int, weight: Any, row: int, scales: Any, token: int) -> Any:
        return pair(
            value(room, at, weight, row, scales, token), value(room, at + LANES, weight, row + 1, scales, token)
        )

    element, group = (one, two)[per_word - 1], 4 * per_word

    @numba.njit(**_OPTIONS)
    def to_rows(
        room: Any, weight: Any, scales: Any, row: int, skip: int, panel: int, count: int, layout: Any, out: Any
    ) -> None:
        step = layout[2] // per_word
        for index in range(count):
            token, lanes = (panel + index) * LANES, layout[0] * LANES
            for i in range(0, rows, group):
                head, channel = (row + i) // layout[2], (row + i) % layout[2]
                at, r, one_row = (index * rows + i) * LANES, row + i, per_word * LANES
                store_across(
                    element(room, at, weight, r, scales, token),
                    element(room, at + one_row, weight, r + per_word, scales, token),
                    element(room, at + 2 * one_row, weight, r + 2 * per_word, scales, token),
                    element(room, at + 3 * one_row, weight, r + 3 * per_word, scales, token),
                    out,
                    (head * layout[1] + lanes + token) * step + channel // per_word,
                    step,
                )

    return to_rows


def _to_columns(kind: str, rows: int, store_as: Any) -> Finish:
    """out[row, token] = value.  layout: first panel, the elements from one row of out to the next."""
    value = _value_of(kind)

    @numba.njit(**_OPTIONS)
    def to_columns(
        room: Any, weight: Any, scales: Any, row: int, skip: int, panel: int, count: int, layout: Any, out: Any
    ) -> None:
        for index in range(count):
            for i in range(skip, rows):
                x = value(room, (index * rows + i) * LANES, weight, row + i, scales, (panel + index) * LANES)
                store_as(x, out, (row + i) * layout[1] + (layout[0] + panel + index) * LANES)

    return to_columns


def epilogue(name: str, kind: str, rows: int, function: str) -> tuple[Finish, Any]:
    """An epilogue by its name, and the dtype of what it writes.

    name: "lanes"; "add"; "words"; "rows" and "columns", which write bfloat16 values where `kind` is of reduced
    precision. rows: of the tile. function: an activation, for "lanes" and "words".
    """
    real = np.dtype(np.float64 if kind == "float64" else np.float32)
    reduced = kind in ("bfloat16", "int8")
    if name in ("lanes", "add"):
        make = _to_lanes if name == "lanes" else _add_to_lanes
        return make(kind, rows, activation(function, real)), real
    if name == "words":
        return _to_words(kind, rows, activation(function, real)), np.dtype(np.int32)
    if name == "rows":
        return _to_rows(kind, rows, 1 + reduced), np.dtype(np.int32) if reduced else real
    dtype, store_as = (_HALF_WORD, store_halves) if reduced else (real, store)
    return _to_columns(kind, rows, store_as), dtype
