"""Vectors of 16 lanes, one for each token of a panel.

Kernels are written with these functions. In plain Python a vector is a NumPy array of 16 values, and each function
below says in NumPy what it does. In compiled code a vector is a value of LLVM's vector type, which takes one register
or several, whatever the CPU has: loops over arrays of 16 compile to slower code, and often to none on vectors.

Arrays are flat and C-contiguous, and `at` is the index of the first of 16 elements. Nothing is checked.
"""

from __future__ import annotations

import operator
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numpy.typing import NDArray

from ..cpu.features import has_bfloat16_conversion
from ..jit import types
from .instructions import LANES, Bfloat, Emitter, Value, Vector, instruction, intrinsic

__all__ = [
    "LANES",
    "between",
    "each_lane",
    "exp2",
    "integers",
    "larger",
    "less",
    "load",
    "magnitude",
    "multiply_add",
    "narrow",
    "nearest",
    "pair",
    "reals",
    "root",
    "spread",
    "store",
    "store_across",
    "store_halves",
    "sum_lanes",
    "top_lane",
    "widen",
]

Array = NDArray[Any]

config: Any = numba.config  # which has no types

# 2**f = P0 + P1 f + ... for |f| <= 1/2, to a relative 8e-8 (minimax fit).
_POWER = (1.00000007165, 0.693146967043, 0.240221197261, 0.055507133094, 0.0096755412418, 0.00132764603877)
# Adding it to a small float32 leaves the nearest integer in the sum's lowest bits, raised as exponents are stored.
_ROUNDER = 1.5 * 2.0**23 + 127
_MANTISSA, _LOWEST_EXPONENT = 23, -126


_FLOATS, _DOUBLES, _INTEGERS = Vector(types.float32), Vector(types.float64), Vector(types.int32)


def load(array: Array, at: int) -> Array:
    """The 16 elements that begin at array[at]."""
    return array[at : at + LANES].copy()


def store(vector: Array, array: Array, at: int) -> None:
    """Write 16 elements to array[at] and the places after it."""
    array[at : at + LANES] = vector


def spread(scalar: Any) -> Array:
    """One scalar in all lanes."""
    return np.full(LANES, scalar)


def multiply_add(a: Array, b: Array, c: Array) -> Array:
    """A * b + c, in one rounding where the CPU can."""
    return a * b + c


def larger(a: Array, b: Array) -> Array:
    """The larger of two in each lane; b where they cannot be compared."""
    return np.where(a > b, a, b)


def less(a: Array, b: Array, then: Array, otherwise: Array) -> Array:
    """The value of `then` in the lanes where a < b, that of `otherwise` elsewhere."""
    return np.where(a < b, then, otherwise)


def between(first: int, last: int, then: Array, otherwise: Array) -> Array:
    """The value of `then` in the lanes first to last, both included, that of `otherwise` elsewhere."""
    lanes = np.arange(LANES)
    return np.where((lanes >= first) & (lanes <= last), then, otherwise)


def exp2(x: Array) -> Array:
    """2**x for x <= 0, to about one unit in the last place; 0 where that is no normal float32."""
    return np.where(x < _LOWEST_EXPONENT, x.dtype.type(0), np.exp2(x)).astype(x.dtype)


def root(x: Array) -> Array:
    """The square root."""
    return np.sqrt(x)


def magnitude(x: Array) -> Array:
    """The absolute value."""
    return np.abs(x)


def widen(x: Array) -> Array:
    """As float64."""
    return x.astype(np.float64)


def narrow(x: Array, like: Array) -> Array:
    """float64 in the dtype of an array."""
    return x.astype(like.dtype)


def nearest(x: Array) -> Array:
    """The nearest integers to float32 values, ties to even, as int32; anything for a value that is not finite."""
    return np.where(np.isfinite(x), np.rint(x), 0).astype(np.int32)


def reals(x: Array) -> Array:
    """Int32 as float32."""
    return x.astype(np.float32)


def integers(x: Array) -> Array:
    """The bits of float32 as int32."""
    return x.view(np.int32)


