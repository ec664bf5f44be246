"""Register tiles of bfloat16 and int8 numbers, 2 or 4 of which stand in the place of a float; as `tile` does it."""

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types

from .tile import score_codegen, score_signature, value_codegen, value_signature
from .vectors import DotEmitter, Emitter, Value, intrinsic

__all__ = ["bfloat16_exponentials", "bfloat16_tiles", "bfloat16_value_tiles", "int8_tiles", "scale_sums"]


@intrinsic
def bfloat16_tiles(
    typing_context: Any,
    x: Any,
    x_at: Any,
    panels: Any,
    depth: Any,
    first: Any,
    count: Any,
    out: Any,
    out_at: Any,
    distance: Any,
) -> Any:
    """As `score_tiles`, where every float of x and panels is a pair of bfloat16 numbers; out holds floats."""
    return score_signature(x, panels, out), score_codegen(partial(DotEmitter, kind="bfloat16"))


@intrinsic
def int8_tiles(
    typing_context: Any,
    x: Any,
    x_at: Any,
    panels: Any,
    depth: Any,
    first: Any,
    count: Any,
    out: Any,
    out_at: Any,
    distance: Any,
) -> Any:
    """As `score_tiles`, where every float is four 8-bit integers, those of x without sign; out holds int32's bits."""
    return score_signature(x, panels, out), score_codegen(partial(DotEmitter, kind="int8"))


@intrinsic
def bfloat16_value_tiles(
    typing_context: Any,
    scores: Any,
    begin: Any,
    end: Any,
    values: Any,
    count: Any,
    out: Any,
    out_at: Any,
) -> Any:
    """As `value_tiles`, where every float of scores and values is a pair of bfloat16 numbers; out holds floats."""
    return value_signature(scores, values, out), value_codegen(partial(DotEmitter, kind="bfloat16"))


@intrinsic
def bfloat16_exponentials(typing_context: Any, scores: Any, base: Any, begin: Any, end: Any, top: Any) -> Any:
    """As `tile.exponentials` for scores[base + begin : base + end], rounded to bfloat16 numbers, whose sum it returns.

    The numbers lie side by side, from scores[base] on: half as far behind it as the scores did.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        row, top = builder.gep(e.data(signature.args[0], args[0]), [args[1]]), e.spread(args[4])
        halves = ir.VectorType(ir.IntType(16), e.lanes)
        numbers = builder.bitcast(row, ir.IntType(16).as_pointer())
        half, one, sixteen, quiet = (e.lane_constants([number] * e.lanes) for number in (0x7FFF, 1, 16, 0x7FC00000))
        total = e.variable(e.constant(0))
        with e.steps(args[2], args[3]) as (at, _):
            powers = e.exp2(builder.fsub(e.load(row, at), top))
            bits = builder.bitcast(powers, e.integers)
            # To nearest, ties to even; what is not a number has to stay so.
            odd = builder.and_(builder.lshr(bits, sixteen), one)
            bits = builder.select(
                builder.fcmp_unordered("uno", powers, powers), quiet, builder.add(bits, builder.add(half, odd))
            )
            upper = builder.lshr(bits, sixteen)
            place = builder.bitcast(builder.gep(numbers, [at]), halves.as_pointer())
            builder.store(builder.trunc(upper, halves), place, align=2)
            rounded = builder.bitcast(builder.shl(upper, sixteen), e.vector)
            builder.store(builder.fadd(builder.load(total), rounded), total)
        return e.fold(builder.load(total), builder.fadd)

    index = types.int64
    return types.float32(scores, index, index, index, types.float32), codegen


@intrinsic
def scale_sums(
    typing_context: Any,
    sums: Any,
    sums_at: Any,
    offsets: Any,
    factor: Any,
    factors: Any,
    first: Any,
    count: Any,
    out: Any,
    out_at: Any,
) -> Any:
    """out[c] = (sums[c] - offsets[c]) factor factors[first + c] for `count` columns, of a row of an int8 product.

    sums, from sums_at on: an int32's bits each, which the offsets, int32, take back if they went beyond it.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        sums, offsets, factors, out = (e.data(signature.args[i], args[i]) for i in (0, 2, 4, 7))
        sums, factors, out = (
            builder.gep(data, [at]) for data, at in ((sums, args[1]), (factors, args[5]), (out, args[8]))
        )
        offsets, count = builder.bitcast(offsets, factors.type), args[6]

        def scaled(load: Any, factor: Value, integer: Any, real: Any) -> Value:
            """One vector, or one number."""
            total = builder.sub(*(builder.bitcast(load(data), integer) for data in (sums, offsets)))
            return builder.fmul(builder.fmul(builder.sitofp(total, real), factor), load(factors))

        spread = e.spread(args[3])
        with e.steps(e.index(0), e.whole(count)) as (at, _):
            e.store(scaled(lambda data: e.load(data, at), spread, e.integers, e.vector), out, at)
        with e.steps(e.whole(count), count, 1) as (at, _):
            number = scaled(lambda data: builder.load(builder.gep(data, [at])), args[3], ir.IntType(32), ir.FloatType())
            builder.store(number, builder.gep(out, [at]))
        return context.get_dummy_value()

    index = types.int64
    return types.void(sums, index, offsets, types.float32, factors, index, index, out, index), codegen
