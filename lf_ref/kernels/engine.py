"""The kernels behind the names and signatures of `lf_ref.reference.ops`, and the parts of an encoder layer on lanes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .attention import band, global_rows
from .attention.probabilities import band_probabilities_kernel
from .cpu.dispatch import microkernel
from .layout.lanes import enter_kernel, gather_kernel, leave_kernel
from .layout.vectors import LANES
from .matmul.linear import linear_kernel
from .matmul.microkernel import values_per_word
from .matmul.operands import ELEMENTS, Operand, frozen
from .matmul.weights import ReducedWeight, Weights, filled, kind_of
from .rows.activations import activation_kernel
from .rows.norm import norm_kernel
from .rows.rounding import bfloat16_kernel, int8_kernel
from .threads import Threads

__all__ = ["Attention", "Kernels", "Row"]

Array = NDArray[Any]
Matrix = Array | ReducedWeight
Parameters = Mapping[str, Any]
Tasks = list[tuple[Any, ...]]

_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2, "int8": 4}  # of an activation between two linear maps
_HEAD_STEP = 32  # channels: a multiple of the rows of every tile but one, and of the depth
_ATTENTION_PANELS = 16  # of queries that a task of the band attention does
_LOG2_E = 1.4426950408889634
_NO_SCALES = frozen(np.empty(0, np.float32))
_NO_POSITIONS = frozen(np.empty(0, np.int64))
_SLACK = 32  # keys that a tile may read beyond the last, and tokens that keep rows of values out of each other's way


@cache
def _second_level_cache() -> int:
    """The bytes of a core's second-level cache, as far as the system says."""
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text()
        return max(1 << 18, int(size.strip().removesuffix("K")) << 10)
    except (OSError, ValueError):  # not on macOS and Windows
        return 1 << 20


