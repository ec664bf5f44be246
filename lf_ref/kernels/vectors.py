"""Vectors of floats in LLVM's terms: how many fit the processor, and the instructions that `tile` writes.

The instructions name no processor: LLVM turns vectors into whatever there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding as llvm
import numba.extending
from llvmlite import ir
from numba.core import cgutils as _cgutils
from numba.core.registry import cpu_target as _cpu_target

__all__ = ["DotEmitter", "Emitter", "Shape", "Value", "dots_here", "intrinsic", "matrices_here", "tile_shape"]

# Numba's own annotations do not describe these to a type checker.
cgutils: Any = _cgutils
cpu_target: Any = _cpu_target
config: Any = numba.config
intrinsic: Any = numba.extending.intrinsic

Value = Any  # a value of the LLVM program being written

_FLOAT, _INT32, _INDEX = ir.FloatType(), ir.IntType(32), ir.IntType(64)

_PROBE = """target triple = "{triple}"
define <16 x float> @probe(<16 x float> %a) {{
  %b = fadd <16 x float> %a, %a
  ret <16 x float> %b
}}"""

# 2**f = P0 + P1 f + ... for |f| <= 1/2, to a relative 8e-8 (minimax fit).
_POWER = (1.00000007165, 0.693146967043, 0.240221197261, 0.055507133094, 0.0096755412418, 0.00132764603877)
# Adding it to a small float32 leaves the nearest integer in the sum's lowest bits, raised as exponents are stored.
_ROUNDER = 1.5 * 2.0**23 + 127
_EXPONENT_AT, _LOWEST_EXPONENT = 23, -126


class Shape(NamedTuple):
    """The floats in a vector, and the vectors beside each other in a register tile."""

    lanes: int
    vectors: int


@cache
def _shape_for(triple: str, cpu: str, features: str) -> Shape:
    """The largest tile of 6 rows that the registers hold: ask LLVM where it puts a vector of 16 floats."""
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=cpu, features=features)
    assembly = machine.emit_assembly(llvm.parse_assembly(_PROBE.format(triple=triple)))
    if "zmm" in assembly:  # 32 registers of 16
        return Shape(16, 4)
    if "ymm" in assembly:  # 16 registers of 8
        return Shape(8, 2)
    if "xmm" in assembly:  # 16 registers of 4
        return Shape(4, 2)
    return Shape(4, 4)  # outside x86, 32 registers of 4 (ARM's NEON, POWER's VSX)


def tile_shape(context: Any) -> Shape:
    """The shape for the processor that Numba compiles for."""
    return _shape_for(*_processor(context))


@cache  # asked for at each product of reduced numbers, and LLVM looks at the machine anew each time
def _processor(context: Any) -> tuple[str, str, str]:
    """The target triple, the processor's name and its features, as LLVM takes them."""
    triple, cpu, features = context.codegen().magic_tuple()
    if config.CPU_NAME is not None and config.CPU_FEATURES is None:
        features = ""  # Numba pairs a processor named by NUMBA_CPU_NAME with the host's features; the name decides
    return triple, cpu, features


# What multiplies the 2 or 4 short numbers in each 32 bits of two vectors and adds their sum to the 32 bits of a third:
# by the kind of numbers and the length of a vector, the processor's feature and the instruction in LLVM's terms.
_DOTS = {
    ("bfloat16", 16): ("avx512bf16", "llvm.x86.avx512bf16.dpbf16ps.512"),
    ("int8", 16): ("avx512vnni", "llvm.x86.avx512.vpdpbusd.512"),
    ("int8", 8): ("avxvnni", "llvm.x86.avx512.vpdpbusd.256"),
}
# What AMX needs beside its tiles, which take panels of so many columns: see `amx`.
_UNITS, _UNIT_LANES = {"bfloat16": "+amx-bf16", "int8": "+amx-int8"}, 16


def _dot_instruction(context: Any, kind: str) -> str | None:
    """The instruction that the processor has for a kind. One that is named without its features counts as having none:
    LLVM does not tell what belongs to a name, and ends the process over an instruction that does not."""
    feature, name = _DOTS.get((kind, tile_shape(context).lanes), (None, None))
    return name if f"+{feature}" in _processor(context)[2].split(",") else None


