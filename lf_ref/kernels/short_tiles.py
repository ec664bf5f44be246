"""As `tile`, for bfloat16 and int8 numbers: 2 or 4 of them stand in the place of a float."""

from __future__ import annotations

from functools import partial
from typing import Any

from llvmlite import ir
from numba import types

from .tile import score_codegen, score_signature, value_codegen, value_signature
from .vectors import DotEmitter, Emitter, Value, intrinsic

__all__ = [
    "bfloat16_exponentials",
    "bfloat16_tiles",
    "bfloat16_value_tiles",
    "gather_bfloat16_pairs",
    "gather_bfloat16_row",
    "int8_tiles",
    "scale_sums",
]

_HALF = ir.IntType(16)


class _Bfloat(ir.types.Type):  # type: ignore[misc]  # llvmlite has no annotations
    """LLVM's bfloat, which llvmlite has no name for."""

    def _to_string(self) -> str:
        return "bfloat"


_BFLOAT = _Bfloat()


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
    """As `tile.exponentials` for scores[base + begin : base + end], and round the powers to bfloat16 numbers.

    These lie side by side, from scores[base] on: half as far behind it as the scores did. The sum is that of the
    rounded powers, so that the shares that the values are multiplied by add up to 1.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        row, top = builder.gep(e.data(signature.args[0], args[0]), [args[1]]), e.spread(args[4])
        total = e.variable(e.constant(0))
        with e.steps(args[2], args[3]) as (at, _):
            powers = e.exp2(builder.fsub(e.load(row, at), top))
            halves = _rounded(e, powers)
            _store_halves(e, halves, row, at)
            bits = builder.shl(builder.zext(halves, e.integers), e.lane_constants([16] * e.lanes))
            builder.store(builder.fadd(builder.load(total), builder.bitcast(bits, e.vector)), total)
        return e.fold(builder.load(total), builder.fadd)

    index = types.int64
    return types.float32(scores, index, index, index, types.float32), codegen


@intrinsic
def gather_bfloat16_row(typing_context: Any, matrix: Any, row: Any, factor: Any, flat: Any, flat_at: Any) -> Any:
    """As `tile.gather_row`, and round to bfloat16 numbers: pairs, from flat[flat_at] on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        source = e.row(signature.args[0], args[0], args[1])
        target = builder.gep(e.data(signature.args[3], args[3]), [args[4]])
        for part, start, stop in e.parts(e.length(signature.args[0], args[0], 1)):
            factors = part.spread(args[2])
            with part.steps(start, stop) as (at, _):
                _store_halves(part, _rounded(part, builder.fmul(part.load(source, at), factors)), target, at)
        return context.get_dummy_value()

    return types.void(matrix, types.int64, types.float32, flat, types.int64), codegen


@intrinsic
def gather_bfloat16_pairs(typing_context: Any, matrix: Any, row: Any, other: Any, flat: Any, flat_at: Any) -> Any:
    """flat[flat_at + k] = matrix[row, k] and matrix[other, k] for every k, rounded to a pair of bfloat16 numbers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        sources = [e.row(signature.args[0], args[0], args[index]) for index in (1, 2)]
        target = builder.gep(e.data(signature.args[3], args[3]), [args[4]])
        for part, start, stop in e.parts(e.length(signature.args[0], args[0], 1)):
            with part.steps(start, stop) as (at, _):
                first, second = (
                    builder.zext(_rounded(part, part.load(source, at)), part.integers) for source in sources
                )
                pair = builder.or_(first, builder.shl(second, part.lane_constants([16] * part.lanes)))
                part.store(builder.bitcast(pair, part.vector), target, at)
        return context.get_dummy_value()

    return types.void(matrix, types.int64, types.int64, flat, types.int64), codegen


def _rounded(e: Emitter, x: Value) -> Value:
    """The bits of the bfloat16 numbers nearest to x, ties to even; numbers below 2**-126 may count as 0."""
    builder = e.builder
    return builder.bitcast(builder.fptrunc(x, ir.VectorType(_BFLOAT, e.lanes)), ir.VectorType(_HALF, e.lanes))


def _store_halves(e: Emitter, halves: Value, data: Value, index: Value) -> None:
    """Write 16 bits for each lane, from place `index` on if data held such."""
    place = e.builder.gep(e.builder.bitcast(data, _HALF.as_pointer()), [index])
    e.builder.store(halves, e.builder.bitcast(place, halves.type.as_pointer()), align=2)


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

    sums, from sums_at on, have the bits of an int32 each; what they went beyond that, the offsets, int32, take back.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        sums, offsets, factors, out = (
            builder.gep(e.data(signature.args[array], args[array]), [at])
            for array, at in ((0, args[1]), (2, e.index(0)), (4, args[5]), (7, args[8]))
        )
        offsets = builder.bitcast(offsets, sums.type)
        for part, start, stop in e.parts(args[6]):
            factor = part.spread(args[3])
            with part.steps(start, stop) as (at, _):
                total = builder.sub(*(builder.bitcast(part.load(data, at), part.integers) for data in (sums, offsets)))
                scaled = builder.fmul(builder.fmul(builder.sitofp(total, part.vector), factor), part.load(factors, at))
                part.store(scaled, out, at)
        return context.get_dummy_value()

    index = types.int64
    return types.void(sums, index, offsets, types.float32, factors, index, index, out, index), codegen