def pair(low: Array, high: Array) -> Array:
    """Two float32 vectors rounded to bfloat16, ties to even, as the halves of int32 words."""
    return (_halves(low).astype(np.uint32) | (_halves(high).astype(np.uint32) << 16)).view(np.int32)


def store_halves(vector: Array, array: NDArray[np.uint16], at: int) -> None:
    """Write a float32 vector, rounded to bfloat16, ties to even, to array[at] and the places after it."""
    array[at : at + LANES] = _halves(vector)


def store_across(a: Array, b: Array, c: Array, d: Array, array: Array, at: int, step: int) -> None:
    """Write lane i of four vectors side by side to array[at + i * step] and the places after it."""
    array[at + step * np.arange(LANES)[:, None] + np.arange(4)] = np.stack([a, b, c, d], axis=1)


def sum_lanes(vector: Array) -> Any:
    """The sum of all lanes: of neighbours 8 apart, then 4, 2 and 1."""
    for step in (8, 4, 2, 1):
        vector = vector[:step] + vector[step : 2 * step]
    return vector[0]


def top_lane(vector: Array) -> Any:
    """The largest lane."""
    return np.fmax.reduce(vector)


def each_lane(function: Any) -> Any:
    """A function of vectors that applies one of scalars, compiled or not, to each lane."""
    if config.DISABLE_JIT:
        return lambda x: np.array([function(value) for value in x], x.dtype)

    @intrinsic
    def code(typing_context: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
            result = ir.Constant(args[0].type, ir.Undefined)
            scalar = signature.args[0].dtype
            for lane in range(LANES):
                number = ir.Constant(ir.IntType(32), lane)
                value = builder.extract_element(args[0], number)
                value = context.compile_internal(builder, function.py_func, scalar(scalar), [value])
                result = builder.insert_element(result, value, number)
            return result

        return x(x), codegen

    return code


def _halves(x: Array) -> Array:
    bits = x.view(np.uint32)
    rounded = bits + 0x7FFF + ((bits >> 16) & 1)
    return (np.where(np.isnan(x), bits | 0x400000, rounded) >> 16).astype(np.uint16)


# --- compiled code ----------------------------------------------------------------------------------------------------


def _suffix(vector: Value) -> str:
    return f"v{LANES}f64" if vector.type.element == ir.DoubleType() else f"v{LANES}f32"


def _same(*vectors: Any) -> Any:
    first = vectors[0]
    return first if isinstance(first, Vector) and all(vector == first for vector in vectors) else None


def _is_float(kind: Any) -> bool:
    return isinstance(kind.dtype, types.Float)


@instruction(load, lambda array, at: Vector(array.dtype), "array, at")
def _(e: Emitter, args: Any) -> Value:
    return e.builder.load(e.pointer(0, args, args[1]), align=1)


@instruction(store, lambda vector, array, at: types.void, "vector, array, at")
def _(e: Emitter, args: Any) -> None:
    e.builder.store(args[0], e.pointer(1, args, args[2]), align=1)


@instruction(spread, Vector, "scalar")
def _(e: Emitter, args: Any) -> Value:
    undefined = ir.Constant(ir.VectorType(args[0].type, LANES), ir.Undefined)
    first = e.builder.insert_element(undefined, args[0], ir.Constant(ir.IntType(32), 0))
    return e.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _operator(symbol: Any, on_floats: str, on_integers: str | None) -> None:
    @instruction(symbol, lambda a, b: _same(a, b) if isinstance(a, Vector) else None, "a, b")
    def _(e: Emitter, args: Any) -> Value:
        name = on_floats if _is_float(e.signature.args[0]) else on_integers
        return getattr(e.builder, str(name))(*args)


_operator(operator.add, "fadd", "add")
_operator(operator.sub, "fsub", "sub")
_operator(operator.mul, "fmul", "mul")
_operator(operator.truediv, "fdiv", None)
_operator(operator.or_, "or_", "or_")
_operator(operator.lshift, "shl", "shl")


@instruction(multiply_add, lambda a, b, c: _same(a, b, c), "a, b, c")
def _(e: Emitter, args: Any) -> Value:
    return e.call(f"llvm.fmuladd.{_suffix(args[0])}", args[0].type, *args)


@instruction(larger, lambda a, b: _same(a, b), "a, b")
def _(e: Emitter, args: Any) -> Value:
    return e.builder.select(e.builder.fcmp_ordered(">", *args), *args)


@instruction(less, lambda a, b, then, otherwise: then, "a, b, then, otherwise")
def _(e: Emitter, args: Any) -> Value:
    a, b, then, otherwise = args
    return e.builder.select(e.builder.fcmp_ordered("<", a, b), then, otherwise)


@instruction(between, lambda first, last, then, otherwise: then, "first, last, then, otherwise")
def _(e: Emitter, args: Any) -> Value:
    # Bits first to last of a mask: clip the ends to [0, 16] and [-1, 15] before they become shifts.
    builder, index, word = e.builder, args[0].type, ir.IntType(32)

    def clipped(value: Value, low: int, high: int) -> Value:
        low_, high_ = ir.Constant(index, low), ir.Constant(index, high)
        value = builder.select(builder.icmp_signed("<", value, low_), low_, value)
        return builder.trunc(builder.select(builder.icmp_signed(">", value, high_), high_, value), word)

    one, ones = ir.Constant(word, 1), ir.Constant(word, (1 << LANES) - 1)
    below = builder.sub(builder.shl(one, clipped(args[0], 0, LANES)), one)
    upto = builder.sub(builder.shl(one, builder.add(clipped(args[1], -1, LANES - 1), one)), one)
    bits = builder.and_(builder.and_(upto, builder.xor(below, ones)), ones)
    mask = builder.bitcast(builder.trunc(bits, ir.IntType(LANES)), ir.VectorType(ir.IntType(1), LANES))
    return builder.select(mask, args[2], args[3])


@instruction(exp2, lambda x: x, "x")
def _(e: Emitter, args: Any) -> Value:
    builder, (x,) = e.builder, args
    kind, words = x.type, ir.VectorType(ir.IntType(32), LANES)
    if kind.element == ir.DoubleType():
        power = e.call(f"llvm.exp.{_suffix(x)}", kind, builder.fmul(x, e.constant(kind, float(np.log(2.0)))))
    else:
        shifted = builder.fadd(x, e.constant(kind, _ROUNDER))
        fraction = builder.fsub(x, builder.fsub(shifted, e.constant(kind, _ROUNDER)))
        power = e.constant(kind, _POWER[-1])
        for coefficient in reversed(_POWER[:-1]):
            power = e.call("llvm.fmuladd.v16f32", kind, power, fraction, e.constant(kind, coefficient))
        exponent = builder.shl(builder.bitcast(shifted, words), e.constant(words, _MANTISSA))
        # Not by adding to its bits, and not `>=`: what is not a number has to stay so.
        power = builder.fmul(power, builder.bitcast(exponent, kind))
    lowest = e.constant(kind, float(_LOWEST_EXPONENT))
    return builder.select(builder.fcmp_ordered("<", x, lowest), e.constant(kind, 0.0), power)


@instruction(root, lambda x: x, "x")
def _(e: Emitter, args: Any) -> Value:
    return e.call(f"llvm.sqrt.{_suffix(args[0])}", args[0].type, args[0])


@instruction(magnitude, lambda x: x, "x")
def _(e: Emitter, args: Any) -> Value:
    return e.call(f"llvm.fabs.{_suffix(args[0])}", args[0].type, args[0])


@instruction(widen, lambda x: _DOUBLES, "x")
def _(e: Emitter, args: Any) -> Value:
    double = ir.VectorType(ir.DoubleType(), LANES)
    return args[0] if args[0].type == double else e.builder.fpext(args[0], double)


@instruction(narrow, lambda x, like: Vector(like.dtype), "x, like")
def _(e: Emitter, args: Any) -> Value:
    single = e.signature.args[1].dtype == types.float32
    return e.builder.fptrunc(args[0], ir.VectorType(ir.FloatType(), LANES)) if single else args[0]


@instruction(nearest, lambda x: _INTEGERS, "x")
def _(e: Emitter, args: Any) -> Value:
    # Within 2**22 of 0, as all are that are asked for: the sum's lowest bits are the integer.
    kind, words = args[0].type, ir.VectorType(ir.IntType(32), LANES)
    rounder = 1.5 * 2.0**23
    shifted = e.builder.bitcast(e.builder.fadd(args[0], e.constant(kind, rounder)), words)
    return e.builder.sub(shifted, e.constant(words, int(np.float32(rounder).view(np.int32))))


@instruction(reals, lambda x: _FLOATS, "x")
def _(e: Emitter, args: Any) -> Value:
    return e.builder.sitofp(args[0], ir.VectorType(ir.FloatType(), LANES))


@instruction(integers, lambda x: _INTEGERS, "x")
def _(e: Emitter, args: Any) -> Value:
    return e.builder.bitcast(args[0], ir.VectorType(ir.IntType(32), LANES))


def _rounded(e: Emitter, x: Value) -> Value:
    """The bfloat16 values nearest to x in the lower halves of words; the upper halves are 0."""
    builder, words = e.builder, ir.VectorType(ir.IntType(32), LANES)
    if has_bfloat16_conversion(e.context):
        halves = builder.fptrunc(x, ir.VectorType(Bfloat(), LANES))
        return builder.zext(builder.bitcast(halves, ir.VectorType(ir.IntType(16), LANES)), words)
    bits = builder.bitcast(x, words)
    odd = builder.and_(builder.lshr(bits, e.constant(words, 16)), e.constant(words, 1))
    rounded = builder.add(builder.add(bits, e.constant(words, 0x7FFF)), odd)
    quiet = builder.or_(bits, e.constant(words, 0x400000))
    return builder.lshr(builder.select(builder.fcmp_unordered("uno", x, x), quiet, rounded), e.constant(words, 16))


@instruction(pair, lambda low, high: _INTEGERS, "low, high")
def _(e: Emitter, args: Any) -> Value:
    low, high = (_rounded(e, x) for x in args)
    return e.builder.or_(low, e.builder.shl(high, e.constant(high.type, 16)))


@instruction(store_halves, lambda vector, array, at: types.void, "vector, array, at")
def _(e: Emitter, args: Any) -> None:
    halves = e.builder.trunc(_rounded(e, args[0]), ir.VectorType(ir.IntType(16), LANES))
    e.builder.store(halves, e.pointer(1, args, args[2]), align=1)


@instruction(store_across, lambda a, b, c, d, array, at, step: types.void, "a, b, c, d, array, at, step")
def _(e: Emitter, args: Any) -> None:
    # In groups of four lanes, of which most CPUs' registers hold one, two or four: pairs, then quadruples.
    quarters = range(0, LANES, 4)

    def interleaved(x: Value, y: Value, order: tuple[int, ...]) -> Value:
        places = [quarter + place for quarter in quarters for place in order]
        return e.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), LANES), places))

    low, high = (0, LANES, 1, LANES + 1), (2, LANES + 2, 3, LANES + 3)
    first, second = (0, 1, LANES, LANES + 1), (2, 3, LANES + 2, LANES + 3)
    a, b, c, d = args[:4]
    pairs = [(interleaved(a, b, half), interleaved(c, d, half)) for half in (low, high)]
    tokens = [interleaved(x, y, order) for x, y in pairs for order in (first, second)]
    for lane in range(LANES):
        places = ir.Constant(ir.VectorType(ir.IntType(32), 4), [lane // 4 * 4 + place for place in range(4)])
        at = e.builder.add(args[5], e.builder.mul(args[6], ir.Constant(args[6].type, lane)))
        four = e.builder.shuffle_vector(tokens[lane % 4], tokens[lane % 4], places)
        e.builder.store(four, e.pointer(4, args, at, lanes=4), align=1)


@instruction(sum_lanes, lambda vector: vector.dtype, "vector")
def _(e: Emitter, args: Any) -> Value:
    return e.fold(args[0], e.builder.fadd)


@instruction(top_lane, lambda vector: vector.dtype, "vector")
def _(e: Emitter, args: Any) -> Value:
    return e.fold(args[0], lambda a, b: e.builder.select(e.builder.fcmp_ordered(">", a, b), a, b))