class Row(Protocol):
    """Where the tokens of one row of a batch lie, and who attends to whom: see `lf_ref.model.plan.Row`."""

    @property
    def start(self) -> int: ...  # noqa: D102
    @property
    def count(self) -> int: ...  # noqa: D102
    @property
    def visible(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def local(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def queries(self) -> slice: ...  # noqa: D102
    @property
    def globals(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def global_queries(self) -> NDArray[np.int64]: ...  # noqa: D102


class Attention(NamedTuple):
    """Queries in lanes, keys by token, values by channel, and room for the context, which may be that of the queries.

    query, context: [panels, channels, 16]; keys, values, sizes: see `band`.
    """

    query: Array
    keys: Array
    values: Array
    context: Array
    sizes: band.Sizes
    heads: int
    head_dim: int

    @property
    def factor(self) -> float:
        """What turns scores into exponents of 2."""
        return float(_LOG2_E / self.head_dim**0.5)


class Kernels:
    """The operations of the fast path.

    Tokens in lanes are float32 or float64 [panels, channels, 16], with the channels `filled` up; everything else is
    [..., channels]. Weights of linear maps may be of reduced precision instead. The results of a token depend on its
    row alone, to the bit: not on its lane, the batch, or the number of threads.
    """

    def __init__(self, threads: Threads, kind: str) -> None:
        """kind: of the weights, "float32", "float64", "bfloat16" or "int8", of which the last attends in bfloat16."""
        self._threads, self.kind = threads, kind
        self._attention_kind = "bfloat16" if kind == "int8" else kind
        self.dtype = np.dtype(np.float64 if kind == "float64" else np.float32)
        self._ready = Weights()

    # --- vectors of tokens ----------------------------------------------------------------------------------------

    def linear(self, x: Array, weight: Matrix, bias: Array) -> Array:
        """x W^T + b.  # [..., m], [n, m], [n] -> [..., n]"""
        flat = np.ascontiguousarray(x, self.dtype).reshape(-1, x.shape[-1])
        ready, kind = self._ready(weight, bias), kind_of(weight)
        compute, leave = linear_kernel(kind, "lanes"), leave_kernel(self.dtype)
        out, total = np.empty((len(flat), len(weight)), self.dtype), len(ready.rows)
        blocks = self.blocks(-(-len(flat) // LANES), filled(x.shape[-1]))
        tile, pieces = microkernel(kind).rows, -(-2 * self._threads.count // max(1, len(blocks)))
        height = -(-total // (pieces * tile)) * tile

        def some(first: int, last: int, row: int) -> None:
            rows, end = flat[first * LANES : last * LANES], min(row + height, total)
            lanes = np.empty((last - first) * (end - row) * LANES, self.dtype)
            operand = self._operand(self.enter(rows), kind, ready.rows.shape[1])
            compute(operand, ready, (last - first, row, end), (0, end - row, row), lanes)
            block = 0, len(rows), row, max(0, min(end, len(weight)) - row)
            leave(frozen(lanes), end - row, frozen(np.arange(len(rows))), block, out[first * LANES : last * LANES])

        self._threads.run(some, [(*block, row) for row in range(0, total, height) for block in blocks])
        return out.reshape(*x.shape[:-1], len(weight))

    def activation(self, x: Array, name: str) -> Array:
        """The activation that HF calls `name`.  # [..., n] -> [..., n]"""
        flat = np.zeros(-(-x.size // LANES) * LANES, self.dtype)
        flat[: x.size] = x.reshape(-1)
        activation_kernel(name, self.dtype)(flat)
        return flat[: x.size].reshape(x.shape)

    def tanh(self, x: Array) -> Array:
        """The hyperbolic tangent."""
        return np.tanh(x)

    def layer_norm(self, x: Array, weight: Array, bias: Array, eps: float) -> Array:
        """Each vector shifted to mean 0 and scaled to variance 1, then weight and bias.  # [..., n] -> [..., n]"""
        flat = np.ascontiguousarray(x, self.dtype).reshape(-1, x.shape[-1])
        lanes = self.enter(flat)
        self.normalise(lanes, weight, bias, eps)
        return self.leave(lanes, np.arange(len(flat)), x.shape[-1]).reshape(x.shape)

    # --- into lanes and out of them -------------------------------------------------------------------------------

    @property
    def step(self) -> int:
        """Rows of a batch begin at a multiple of so many tokens."""
        return band.grain(self._attention_kind)

    LANES = LANES

    def lanes(self, tokens: int, channels: int) -> Array:
        """Room for so many tokens, not yet filled.  # [panels, channels filled up, 16]"""
        return np.empty((-(-tokens // LANES), filled(channels), LANES), self.dtype)

    def enter(self, rows: Array, out: Array | None = None) -> Array:
        """Write rows [n, channels] into lanes, on this thread; zeros are filled in."""
        lanes = self.lanes(*rows.shape) if out is None else out
        enter_kernel(self.dtype)(frozen(rows), lanes.shape[1], lanes.reshape(-1))
        return lanes

    def rows(self, lanes: Array, channels: int) -> Array:
        """All tokens of lanes.  # -> [16 panels, channels]"""
        return self.leave(lanes, np.arange(len(lanes) * LANES), channels)

    def leave(self, lanes: Array, slots: Array, channels: int) -> Array:
        """The tokens at some slots, a slot being panel * 16 + lane.  # lanes, int64 [n] -> [n, channels]"""
        out = np.empty((len(slots), channels), self.dtype)
        kernel, slots, flat = leave_kernel(self.dtype), frozen(slots), frozen(lanes.reshape(-1))
        step = max(LANES, -(-len(slots) // (4 * self._threads.count)))

        def some(start: int) -> None:
            block = start, min(start + step, len(slots)), 0, channels
            kernel(flat, lanes.shape[1], slots, block, out)

        self._threads.run(some, [(start,) for start in range(0, len(slots), step)])
        return out

    def gather(self, lanes: Array, slots: Array) -> Array:
        """The tokens at some slots, in lanes of their own.  # lanes, int64 [16 panels] -> lanes"""
        out = np.empty((len(slots) // LANES, *lanes.shape[1:]), lanes.dtype)
        kernel, slots, flat = gather_kernel(lanes.dtype), frozen(slots), frozen(lanes.reshape(-1))

        def some(first: int, last: int) -> None:
            kernel(flat, slots, lanes.shape[1], first, last, out.reshape(-1))

        self._threads.run(some, self.blocks(len(out), lanes.shape[1]))
        return out

    # --- a block of panels, on this thread ------------------------------------------------------------------------

    def blocks(self, panels: int, channels: int) -> list[tuple[int, int]]:
        """Panels cut so that a block's activations of so many channels stay in the second-level cache, and all threads
        have equally many blocks."""
        most = max(1, _second_level_cache() * 3 // 4 // (channels * LANES * _BYTES[self.kind]))
        count = -(-panels // min(most, max(1, -(-panels // self._threads.count))))
        if count > self._threads.count:
            count = -(-count // self._threads.count) * self._threads.count
        size = -(-panels // max(1, count))
        return [(first, min(first + size, panels)) for first in range(0, panels, max(1, size))]

    def run(self, task: Callable[..., object], blocks: Sequence[tuple[Any, ...]]) -> None:
        """Call the task with each block, on all threads."""
        self._threads.run(task, blocks)

    def normalise(self, lanes: Array, weight: Array, bias: Array, eps: float) -> None:
        """Overwrite each token by its norm.  # lanes, [channels], [channels]"""
        norm_kernel(self.dtype)(lanes.reshape(-1), len(lanes), lanes.shape[1], frozen(weight), frozen(bias), float(eps))

    def add_linear(self, x: Array | Operand, weight: Matrix, bias: Array, residual: Array, heads: int = 0) -> None:
        """residual += W x + b.  # lanes, [n, m], [n], lanes; heads: those that the channels of x are of"""
        ready, kind = self._ready(weight, bias, columns=heads), kind_of(weight)
        operand = x if isinstance(x, Operand) else self._operand(x, kind, ready.rows.shape[1])
        block, layout = (len(residual), 0, len(ready.rows)), (0, residual.shape[1], 0)
        linear_kernel(kind, "add")(operand, ready, block, layout, residual.reshape(-1))

    def linear_activation(self, x: Array, weight: Matrix, bias: Array, name: str) -> Array | Operand:
        """activation(W x + b), as another linear map of the same kind takes it.  # lanes, [n, m], [n] -> lanes"""
        ready, kind = self._ready(weight, bias), kind_of(weight)
        operand, block = self._operand(x, kind, ready.rows.shape[1]), (len(x), 0, len(ready.rows))
        if kind == "bfloat16":
            step = microkernel(kind).step
            words = -(-len(ready.rows) // 2 // step) * step
            make = np.empty if 2 * words == len(ready.rows) else np.zeros
            out = make(len(x) * words * LANES, np.int32)
            linear_kernel(kind, "words", name)(operand, ready, block, (0, words, 0), out)
            return Operand(frozen(out), _NO_SCALES)
        out = np.empty((len(x), len(ready.rows), LANES), self.dtype)
        linear_kernel(kind, "lanes", name)(operand, ready, block, (0, len(ready.rows), 0), out.reshape(-1))
        return out

    def _operand(self, x: Array, kind: str, depth: int) -> Operand:
        """Tokens in lanes as the right side of a product.  # [panels, channels, 16] -> [panels, depth, 16] elements"""
        if x.dtype == ELEMENTS[kind]:
            return Operand(frozen(x.reshape(-1)), _NO_SCALES)
        out, sizes = np.empty(len(x) * depth * LANES, np.int32), (len(x), x.shape[1], depth)
        if kind == "bfloat16":
            bfloat16_kernel()(frozen(x.reshape(-1)), sizes, out)
            return Operand(frozen(out), _NO_SCALES)
        scales = np.empty(len(x) * LANES, np.float32)
        int8_kernel()(frozen(x.reshape(-1)), sizes, out, scales)
        return Operand(frozen(out), frozen(scales))

    # --- attention ------------------------------------------------------------------------------------------------

    def attention_room(self, panels: int, hidden: int, heads: int) -> Attention:
        """Room for the queries, keys, values and context of so many panels, not yet filled."""
        kind, tokens = self._attention_kind, panels * LANES
        per_word, element = values_per_word(kind), ELEMENTS[kind]
        width = -(-(hidden // heads) // _HEAD_STEP) * _HEAD_STEP
        stride = (tokens + _SLACK) // per_word
        query = np.empty((panels, heads * width // per_word, LANES), element)
        keys = np.empty((heads * tokens + _SLACK) * width // per_word, element)
        values = np.empty(heads * width * stride, element)
        in_words = self.kind == "bfloat16"
        in_place = in_words or per_word == 1
        context = query if in_place else np.empty((panels, heads * width, LANES), self.dtype)
        sizes = band.Sizes(width, tokens, stride, query.shape[1], context.shape[1])
        return Attention(query, keys, values, context, sizes, heads, hidden // heads)

    def project(self, x: Array, weights: Parameters, room: Attention, first: int, suffix: str = "") -> None:
        """Write queries, keys and values of a block that begins at panel `first`; suffix: "_global" for these."""
        reduced = self._attention_kind == "bfloat16"
        sizes, kind = room.sizes, kind_of(weights[f"query{suffix}.weight"])
        operand = None
        for name, epilogue, out, layout in (
            ("query", "words" if reduced else "lanes", room.query, (first, sizes.query_width, 0)),
            ("key", "rows", room.keys, (first, sizes.tokens, sizes.head)),
            ("value", "columns", room.values, (first, sizes.stride * (2 if reduced else 1), 0)),
        ):
            ready = self._ready(weights[f"{name}{suffix}.weight"], weights[f"{name}{suffix}.bias"], rows=room.heads)
            operand = operand or self._operand(x, kind, ready.rows.shape[1])
            target = out.reshape(-1)
            if reduced and name != "query":
                target = target.view(np.uint16)
            linear_kernel(kind, epilogue)(operand, ready, (len(x), 0, len(ready.rows)), layout, target)

    def attend(self, hidden: Array, room: Attention, rows: Sequence[Row], weights: Parameters, one_sided: int) -> Array:
        """What each query gathers; returns the context, 0 for masked tokens.  # lanes

        Local queries see the global tokens of their row and the local ones within `one_sided`; global queries see all
        visible tokens, through projections of their own. hidden: the tokens that the projections in `room` are of.
        """
        tasks: Tasks = []
        heads = room.heads
        unwritten = np.ones(len(room.context), bool)
        for row in rows:
            masks, first = (frozen(row.local), frozen(row.local)), row.start // LANES
            panels = range(row.queries.start // LANES, -(-row.queries.stop // LANES))
            unwritten[first + panels.start : first + panels.stop] = False
            self._hide_masked(room, row)
            tasks += self._band_tasks(room, masks, row.globals, (row.start, first, one_sided), panels)
        asking = [row for row in rows if len(row.global_queries)]
        few = [
            row for row in asking if global_rows.worth(weights["query.weight"].shape[1], len(row.global_queries), heads)
        ]
        folded = self._folded(hidden, few, weights, heads)
        chunks = [self._chunks(hidden, row, query) for row, query in zip(few, folded, strict=True)]
        for _, chunk_tasks in chunks:
            tasks += chunk_tasks
        self._threads.run(_call, tasks)
        room.context[unwritten] = 0
        for row, (parts, _) in zip(few, chunks, strict=True):
            self._put(room, row, self._projected(parts, len(row.global_queries), weights, heads))
        for row in asking:
            if not any(row is other for other in few):
                self._put(room, row, self._attend_globally(hidden, row, weights, heads))
        return room.context

    def _hide_masked(self, room: Attention, row: Row) -> None:
        """Let the values of masked tokens be 0: they are multiplied by 0, and 0 times NaN or infinity is NaN."""
        places = row.start + np.flatnonzero(~row.visible[: row.count])
        elements = room.values.view(np.uint16) if self._attention_kind == "bfloat16" else room.values
        elements.reshape(room.heads * room.sizes.head, -1)[:, places] = 0

    def _band_tasks(
        self, room: Attention, masks: tuple[Array, Array], positions: Array, place: tuple[int, int, int], panels: range
    ) -> Tasks:
        """The calls of the band kernel for a row; place: its first token, its first panel of queries, one_sided."""
        kernel = band.attention_kernel(self._attention_kind, self.kind == "bfloat16")
        keys = band.Keys(frozen(room.keys), frozen(room.values))
        query, context, positions = frozen(room.query.reshape(-1)), room.context.reshape(-1), frozen(positions)
        (origin, first, one_sided), factor = place, self.dtype.type(room.factor)
        stops = [*range(panels.start, panels.stop, _ATTENTION_PANELS), panels.stop]
        return [
            (
                kernel,
                query,
                keys,
                masks,
                positions,
                (head, origin, first, *block, one_sided),
                room.sizes,
                factor,
                context,
            )
            for head in range(room.heads)
            for block in pairwise(stops)
        ]

    def _folded(self, hidden: Array, rows: Sequence[Row], weights: Parameters, heads: int) -> list[Array]:
        """The global queries of some rows, each head's times its key projection.  # each [heads * g, filled up, hidden]"""
        if not rows:
            return []
        positions = np.concatenate([row.start + row.global_queries for row in rows])
        weight, channels = weights["key_global.weight"], weights["query_global.weight"].shape[1]
        query = self.linear(
            self.leave(hidden, positions, channels), weights["query_global.weight"], weights["query_global.bias"]
        )
        size = query.shape[1] // heads
        folded = np.empty((heads, len(query), channels), self.dtype)
        kernel, scale = global_rows.fold_kernel(self.dtype), self.dtype.type(_LOG2_E / size**0.5)

        def fold(head: int) -> None:
            part = slice(head * size, (head + 1) * size)
            some = np.ascontiguousarray(query[:, part])
            kernel(frozen(some), frozen(np.ascontiguousarray(weight[part])), scale, folded[head])

        self._threads.run(fold, [(head,) for head in range(heads)])
        found, done = [], 0
        for row in rows:
            count = len(row.global_queries)
            padded = np.zeros((-(-heads * count // global_rows.ROWS) * global_rows.ROWS, channels), self.dtype)
            padded[: heads * count] = folded[:, done : done + count].reshape(-1, channels)
            found.append(padded)
            done += count
        return found

    def _chunks(self, hidden: Array, row: Row, folded: Array) -> tuple[tuple[Array, Array, Array], Tasks]:
        """Where the sums of each chunk of a row go, and the calls that write them."""
        panels = -(-len(row.visible) // LANES)
        stops = [*range(0, panels, global_rows.CHUNK_PANELS), panels]
        parts = tuple(
            np.empty((len(stops) - 1, *shape), self.dtype)
            for shape in (folded.shape[:1], folded.shape[:1], folded.shape)
        )
        kernel, x, width = global_rows.chunk_kernel(self.dtype), frozen(hidden.reshape(-1)), hidden.shape[1]
        shared = frozen(folded), frozen(row.visible)
        tasks: Tasks = [
            (kernel, x, width, (row.start // LANES, *block), *shared, *(part[index] for part in parts))
            for index, block in enumerate(pairwise(stops))
        ]
        return parts, tasks

    def _projected(self, parts: tuple[Array, Array, Array], count: int, weights: Parameters, heads: int) -> Array:
        """The averages of all chunks, each head's through its value projection.  # -> [g, heads * D]"""
        weight, bias = weights["value_global.weight"], weights["value_global.bias"]
        averages = global_rows.combined(*parts)
        size = len(bias) // heads
        out = np.empty((heads, count, size), self.dtype)
        kernel = global_rows.project_kernel(self.dtype)

        def project(head: int) -> None:
            some = averages[head * count : (head + 1) * count]
            part = np.ascontiguousarray(weight[head * size : (head + 1) * size])
            kernel(frozen(some), frozen(part), out[head])

        self._threads.run(project, [(head,) for head in range(heads)])
        projected: Array = out.swapaxes(0, 1).reshape(count, -1)
        return projected + bias

    def _attend_globally(self, hidden: Array, row: Row, weights: Parameters, heads: int) -> Array:
        """As the rows of local queries, with a window that holds everything.  # -> [g, heads * D]"""
        channels, count = weights["query_global.weight"].shape[1], len(row.global_queries)
        tokens = self.leave(hidden, row.start + row.global_queries, channels)
        queries = self.attention_room(-(-count // LANES), channels, heads)
        first, panels = row.start // LANES, -(-len(row.visible) // LANES)
        room = self.attention_room(panels, channels, heads)
        lanes = hidden[first : first + panels]
        self._threads.run(
            lambda start, stop: self.project(lanes[start:stop], weights, room, start, "_global"),
            self.blocks(panels, lanes.shape[1]),
        )
        self.project(self.enter(tokens), weights, queries, 0, "_global")
        asked = np.zeros(len(row.visible), bool)
        asked[:count] = True
        mixed = queries._replace(keys=room.keys, values=room.values, sizes=room.sizes)
        everything = 2 * len(row.visible) + LANES
        masks = frozen(row.visible), frozen(asked)
        self._threads.run(
            _call, self._band_tasks(mixed, masks, _NO_POSITIONS, (0, 0, everything), range(len(queries.query)))
        )
        return np.ascontiguousarray(self.context_rows(mixed.context, mixed)[:count])

    def context_rows(self, context: Array, room: Attention) -> Array:
        """The context of all tokens.  # lanes -> [16 panels, heads * D]"""
        by_token = np.ascontiguousarray(context.swapaxes(1, 2)).reshape(len(context) * LANES, -1)
        if context.dtype == np.int32:  # words
            by_token = (by_token.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
        by_head = by_token.reshape(len(by_token), room.heads, -1)[:, :, : room.head_dim]
        return np.ascontiguousarray(by_head.reshape(len(by_token), -1))

    def _put(self, room: Attention, row: Row, values: Array) -> None:
        """Write the context of a row's global queries.  # [g, heads * D]"""
        panels, lanes = np.divmod(row.start + row.global_queries, LANES)
        by_head = np.zeros(
            (len(values), room.heads, room.sizes.head), np.float32 if room.context.dtype == np.int32 else self.dtype
        )
        by_head[:, :, : values.shape[1] // room.heads] = values.reshape(len(values), room.heads, -1)
        flat = by_head.reshape(len(values), -1)
        if room.context.dtype == np.int32:
            channels = filled(flat.shape[1])
            rounded = np.empty(-(-len(flat) // LANES) * channels // 2 * LANES, np.int32)
            entered = self.enter(flat)
            bfloat16_kernel()(frozen(entered.reshape(-1)), (len(entered), channels, channels // 2), rounded)
            flat = (
                rounded.reshape(len(entered), -1, LANES).swapaxes(1, 2).reshape(len(entered) * LANES, -1)[: len(flat)]
            )
        room.context[panels, :, lanes] = flat

    # --- attention probabilities ----------------------------------------------------------------------------------

    def band_probabilities(self, query: Array, key: Array, row: Row, one_sided: int, out: Array) -> None:
        """Write the probabilities of the local queries of one row.

        query, key: [n, hidden], of the row, the query not yet scaled. out: [H, n, x + 2 one_sided + 1], laid out as
        `attentions` of `LongformerBaseModelOutput`.
        """
        heads, count = len(out), len(query)
        size, kernel = query.shape[1] // heads, band_probabilities_kernel(self.dtype)
        tasks: Tasks = [
            (
                kernel,
                *(frozen(array[:, head * size : (head + 1) * size]) for array in (query, key)),
                frozen(row.local[:count]),
                frozen(row.globals),
                one_sided,
                start,
                min(start + 256, count),
                out[head],
            )
            for head in range(heads)
            for start in range(0, count, 256)
        ]
        self._threads.run(_call, tasks)

    def global_probabilities(self, hidden: Array, row: Row, weights: Parameters, heads: int) -> Array:
        """The probabilities of the global queries of one row.  # lanes -> [H, g, n]"""
        (folded,) = self._folded(hidden, [row], weights, heads)
        count = row.count
        out = np.empty((len(folded), count), self.dtype)
        panels = row.start // LANES, 0, -(-len(row.visible) // LANES)
        kernel = global_rows.probabilities_kernel(self.dtype)
        kernel(frozen(hidden.reshape(-1)), hidden.shape[1], panels, frozen(folded), frozen(row.visible), out)
        return out[: heads * len(row.global_queries)].reshape(heads, -1, count)


def _call(function: Callable[..., object], *arguments: Any) -> None:
    function(*arguments)
