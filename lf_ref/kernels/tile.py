"""Products on register tiles, maxima and exponentials on vectors as LLVM code.

Compilers do not find these from loops: the accumulators of a product have to stay in registers, and a maximum
of floats is not vectorised at all.

Flat arrays are float32 and C-contiguous, and `*_at` is the index where the operand begins in one; the rows of
a matrix may lie any distance apart, the numbers of a row lie side by side. `lanes` is the length of a
vector. Nothing is checked.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from numba import types

from . import vectors
from .vectors import Emitter, Value, intrinsic

__all__ = [
    "CHUNK",
    "ROWS",
    "SCORE_ROW",
    "exponentials",
    "fingerprint",
    "gather_panel",
    "gather_row",
    "mask_and_maximum",
    "scatter_row",
    "score_codegen",
    "score_signature",
    "score_tiles",
    "value_codegen",
    "value_signature",
    "value_tiles",
    "vector_lanes",
]

ROWS = 6  # rows of a register tile: the queries done together
CHUNK = 1024  # keys that one row of the scores has room for
SCORE_ROW = CHUNK + 16  # from one row of the scores to the next: no power of two, so they do not share cache sets


def fingerprint() -> str:
    """What a kernel has to put into its key for Numba's disk cache, which looks at the kernel's file only."""
    sources = inspect.getsource(sys.modules[__name__]) + inspect.getsource(vectors)
    return hashlib.sha256(sources.encode()).hexdigest()


@intrinsic
def vector_lanes(typing_context: Any, fingerprint: Any) -> Any:
    """How many floats a vector holds; the argument only has to be named."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        return Emitter(context, builder).index(vectors.tile_shape(context).lanes)

    return types.int64(fingerprint), codegen


class _Operands(NamedTuple):
    """Where a tile finds its numbers: left(k, row), right(k, column), and place(row, column) of the result.

    left gives a float, right and place speak of vectors; place gives a pointer and an index.
    """

    left: Callable[[Value, int], Value]
    right: Callable[[Value, int], Value]
    place: Callable[[int, int], tuple[Value, Value]]


def _emit_tile(e: Emitter, columns: int, depth: Value, operands: _Operands, accumulate: bool) -> None:
    """result(row, column) (+)= sum_k left(k, row) right(k, column) for ROWS rows and `columns` vectors."""
    builder = e.builder
    cells = [(row, column) for row in range(ROWS) for column in range(columns)]
    sums = {cell: e.variable(e.load(*operands.place(*cell)) if accumulate else e.constant(0)) for cell in cells}
    with e.steps(e.index(0), depth, 1) as (k, _):
        rights = [operands.right(k, column) for column in range(columns)]
        for row in range(ROWS):
            left = e.spread(operands.left(k, row))
            for column in range(columns):
                cell = sums[row, column]
                builder.store(e.multiply_add(left, rights[column], builder.load(cell)), cell)
    for cell in cells:
        e.store(builder.load(sums[cell]), *operands.place(*cell))


def _emit_tiles(e: Emitter, count: Value, tile: Callable[[int, Value], None]) -> None:
    """Call tile(columns, first) so that tiles cover `count` vectors, each as wide as the registers allow."""
    builder = e.builder
    widest = e.index(e.vectors)
    whole = builder.mul(builder.sdiv(count, widest), widest)
    with e.steps(e.index(0), whole, e.vectors) as (first, _):
        tile(e.vectors, first)
    rest = builder.sub(count, whole)
    for columns in range(1, e.vectors):
        with builder.if_then(builder.icmp_signed("==", rest, e.index(columns))):
            tile(columns, whole)


@intrinsic
def score_tiles(
    typing_context: Any,
    queries: Any,
    query_at: Any,
    keys: Any,
    depth: Any,
    first: Any,
    count: Any,
    scores: Any,
    score_at: Any,
    distance: Any,
) -> Any:
    """scores[r, c] = sum_k queries[r, k] keys[c // lanes, k, c % lanes] for the columns of `count` panels.

    queries (ROWS, depth); keys (panels, depth, lanes), from panel `first` on; scores: rows `distance` apart.
    """
    return score_signature(queries, keys, scores), score_codegen(Emitter)


