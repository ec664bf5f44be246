"""Products of short numbers on AMX, the matrix unit of x86 processors.

The unit holds eight tiles of 16 rows of 16 words, 32 bits with 2 bfloat16 or 4 int8 numbers each. One instruction adds
to a tile of sums the products of 16 rows of x and 16 columns of a panel, over 16 words of their depth. Two by two
tiles of sums are done together, so that each tile that is loaded serves two products.

Matrices are filled up with zeros: x to whole steps of ROWS rows, and its rows and the panels to whole tiles of words.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from . import dot_tiles
from .dot_tiles import OPTIONS, copy, pack
from .products import Blocks
from .tile import SCORE_ROW, value_signature
from .vectors import Emitter, Value, cgutils, intrinsic

__all__ = [
    "BLOCKS",
    "ROWS",
    "SIDE",
    "WIDE",
    "bfloat16_averages",
    "bfloat16_matrices",
    "configure",
    "filled",
    "fingerprint",
    "int8_matrices",
    "multiplier",
    "panels_for",
    "release",
]

FloatArray = NDArray[np.float32]

SIDE = 16  # rows of a tile, words in a row of it, and columns of a panel
_PAIR = 2  # tiles of sums below each other, and beside each other
_SUMS, _LEFT, _RIGHT = 0, 4, 6  # numbers of the first of four tiles of sums, and of two of each operand

ROWS = _PAIR * SIDE  # rows of x done together
WIDE = 192  # rows of the weight packed at a time: x is read once for them, and they stay in the second-level cache
# A task multiplies some ten times as fast as one on vectors.
BLOCKS = Blocks(ROWS, 1 << 23, 1 << 28)

_BYTE, _POINTER = ir.IntType(8), ir.IntType(8).as_pointer()
_WORD_BYTES = 4

# What LLVM calls the instructions.
_INSTRUCTIONS = "llvm.x86."


def fingerprint() -> str:
    """As that of `dot_tiles`, for kernels that also call what is here."""
    sources = inspect.getsource(sys.modules[__name__]) + dot_tiles.fingerprint()
    return hashlib.sha256(sources.encode()).hexdigest()


@numba.njit(**OPTIONS)
def filled(words: int) -> int:
    """The words in a row of x or a panel, for so many in a row of the weight: whole tiles."""
    return -(-words // SIDE) * SIDE


@numba.njit(**OPTIONS)
def panels_for(weight: FloatArray) -> FloatArray:
    """Room for WIDE rows of the weight; zeros if they are to be filled up."""
    panels = np.empty(WIDE * filled(weight.shape[1]), np.float32)
    if weight.shape[1] < filled(weight.shape[1]):
        panels[:] = np.float32(0)
    return panels


def multiplier(kind: str, matrices: Any) -> Any:
    """As that of `dot_tiles`, by `bfloat16_matrices`; rows of x are filled up."""

    def multiply(block: tuple[int, int, int, int], x: FloatArray, weight: FloatArray, out: FloatArray) -> None:
        """out[i, j] = sum_k x[i, k] weight[j, k] for i in [start, stop) and j in [first, last), a block's numbers.

        x (whole steps * filled(depth),), weight (m, depth), out (n * m,); start is a multiple of ROWS.
        """
        start, stop, first, last = block
        width, depth = weight.shape[0], filled(weight.shape[1])
        panels = panels_for(weight)
        sums = np.empty(ROWS * SCORE_ROW, np.float32)
        for column in range(first, last, WIDE):
            beyond = min(column + WIDE, last)
            used = pack(weight, slice(column, beyond), SIDE, depth, panels)
            for row in range(start, stop, ROWS):
                rows = min(ROWS, stop - row)
                full = (beyond - column) // SIDE if rows == ROWS else 0
                matrices(x, row * depth, rows, panels, depth, 0, full, out, row * width + column, width)
                if full < used:
                    matrices(x, row * depth, rows, panels, depth, full, used - full, sums, 0, SCORE_ROW)
                    copy(sums, full * SIDE, rows, column, beyond, row, width, out)

    multiply.__qualname__ += f"_{kind}_amx"
    return numba.njit(**OPTIONS)(multiply)


class _TileEmitter(Emitter):
    """Writes instructions of the matrix unit."""

    def instruct(self, name: str, *operands: Value) -> None:
        """One instruction; the numbers of its tiles are constants."""
        kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
        self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, _INSTRUCTIONS + name), operands)

    def tile(self, number: int) -> Value:
        """The number of a tile."""
        return ir.Constant(_BYTE, number)

    def move(self, name: str, tile: int, data: Value, at: Value, distance: Value) -> None:
        """Load or store a tile whose first word is data[at] and whose rows lie `distance` words apart."""
        place = self.builder.bitcast(self.builder.gep(data, [at]), _POINTER)
        self.instruct(name, self.tile(tile), place, self.builder.mul(distance, self.index(_WORD_BYTES)))


@intrinsic
def configure(typing_context: Any, fingerprint: Any) -> Any:
    """Give this thread's tiles their shape, all the same: before the first product of a kernel call.

    The argument only has to be named.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = _TileEmitter(context, builder)
        shapes = bytearray(64)  # palette 1; from byte 16 on, two for the bytes in a row; from 48 on, one for the rows
        shapes[0] = 1
        shapes[16:32] = (SIDE * _WORD_BYTES).to_bytes(2, "little") * 8
        shapes[48:56] = bytes([SIDE]) * 8
        place = cgutils.alloca_once_value(builder, ir.Constant(ir.ArrayType(_BYTE, len(shapes)), shapes))
        e.instruct("ldtilecfg", builder.bitcast(place, _POINTER))
        return context.get_dummy_value()

    return types.void(fingerprint), codegen


