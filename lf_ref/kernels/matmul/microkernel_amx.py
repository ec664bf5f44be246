"""Micro-kernels on AMX, the tile unit of x86 CPUs, for bfloat16 and int8 values.

The unit holds eight tiles of 16 rows of 16 words. One instruction adds to a tile of sums the products of 16 rows of
`left` and of one panel, over 16 words along k. Two by two tiles of sums are done together, so that each tile that is
loaded serves two products.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir

from ..jit import types
from ..layout.instructions import LANES, Value, cgutils, intrinsic
from .microkernel import MicroKernel, compiled_tile
from .microkernel_vectors import prefetch

__all__ = ["AmxCode", "amx_microkernel"]

_SIDE = 16  # rows of a tile, and words in a row of it
_DOWN = 2  # tiles of sums below each other
_PANELS = 2  # and beside each other
_SUMS, _LEFT, _RIGHT = 0, 4, 6  # numbers of the first of four tiles of sums, and of two of each operand
_CHUNK = 192  # words along k: 24 KiB of a tile of rows

_INDEX, _BYTE = ir.IntType(64), ir.IntType(8)
_BYTES = _BYTE.as_pointer()

_PRODUCTS = {"bfloat16": "tdpbf16ps", "int8": "tdpbsud"}


class AmxCode:
    """Writes instructions of the unit where a builder stands. A test puts a twin of the unit in the place of this."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context, self.builder = context, builder

    def instruct(self, name: str, *operands: Value) -> None:
        """One instruction; the numbers of its tiles are constants."""
        kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"llvm.x86.{name}")
        self.builder.call(function, operands)

    def tile(self, number: int) -> Value:
        """The number of a tile."""
        return ir.Constant(_BYTE, number)

    def index(self, value: int) -> Value:
        """A 64-bit integer."""
        return ir.Constant(_INDEX, value)

    def pointer(self, data: Value, at: Value) -> Value:
        """Where the word data[at] lies."""
        return self.builder.bitcast(self.builder.gep(data, [at]), _BYTES)

    def move(self, name: str, tile: int, data: Value, at: Value, distance: Value) -> None:
        """Load or store a tile whose first word is data[at] and whose rows lie `distance` words apart."""
        self.instruct(name, self.tile(tile), self.pointer(data, at), self.builder.mul(distance, self.index(4)))


@intrinsic
def _configure(typing_context: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        code = AmxCode(context, builder)
        shapes = bytearray(64)  # palette 1; from byte 16 on, two for the bytes in a row; from 48 on, one for the rows
        shapes[0] = 1
        shapes[16:32] = (4 * _SIDE).to_bytes(2, "little") * 8
        shapes[48:56] = bytes([_SIDE]) * 8
        place = cgutils.alloca_once_value(builder, ir.Constant(ir.ArrayType(_BYTE, len(shapes)), shapes))
        code.instruct("ldtilecfg", builder.bitcast(place, _BYTES))
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def _release(typing_context: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        AmxCode(context, builder).instruct("tilerelease")
        return context.get_dummy_value()

    return types.void(), codegen


@numba.njit(nogil=True)
def _begin() -> None:
    """Give this thread's tiles their shape, all the same."""
    _configure()


@numba.njit(nogil=True)
def _end() -> None:
    """Give up this thread's tiles, which would be saved at every switch."""
    _release()


def amx_microkernel(kind: str) -> MicroKernel:
    """The micro-kernel for "bfloat16" or "int8" values."""

    def emit(context: Any, builder: Any, signature: Any, args: Any) -> None:
        with builder.if_else(builder.icmp_signed(">", args[8], ir.Constant(_INDEX, 1))) as (two, one):
            with two:
                _emit_tiles(kind, _PANELS, context, builder, signature, args)
            with one:
                _emit_tiles(kind, 1, context, builder, signature, args)

    tile = compiled_tile(emit)
    return MicroKernel(f"{kind}_amx", kind, tile, _DOWN * _SIDE, _PANELS, _begin, _end, _SIDE, _CHUNK)


def _emit_tiles(kind: str, panels: int, context: Any, builder: Any, signature: Any, args: Any) -> None:
    code = AmxCode(context, builder)
    left, right, out = (context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 5, 11))
    left_at, left_row, ahead, ahead_rows, right_at, right_panel, depth, accumulate, out_at, out_panel = (
        args[i] for i in (1, 2, 3, 4, 6, 7, 9, 10, 12, 13)
    )
    add, mul, index, lanes = builder.add, builder.mul, code.index, code.index(LANES)
    cells = [(row, panel) for row in range(_DOWN) for panel in range(panels)]
    lefts = [add(left_at, mul(left_row, index(row * _SIDE))) for row in range(_DOWN)]
    rights = [add(right_at, mul(right_panel, index(panel))) for panel in range(panels)]
    outs = {
        (row, panel): add(add(out_at, mul(out_panel, index(panel))), index(row * _SIDE * LANES)) for row, panel in cells
    }
    with builder.if_else(accumulate) as (more, new):
        with more:
            for row, panel in cells:
                code.move("tileloadd64", _SUMS + _PANELS * row + panel, out, outs[row, panel], lanes)
        with new:
            for row, panel in cells:
                code.instruct("tilezero", code.tile(_SUMS + _PANELS * row + panel))
    with cgutils.for_range_slice(builder, index(0), depth, index(_SIDE)) as (k, _):
        at = [add(right_, mul(k, lanes)) for right_ in rights]
        for panel in range(panels):
            code.move("tileloadd64", _RIGHT + panel, right, at[panel], lanes)
        for row in range(_DOWN):
            code.move("tileloadd64", _LEFT + row, left, add(lefts[row], k), left_row)
            for panel in range(panels):
                tiles = _SUMS + _PANELS * row + panel, _LEFT + row, _RIGHT + panel
                code.instruct(_PRODUCTS[kind], *map(code.tile, tiles))
        with cgutils.for_range_slice(builder, index(0), ahead_rows, index(1)) as (row, _):
            place = add(add(ahead, mul(left_row, row)), k)
            prefetch(builder, code.pointer(left, place), level=2)
    for row, panel in cells:
        code.move("tilestored64", _SUMS + _PANELS * row + panel, out, outs[row, panel], lanes)