def score_signature(queries: Any, keys: Any, scores: Any) -> Any:
    """The types of the arguments of `score_tiles`, from those of its arrays."""
    index = types.int64
    return types.void(queries, index, keys, index, index, index, scores, index, index)


def score_codegen(emitter: Callable[[Any, Any], Emitter]) -> Callable[..., Value]:
    """The code of `score_tiles`, in the instructions of an emitter."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = emitter(context, builder)
        query_data, key_data, score_data = (e.data(signature.args[i], args[i]) for i in (0, 2, 6))
        query_at, depth, first_panel, count, score_at, distance = (args[i] for i in (1, 3, 4, 5, 7, 8))
        lanes, add, mul = e.index(e.lanes), builder.add, builder.mul

        def tile(columns: int, first: Value) -> None:
            numbers = [add(add(first_panel, first), e.index(column)) for column in range(columns)]
            panels = [mul(number, mul(depth, lanes)) for number in numbers]
            places = [mul(number, lanes) for number in numbers]
            rows = [add(query_at, mul(depth, e.index(row))) for row in range(ROWS)]
            outs = [add(score_at, mul(distance, e.index(row))) for row in range(ROWS)]
            operands = _Operands(
                lambda k, row: builder.load(builder.gep(query_data, [add(rows[row], k)])),
                lambda k, column: e.load(key_data, add(panels[column], mul(k, lanes))),
                lambda row, column: (score_data, add(outs[row], places[column])),
            )
            _emit_tile(e, columns, depth, operands, accumulate=False)

        _emit_tiles(e, count, tile)
        return context.get_dummy_value()

    return codegen


@intrinsic
def value_tiles(
    typing_context: Any,
    scores: Any,
    begin: Any,
    end: Any,
    values: Any,
    count: Any,
    out: Any,
    out_at: Any,
) -> Any:
    """out[r, c] += sum_k scores[r, k] values[k, c] for k in [begin, end) and the columns of `count` vectors.

    scores: rows SCORE_ROW apart; values (keys, count * lanes); out (ROWS, count * lanes).
    """
    return value_signature(scores, values, out), value_codegen(Emitter)


def value_signature(scores: Any, values: Any, out: Any) -> Any:
    """The types of the arguments of `value_tiles`, from those of its arrays."""
    index = types.int64
    return types.void(scores, index, index, values, index, out, index)


def value_codegen(emitter: Callable[[Any, Any], Emitter]) -> Callable[..., Value]:
    """The code of `value_tiles`, in the instructions of an emitter."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = emitter(context, builder)
        score_data, value_data, out_data = (e.data(signature.args[i], args[i]) for i in (0, 3, 5))
        begin, end, count, out_at = (args[i] for i in (1, 2, 4, 6))
        add, mul = builder.add, builder.mul
        width = mul(count, e.index(e.lanes))

        def tile(columns: int, first: Value) -> None:
            places = [mul(add(first, e.index(column)), e.index(e.lanes)) for column in range(columns)]
            rows = [add(out_at, mul(width, e.index(row))) for row in range(ROWS)]
            operands = _Operands(
                lambda k, row: builder.load(builder.gep(score_data, [add(add(begin, k), e.index(row * SCORE_ROW))])),
                lambda k, column: e.load(value_data, add(places[column], mul(add(begin, k), width))),
                lambda row, column: (out_data, add(rows[row], places[column])),
            )
            _emit_tile(e, columns, builder.sub(end, begin), operands, accumulate=True)

        _emit_tiles(e, count, tile)
        return context.get_dummy_value()

    return codegen