@intrinsic
def release(typing_context: Any) -> Any:
    """Give up this thread's tiles, which would be saved at every switch: after the last product of a kernel call."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        _TileEmitter(context, builder).instruct("tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def bfloat16_matrices(
    typing_context: Any,
    x: Any,
    x_at: Any,
    rows: Any,
    panels: Any,
    depth: Any,
    first: Any,
    count: Any,
    out: Any,
    out_at: Any,
    distance: Any,
) -> Any:
    """out[r, c] = sum_k x[r, k] panels[c // 16, k, c % 16] for the columns of `count` panels.

    x (rows, depth), rows up to ROWS, which are filled up to a whole tile in x and out; panels (panels, depth, 16), from
    panel `first` on; out: rows `distance` apart. Every float of x and panels is a pair of bfloat16 numbers; out holds
    floats.
    """
    return _signature(x, panels, out), _codegen("tdpbf16ps")


@intrinsic
def int8_matrices(
    typing_context: Any,
    x: Any,
    x_at: Any,
    rows: Any,
    panels: Any,
    depth: Any,
    first: Any,
    count: Any,
    out: Any,
    out_at: Any,
    distance: Any,
) -> Any:
    """As `bfloat16_matrices`, where every float is four 8-bit integers, those of x without sign; out: int32's bits."""
    return _signature(x, panels, out), _codegen("tdpbusd")


@intrinsic
def bfloat16_averages(
    typing_context: Any,
    scores: Any,
    begin: Any,
    end: Any,
    values: Any,
    count: Any,
    out: Any,
    out_at: Any,
) -> Any:
    """As `short_tiles.bfloat16_value_tiles` for ROWS rows; end - begin is a whole number of tiles."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = _TileEmitter(context, builder)
        begin, end, count, out_at = (args[i] for i in (1, 2, 4, 6))
        scores, values, out = (e.data(signature.args[i], args[i]) for i in (0, 3, 5))
        add, mul, tile = builder.add, builder.mul, e.index(SIDE)
        width, score_row = mul(count, tile), e.index(SCORE_ROW)

        def step(across: int, panel: Value) -> None:
            places = [mul(add(panel, e.index(column)), tile) for column in range(across)]
            _emit_step(
                e,
                "tdpbf16ps",
                (_PAIR, across),
                builder.sub(end, begin),
                _Matrix(scores, score_row, lambda k, row: add(add(begin, k), e.index(row * SIDE * SCORE_ROW))),
                _Matrix(values, width, lambda k, column: add(mul(add(begin, k), width), places[column])),
                _Matrix(
                    out, width, lambda row, column: add(add(out_at, mul(width, e.index(row * SIDE))), places[column])
                ),
                accumulate=True,
            )

        _emit_panels(e, e.index(0), count, step)
        return context.get_dummy_value()

    return value_signature(scores, values, out), codegen


def _signature(x: Any, panels: Any, out: Any) -> Any:
    index = types.int64
    return types.void(x, index, index, panels, index, index, index, out, index, index)


def _codegen(product: str) -> Any:
    """The code of `bfloat16_matrices` and the like, by the name of the instruction."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = _TileEmitter(context, builder)
        x_at, rows, depth, first, count, out_at, distance = (args[i] for i in (1, 2, 4, 5, 6, 8, 9))
        x, panels, out = (e.data(signature.args[i], args[i]) for i in (0, 3, 7))
        add, mul, tile = builder.add, builder.mul, e.index(SIDE)

        def step(down: int, across: int, panel: Value) -> None:
            """The products of `down` tiles of rows and `across` panels."""
            lefts = [add(x_at, mul(depth, e.index(row * SIDE))) for row in range(down)]
            numbers = [add(panel, e.index(column)) for column in range(across)]
            rights = [mul(number, mul(depth, tile)) for number in numbers]
            outs = [add(out_at, mul(distance, e.index(row * SIDE))) for row in range(down)]
            _emit_step(
                e,
                product,
                (down, across),
                depth,
                _Matrix(x, depth, lambda k, row: add(lefts[row], k)),
                _Matrix(panels, tile, lambda k, column: add(rights[column], mul(k, tile))),
                _Matrix(out, distance, lambda row, column: add(outs[row], mul(numbers[column], tile))),
                accumulate=False,
            )

        with builder.if_else(builder.icmp_signed(">", rows, tile)) as (two, one):
            with two:
                _emit_panels(e, first, count, partial(step, _PAIR))
            with one:
                _emit_panels(e, first, count, partial(step, 1))
        return context.get_dummy_value()

    return codegen


class _Matrix(NamedTuple):
    """Where tiles lie: place(k, number) of an operand, place(row, column) of sums, and the words between their rows."""

    data: Value
    distance: Value
    place: Callable[..., Value]


def _emit_step(
    e: _TileEmitter,
    product: str,
    shape: tuple[int, int],
    depth: Value,
    left: _Matrix,
    right: _Matrix,
    out: _Matrix,
    accumulate: bool,
) -> None:
    """out (+)= left right, over `depth` words, for so many tiles below each other and beside each other."""
    cells = [(row, column) for row in range(shape[0]) for column in range(shape[1])]
    for row, column in cells:
        if accumulate:
            e.move("tileloadd64", _SUMS + _PAIR * row + column, out.data, out.place(row, column), out.distance)
        else:
            e.instruct("tilezero", e.tile(_SUMS + _PAIR * row + column))
    with e.steps(e.index(0), depth, SIDE) as (k, _):
        for column in range(shape[1]):
            e.move("tileloadd64", _RIGHT + column, right.data, right.place(k, column), right.distance)
        for row in range(shape[0]):
            e.move("tileloadd64", _LEFT + row, left.data, left.place(k, row), left.distance)
            for column in range(shape[1]):
                tiles = _SUMS + _PAIR * row + column, _LEFT + row, _RIGHT + column
                e.instruct(product, *map(e.tile, tiles))
    for row, column in cells:
        e.move("tilestored64", _SUMS + _PAIR * row + column, out.data, out.place(row, column), out.distance)


def _emit_panels(e: _TileEmitter, first: Value, count: Value, step: Callable[[int, Value], None]) -> None:
    """Call step(across, panel) for all panels, two by two."""
    end = e.builder.add(first, count)
    last = e.builder.add(first, e.builder.and_(count, e.index(-_PAIR)))
    with e.steps(first, last, _PAIR) as (panel, _):
        step(_PAIR, panel)
    with e.builder.if_then(e.builder.icmp_signed("<", last, end)):
        step(1, last)