def dots_here(kind: str) -> bool:
    """Whether the processor that Numba compiles for multiplies "bfloat16" or "int8" numbers by `DotEmitter`."""
    return not config.DISABLE_JIT and _dot_instruction(cpu_target.target_context, kind) is not None


def matrices_here(kind: str) -> bool:
    """Whether the processor that Numba compiles for has AMX for "bfloat16" or "int8" numbers, and vectors as wide."""
    if config.DISABLE_JIT:
        return False
    context = cpu_target.target_context
    needed = {"+amx-tile", _UNITS[kind]}
    return tile_shape(context).lanes == _UNIT_LANES and needed <= set(_processor(context)[2].split(","))


class Emitter:
    """Writes instructions on vectors of `lanes` floats at the place where a builder stands."""

    def __init__(self, context: Any, builder: Any) -> None:
        """Take Numba's target context and LLVM builder."""
        self.context, self.builder = context, builder
        self.lanes, self.vectors = tile_shape(context)
        self.vector = ir.VectorType(_FLOAT, self.lanes)
        self.integers = ir.VectorType(_INT32, self.lanes)

    def index(self, number: int) -> Value:
        """A 64-bit integer."""
        return ir.Constant(_INDEX, number)

    def constant(self, number: float) -> Value:
        """A vector of equal floats."""
        return ir.Constant(self.vector, [float(number)] * self.lanes)

    def lane_constants(self, numbers: Sequence[int]) -> Value:
        """A vector of 32-bit integers."""
        return ir.Constant(self.integers, list(numbers))

    def spread(self, scalar: Value) -> Value:
        """A vector of one scalar in all lanes."""
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(_INT32, 0))
        return self.builder.shuffle_vector(first, undefined, self.lane_constants([0] * self.lanes))

    def data(self, array_type: Any, array: Value) -> Value:
        """A pointer to the first item of an array."""
        return self.context.make_array(array_type)(self.context, self.builder, array).data

    def row(self, array_type: Any, array: Value, row: Value) -> Value:
        """A pointer to the first float of a row of a matrix whose rows lie any distance apart."""
        matrix = self.context.make_array(array_type)(self.context, self.builder, array)
        distance = self.builder.mul(row, self.builder.extract_value(matrix.strides, 0))
        start = self.builder.bitcast(matrix.data, ir.IntType(8).as_pointer())
        return self.builder.bitcast(self.builder.gep(start, [distance]), _FLOAT.as_pointer())

    def length(self, array_type: Any, array: Value, axis: int) -> Value:
        """The size of an array along an axis."""
        return self.builder.extract_value(
            self.context.make_array(array_type)(self.context, self.builder, array).shape, axis
        )

    def variable(self, vector: Value) -> Value:
        """A place for a vector that changes; LLVM keeps it in a register."""
        place = cgutils.alloca_once(self.builder, self.vector)
        self.builder.store(vector, place)
        return place

    def load(self, data: Value, index: Value) -> Value:
        """The vector that begins at data[index]."""
        pointer = self.builder.bitcast(self.builder.gep(data, [index]), self.vector.as_pointer())
        return self.builder.load(pointer, align=4)

    def store(self, vector: Value, data: Value, index: Value) -> None:
        """Write a vector to data[index] and the places after it."""
        pointer = self.builder.bitcast(self.builder.gep(data, [index]), self.vector.as_pointer())
        self.builder.store(vector, pointer, align=4)

    def whole(self, count: Value) -> Value:
        """The largest multiple of the lanes up to count."""
        return self.builder.and_(count, self.index(-self.lanes))

    def steps(self, start: Value, stop: Value, step: int | None = None) -> Any:
        """Open a loop from start to stop by `step`, or by the lanes; it yields the index and the count."""
        return cgutils.for_range_slice(self.builder, start, stop, self.index(step or self.lanes))

    def parts(self, count: Value) -> list[tuple[Emitter, Value, Value]]:
        """Whole vectors, then single numbers, that together are `count` of them: for each an emitter and its range."""
        single = copy(self)
        single.lanes, single.vector, single.integers = 1, ir.VectorType(_FLOAT, 1), ir.VectorType(_INT32, 1)
        whole = self.whole(count)
        return [(self, self.index(0), whole), (single, whole, count)]

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        """a * b + c, in one rounding where the processor can."""
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        name = f"llvm.fmuladd.v{self.lanes}f32"
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, kind, name), [a, b, c])

    def larger(self, a: Value, b: Value) -> Value:
        """The larger of two in each lane; b where they cannot be compared."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def fold(self, vector: Value, combine: Callable[[Value, Value], Value]) -> Value:
        """Combine all lanes into one scalar."""
        step = self.lanes // 2
        while step:
            order = self.lane_constants([(lane + step) % self.lanes for lane in range(self.lanes)])
            vector = combine(vector, self.builder.shuffle_vector(vector, vector, order))
            step //= 2
        return self.builder.extract_element(vector, ir.Constant(_INT32, 0))

    def inside(self, at: Value, begin: Value, end: Value) -> Value:
        """A mask of the lanes whose places, at, at + 1, ..., lie in [begin, end)."""
        builder = self.builder
        at, begin, end = (self.spread(builder.trunc(place, _INT32)) for place in (at, begin, end))
        places = builder.add(at, self.lane_constants(range(self.lanes)))
        return builder.and_(builder.icmp_signed(">=", places, begin), builder.icmp_signed("<", places, end))

    def keep(self, mask: Value, vector: Value, other: float) -> Value:
        """The vector where the mask is set, a constant elsewhere."""
        return self.builder.select(mask, vector, self.constant(other))

    def exp2(self, x: Value) -> Value:
        """2**x for x <= 0, to about one unit in the last place; 0 where that is no normal float32."""
        builder = self.builder
        shifted = builder.fadd(x, self.constant(_ROUNDER))
        fraction = builder.fsub(x, builder.fsub(shifted, self.constant(_ROUNDER)))
        power = self.constant(_POWER[-1])
        for coefficient in reversed(_POWER[:-1]):
            power = self.multiply_add(power, fraction, self.constant(coefficient))
        exponent = builder.shl(
            builder.bitcast(shifted, self.integers), self.lane_constants([_EXPONENT_AT] * self.lanes)
        )
        # Not by adding to its bits, and not `>=`: what is not a number has to stay so.
        power = builder.fmul(power, builder.bitcast(exponent, self.vector))
        return self.builder.select(
            builder.fcmp_ordered("<", x, self.constant(_LOWEST_EXPONENT)), self.constant(0), power
        )

    def transposed(self, rows: Sequence[Value]) -> list[Value]:
        """The columns of a square of vectors: swap its off-diagonal quarters, then theirs, and so on."""
        rows, step = list(rows), self.lanes // 2
        while step:
            low = [lane if not lane & step else lane + self.lanes - step for lane in range(self.lanes)]
            high = [lane + step if not lane & step else lane + self.lanes for lane in range(self.lanes)]
            for row in range(self.lanes):
                if not row & step:
                    pair = rows[row], rows[row + step]
                    rows[row] = self.builder.shuffle_vector(*pair, self.lane_constants(low))
                    rows[row + step] = self.builder.shuffle_vector(*pair, self.lane_constants(high))
            step //= 2
        return rows


class DotEmitter(Emitter):
    """An emitter whose floats are 32 bits that hold 2 bfloat16 or 4 int8 numbers, or a sum of their products.

    Of int8 numbers, `a` is without sign, `b` has one, and the sum is an int32.
    """

    def __init__(self, context: Any, builder: Any, kind: str) -> None:
        """Take what `Emitter` takes, and "bfloat16" or "int8", which `dots_here`."""
        super().__init__(context, builder)
        self.name = _dot_instruction(context, kind)
        self.sums = self.vector if kind == "bfloat16" else self.integers

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        """The sum of the products of a's and b's numbers in each lane, added to c."""
        kind = ir.FunctionType(self.sums, [self.sums, self.integers, self.integers])
        function = cgutils.get_or_insert_function(self.builder.module, kind, self.name)
        operands = self.builder.bitcast(c, self.sums), *(self.builder.bitcast(x, self.integers) for x in (a, b))
        return self.builder.bitcast(self.builder.call(function, operands), self.vector)
