"""Micro-kernels on vector registers (AVX-512, AVX2, SSE, NEON), as LLVM code: a tile of sums stays in registers.

Compilers do not find this from loops: they keep the sums in memory. Each step along k loads a vector of every panel,
spreads one element of every row of `left`, and adds their products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir

from ..cpu.features import dot_instruction, registers
from ..layout.instructions import LANES, Value, cgutils
from .microkernel import MicroKernel, compiled_tile, plain_tile

__all__ = ["prefetch", "vector_microkernel"]

config: Any = numba.config

ROWS = 24  # of a tile: a multiple of the rows whose sums fit the registers at a time, for any number of panels
_CHUNK = 768  # elements along k
_AHEAD = 16  # steps along k that a panel is fetched ahead

_INDEX, _WORD, _BYTES = ir.IntType(64), ir.IntType(32), ir.IntType(8).as_pointer()


@numba.njit(nogil=True)
def _nothing() -> None:
    """Vectors need no preparation."""


def vector_microkernel(kind: str) -> MicroKernel:
    """The micro-kernel for "float32", "float64", "bfloat16" or "int8" values."""
    count, lanes = registers()
    sums = 24 if count == 32 else 12  # registers for sums; the others hold a step's operands
    per_panel = LANES // lanes * (2 if kind == "float64" else 1)
    panels = max(1, sums // (6 * per_panel))
    tile = plain_tile(kind, ROWS) if config.DISABLE_JIT else _compiled_tile(kind, sums, per_panel, panels)
    return MicroKernel(f"{kind}_vectors", kind, tile, ROWS, panels, _nothing, _nothing, 1, _CHUNK)


def _rows_at_once(sums: int, registers_: int) -> int:
    """The most rows, a divisor of ROWS, whose sums fit; and no more than keep the units busy."""
    return max(rows for rows in (1, 2, 3, 4, 6, 8, 12) if rows * registers_ <= sums or rows == 1)


def _compiled_tile(kind: str, sums: int, per_panel: int, most: int) -> Any:
    def emit(context: Any, builder: Any, signature: Any, args: Any) -> None:
        code = _TileCode(kind, context, builder, signature, args)
        done = builder.append_basic_block("done")
        switch = builder.switch(args[8], done)
        for panels in range(1, most + 1):
            block = builder.append_basic_block(f"panels_{panels}")
            switch.add_case(ir.Constant(_INDEX, panels), block)
            builder.position_at_end(block)
            code.emit(panels, _rows_at_once(sums, panels * per_panel))
            builder.branch(done)
        builder.position_at_end(done)

    return compiled_tile(emit)


class _TileCode:
    """Writes the code of one kind of tile."""

    def __init__(self, kind: str, context: Any, builder: Any, signature: Any, args: Any) -> None:
        self.builder, self.kind, self.context = builder, kind, context
        self.left, self.right, self.out = (
            context.make_array(signature.args[i])(context, builder, args[i]).data for i in (0, 5, 11)
        )
        self.left_at, self.left_row, self.ahead, self.ahead_rows = args[1:5]
        self.right_at, self.right_panel = args[6:8]
        self.depth, self.accumulate, self.out_at, self.out_panel = (args[i] for i in (9, 10, 12, 13))
        element = {"float64": ir.DoubleType(), "int8": _WORD}.get(kind, ir.FloatType())
        self.sums = ir.VectorType(element, LANES)
        self.words = ir.VectorType(_WORD, LANES)
        self.multiply_add = {
            "float32": self._fused,
            "float64": self._fused,
            "bfloat16": self._bfloat16,
            "int8": self._int8,
        }[kind]

    def emit(self, panels: int, rows: int) -> None:
        """A loop over groups of rows, and in it one along k."""
        builder, row_step = self.builder, ir.Constant(_INDEX, rows)
        with cgutils.for_range_slice(builder, ir.Constant(_INDEX, 0), ir.Constant(_INDEX, ROWS), row_step) as (row, _):
            lefts = [builder.add(self.left_at, builder.mul(self._plus(row, i), self.left_row)) for i in range(rows)]
            rights = [builder.add(self.right_at, builder.mul(self.right_panel, self._index(p))) for p in range(panels)]
            outs = [
                [
                    self._at(
                        self.out,
                        builder.add(
                            builder.add(self.out_at, builder.mul(self.out_panel, self._index(p))),
                            builder.mul(self._plus(row, i), self._index(LANES)),
                        ),
                        self.sums,
                    )
                    for p in range(panels)
                ]
                for i in range(rows)
            ]
            cells = [(i, p) for i in range(rows) for p in range(panels)]
            sums = {cell: cgutils.alloca_once(builder, self.sums) for cell in cells}
            with builder.if_else(self.accumulate) as (add, new):
                with add:
                    for i, p in cells:
                        builder.store(builder.load(outs[i][p], align=1), sums[i, p])
                with new:
                    for cell in cells:
                        builder.store(ir.Constant(self.sums, None), sums[cell])
            line = self._index(8 if self.kind == "float64" else 16)
            with cgutils.for_range_slice(builder, self._index(0), self.depth, line) as (first, _):
                self._fetch_ahead(row, rows, first)
                last = builder.add(first, line)
                last = builder.select(builder.icmp_signed("<", last, self.depth), last, self.depth)
                with cgutils.for_range_slice(builder, first, last, self._index(1)) as (k, _):
                    at = [builder.add(right, builder.mul(k, self._index(LANES))) for right in rights]
                    vectors = [builder.load(self._at(self.right, place, self._operand), align=1) for place in at]
                    for place in at:
                        ahead = builder.gep(self.right, [self._plus(place, _AHEAD * LANES)])
                        prefetch(builder, builder.bitcast(ahead, _BYTES))
                    for i in range(rows):
                        scalar = builder.load(builder.gep(self.left, [builder.add(lefts[i], k)]), align=1)
                        spread = self._spread(scalar)
                        for p in range(panels):
                            total = self.multiply_add(spread, vectors[p], builder.load(sums[i, p]))
                            builder.store(total, sums[i, p])
            for i, p in cells:
                builder.store(builder.load(sums[i, p]), outs[i][p], align=1)

    def _fetch_ahead(self, row: Value, rows: int, k: Value) -> None:
        """Fetch a line of some of the rows that are wanted next; all groups of rows together, of each."""
        builder, whole = self.builder, self._index(ROWS)
        first, last = (builder.sdiv(builder.mul(self._plus(row, more), self.ahead_rows), whole) for more in (0, rows))
        with cgutils.for_range_slice(builder, first, last, self._index(1)) as (wanted, _):
            place = builder.add(builder.add(self.ahead, builder.mul(wanted, self.left_row)), k)
            prefetch(builder, builder.bitcast(builder.gep(self.left, [place]), _BYTES), level=2)

    @property
    def _operand(self) -> Any:
        return self.words if self.kind in ("bfloat16", "int8") else self.sums

    def _index(self, value: int) -> Value:
        return ir.Constant(_INDEX, value)

    def _plus(self, value: Value, more: int) -> Value:
        return self.builder.add(value, self._index(more))

    def _at(self, data: Value, index: Value, kind: Any) -> Value:
        return self.builder.bitcast(self.builder.gep(data, [index]), kind.as_pointer())

    def _spread(self, scalar: Value) -> Value:
        undefined = ir.Constant(ir.VectorType(scalar.type, LANES), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(_WORD, 0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(self.words, [0] * LANES))

    def _call(self, name: str, result: Any, *operands: Value) -> Value:
        kind = ir.FunctionType(result, [operand.type for operand in operands])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), operands)

    def _fused(self, a: Value, b: Value, c: Value) -> Value:
        suffix = "f64" if self.kind == "float64" else "f32"
        return self._call(f"llvm.fmuladd.v{LANES}{suffix}", self.sums, a, b, c)

    def _bfloat16(self, a: Value, b: Value, c: Value) -> Value:
        instruction = dot_instruction("bfloat16", self.context)
        if instruction is not None:
            return self._call(instruction, self.sums, c, a, b)
        for half in (self._low_half, self._high_half):
            c = self._call(f"llvm.fmuladd.v{LANES}f32", self.sums, half(a), half(b), c)
        return c

    def _low_half(self, words: Value) -> Value:
        return self.builder.bitcast(self.builder.shl(words, self._lanes_of(16)), self.sums)

    def _high_half(self, words: Value) -> Value:
        return self.builder.bitcast(self.builder.and_(words, self._lanes_of(0xFFFF0000)), self.sums)

    def _lanes_of(self, value: int) -> Value:
        return ir.Constant(self.words, [value] * LANES)

    def _int8(self, a: Value, b: Value, c: Value) -> Value:
        instruction = dot_instruction("int8", self.context)
        if instruction is None:
            for byte in range(4):
                signed = self.builder.ashr(self.builder.shl(a, self._lanes_of(24 - 8 * byte)), self._lanes_of(24))
                unsigned = self.builder.and_(self.builder.lshr(b, self._lanes_of(8 * byte)), self._lanes_of(255))
                c = self.builder.add(c, self.builder.mul(signed, unsigned))
            return c
        return self._by_register(lambda a, b, c: self._call(instruction, c.type, c, b, a), a, b, c)

    def _by_register(self, function: Callable[..., Value], *vectors: Value) -> Value:
        """Apply an instruction on vectors of one register to those of 16 lanes."""
        lanes = registers(self.context)[1]
        if lanes == LANES:
            return function(*vectors)
        parts = []
        for start in range(0, LANES, lanes):
            order = ir.Constant(ir.VectorType(_WORD, lanes), list(range(start, start + lanes)))
            parts.append(function(*(self.builder.shuffle_vector(vector, vector, order) for vector in vectors)))
        while len(parts) > 1:
            order = ir.Constant(ir.VectorType(_WORD, 2 * lanes), list(range(2 * lanes)))
            parts = [self.builder.shuffle_vector(*parts[i : i + 2], order) for i in range(0, len(parts), 2)]
            lanes *= 2
        return parts[0]


def prefetch(builder: Any, pointer: Value, level: int = 1) -> None:
    """Fetch a line of memory into the first- or second-level cache."""
    kind = ir.FunctionType(ir.VoidType(), [_BYTES, _WORD, _WORD, _WORD])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [pointer, *(ir.Constant(_WORD, value) for value in (0, 4 - level, 1))])