@intrinsic
def mask_and_maximum(typing_context: Any, scores: Any, begin: Any, end: Any, near: Any, far: Any, initial: Any) -> Any:
    """Set scores[begin:near] and scores[far:end] to -inf; return the largest of initial and scores[near:far].

    begin <= near <= far <= end, and end - begin is a multiple of the lanes.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        data = e.data(signature.args[0], args[0])
        begin, end, near, far, initial = args[1:]
        best = e.variable(e.spread(initial))

        def visit(start: Value, stop: Value, masked: bool) -> None:
            with e.steps(start, stop) as (at, _):
                part = e.load(data, at)
                if masked:
                    part = e.keep(e.inside(at, near, far), part, -math.inf)
                    e.store(part, data, at)
                builder.store(e.larger(part, builder.load(best)), best)

        # Only vectors that hold an edge need the mask; one that holds both is visited twice, to no harm.
        first = builder.add(begin, e.whole(builder.sub(builder.add(near, e.index(e.lanes - 1)), begin)))
        last = builder.add(begin, e.whole(builder.sub(far, begin)))
        visit(begin, first, masked=True)
        visit(first, last, masked=False)
        visit(last, end, masked=True)
        return e.fold(builder.load(best), e.larger)

    index = types.int64
    return types.float32(scores, index, index, index, index, types.float32), codegen


@intrinsic
def exponentials(typing_context: Any, scores: Any, begin: Any, end: Any, top: Any) -> Any:
    """Overwrite scores[begin:end], a multiple of the lanes, by 2**(scores - top) and return their sum."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        data, top = e.data(signature.args[0], args[0]), e.spread(args[3])
        total = e.variable(e.constant(0))
        with e.steps(args[1], args[2]) as (at, _):
            powers = e.exp2(builder.fsub(e.load(data, at), top))
            e.store(powers, data, at)
            builder.store(builder.fadd(builder.load(total), powers), total)
        return e.fold(builder.load(total), builder.fadd)

    return types.float32(scores, types.int64, types.int64, types.float32), codegen


@intrinsic
def gather_row(typing_context: Any, matrix: Any, row: Any, factor: Any, flat: Any, flat_at: Any) -> Any:
    """flat[flat_at + k] = factor * matrix[row, k] for every k."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        source = e.row(signature.args[0], args[0], args[1])
        target = builder.gep(e.data(signature.args[3], args[3]), [args[4]])
        _emit_scaled_copy(e, source, target, args[2], e.length(signature.args[0], args[0], 1))
        return context.get_dummy_value()

    return types.void(matrix, types.int64, types.float32, flat, types.int64), codegen


@intrinsic
def scatter_row(typing_context: Any, flat: Any, flat_at: Any, factor: Any, matrix: Any, row: Any) -> Any:
    """matrix[row, k] = factor * flat[flat_at + k] for every k."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        source = builder.gep(e.data(signature.args[0], args[0]), [args[1]])
        target = e.row(signature.args[3], args[3], args[4])
        _emit_scaled_copy(e, source, target, args[2], e.length(signature.args[3], args[3], 1))
        return context.get_dummy_value()

    return types.void(flat, types.int64, types.float32, matrix, types.int64), codegen


def _emit_scaled_copy(e: Emitter, source: Value, target: Value, factor: Value, count: Value) -> None:
    for part, start, stop in e.parts(count):
        factors = part.spread(factor)
        with part.steps(start, stop) as (at, _):
            part.store(part.builder.fmul(part.load(source, at), factors), target, at)


@intrinsic
def gather_panel(typing_context: Any, matrix: Any, positions: Any, first: Any, panels: Any, panel_at: Any) -> Any:
    """panels[panel_at + k * lanes + c] = matrix[positions[first + c], k] for every k and c < lanes."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Value:
        e = Emitter(context, builder)
        matrix_type, matrix, first = signature.args[0], args[0], args[2]
        positions = e.data(signature.args[1], args[1])
        panel = builder.gep(e.data(signature.args[3], args[3]), [args[4]])
        depth, lanes = e.length(matrix_type, matrix, 1), e.index(e.lanes)
        sources = []
        for lane in range(e.lanes):
            position = builder.load(builder.gep(positions, [builder.add(first, e.index(lane))]))
            sources.append(e.row(matrix_type, matrix, position))
        with e.steps(e.index(0), e.whole(depth)) as (k, _):
            for row, vector in enumerate(e.transposed([e.load(source, k) for source in sources])):
                e.store(vector, panel, builder.mul(builder.add(k, e.index(row)), lanes))
        with e.steps(e.whole(depth), depth, 1) as (k, _):
            for lane, source in enumerate(sources):
                place = builder.add(builder.mul(k, lanes), e.index(lane))
                builder.store(builder.load(builder.gep(source, [k])), builder.gep(panel, [place]))
        return context.get_dummy_value()

    return types.void(matrix, positions, types.int64, panels, types.int64), codegen
