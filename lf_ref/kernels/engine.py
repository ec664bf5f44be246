"""The kernels as the model calls them: all that is done token by token, see `TokenKernels`, and attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..memory import empty
from .attention import band, global_rows
from .attention.probabilities import band_probabilities_kernel
from .layer import Projected, layer_kernel, project_kernel
from .layout.vectors import LANES
from .matmul.microkernel import values_per_word
from .matmul.operands import ELEMENTS, Operand, frozen
from .matmul.weights import ReducedWeight
from .threads import Threads
from .tokens import TokenKernels

__all__ = ["Attention", "Kernels", "Operand", "Row"]

Array = NDArray[Any]
Matrix = Array | ReducedWeight
Parameters = Mapping[str, Any]
Tasks = list[tuple[Any, ...]]

_PART = 96  # channels: a multiple of the rows of every tile, and of every step along k
_HEAD_STEP = 32  # channels: a multiple of the rows of every tile but one, and of the depth
_TASK_PANELS = 16  # of queries that a task of the band attention does
_TASKS = 3  # of each thread, at least, where a row is short
_TASK_QUERIES = 256  # whose probabilities a task writes
_LOG2_E = 1.4426950408889634
_NO_SCALES = frozen(np.empty(0, np.float32))
_NO_POSITIONS = frozen(np.empty(0, np.int64))
_SLACK = 32  # keys that a tile may read beyond the last, and tokens that keep rows of values out of each other's way


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


class Kernels(TokenKernels):
    """The operations of the fast path: those of attention, and inherited ones."""

    def __init__(self, threads: Threads, kind: str) -> None:
        """kind: of the weights; with int8 weights attention is in bfloat16."""
        super().__init__(threads, kind)
        self._attention_kind = "bfloat16" if kind == "int8" else kind

    @property
    def step(self) -> int:
        """Rows of a batch begin at a multiple of so many tokens."""
        return band.grain(self._attention_kind)

    def attention_room(self, panels: int, hidden: int, heads: int) -> Attention:
        """Room for the queries, keys, values and context of so many panels, not yet filled."""
        kind, tokens = self._attention_kind, panels * LANES
        per_word, element = values_per_word(kind), ELEMENTS[kind]
        width = -(-(hidden // heads) // _HEAD_STEP) * _HEAD_STEP
        stride = (tokens + _SLACK) // per_word
        query = empty(panels * heads * width // per_word * LANES, element).reshape(
            panels, heads * width // per_word, LANES
        )
        keys = empty((heads * tokens + _SLACK) * width // per_word, element)
        values = empty(heads * width * stride, element)
        in_place = self.kind == kind
        context = query if in_place else self.lanes(tokens, heads * width)
        sizes = band.Sizes(width, tokens, stride, query.shape[1], context.shape[1])
        return Attention(query, keys, values, context, sizes, heads, hidden // heads)

    def project(self, hidden: Array, weights: Parameters, room: Attention, suffix: str = "") -> None:
        """Write the queries, keys and values of all tokens.  # lanes; suffix: "_global" for global attention"""
        self._threads.run(self._projection(hidden, weights, room, suffix), self.blocks(len(hidden), hidden.shape[1]))

    def _projection(self, hidden: Array, weights: Parameters, room: Attention, suffix: str = "") -> Callable[..., None]:
        """What does so for a block, on one thread."""
        names = (f"{name}{suffix}" for name in ("query", "key", "value"))
        ready = tuple(self._ready(weights[f"{n}.weight"], weights[f"{n}.bias"], rows=room.heads) for n in names)
        query, keys, values = (array.reshape(-1) for array in (room.query, room.keys, room.values))
        out = Projected(query, keys, values.view(np.uint16) if values.dtype == np.int32 else values)
        kernel = project_kernel(self.kind)

        def some(first: int, last: int) -> None:
            kernel(frozen(hidden[first:last].reshape(-1)), ready, out, (last - first, first), room.sizes)

        return some

    def finish_layer(
        self,
        hidden: Array,
        context: Array,
        heads: int,
        weights: Parameters,
        activation: str,
        eps: float,
        following: tuple[Parameters, Attention] | None,
        attended: Array | None = None,
    ) -> None:
        """What a layer does after attention, token by token and in place; the threads meet once.  # lanes

            attended = norm(hidden + dense(context))
            hidden = norm(attended + dense(activation(dense(attended))))

        heads: that the channels of the context are of. following: the projections of the next layer, and the room where
        its queries, keys and values go. attended: as hidden, for who wants to see it.
        """
        dense = [
            self._ready(weights[f"{name}.dense.weight"], weights[f"{name}.dense.bias"], columns=columns)
            for name, columns in (("attention.output", heads), ("intermediate", 0), ("output", 0))
        ]
        dense.append(dense[2]._replace(bias=frozen(np.zeros_like(dense[2].bias))))
        names = [f"{name}.LayerNorm.{part}" for name in ("attention.output", "output") for part in ("weight", "bias")]
        shared = tuple(dense), tuple(frozen(weights[name]) for name in names), float(eps)
        kernel, channels = layer_kernel(self.kind, activation), hidden.shape[1]
        part, unseen = -(-channels // _PART) * _PART, np.empty(0, self.dtype)
        project = self._projection(hidden, *following) if following else None

        def some(first: int, last: int) -> None:
            seen = unseen if attended is None else attended[first:last].reshape(-1)
            block = hidden[first:last].reshape(-1), context[first:last].reshape(-1), seen
            kernel(*block, *shared, (last - first, channels, part))
            if project:
                project(first, last)

        self._threads.run(some, self.blocks(len(hidden), channels))

    def attend(self, hidden: Array, room: Attention, rows: Sequence[Row], weights: Parameters, one_sided: int) -> Array:
        """What each query gathers; returns the context, 0 for masked tokens.  # lanes

        Local queries see the global tokens of their row and the local ones within `one_sided`; global queries see all
        visible tokens, through projections of their own. hidden: the tokens that the projections in `room` are of.
        """
        tasks: Tasks = []
        heads, width = room.heads, weights["query.weight"].shape[1]
        unwritten = np.ones(len(room.context), bool)
        for row in rows:
            if row.local[row.queries].any():
                masks, first = (frozen(row.local), frozen(row.local)), row.start // LANES
                panels = range(row.queries.start // LANES, -(-row.queries.stop // LANES))
                unwritten[first + panels.start : first + panels.stop] = False
                self._hide_masked(room, row)
                tasks += self._band_tasks(room, masks, row.globals, (row.start, first, one_sided), panels)
        asking = [row for row in rows if len(row.global_queries)]
        few = [row for row in asking if global_rows.worth(width, len(row.global_queries), heads)]
        gathered = [np.empty((len(row.global_queries), width), self.dtype) for row in few]
        for row, out in zip(few, gathered, strict=True):
            tasks += self._global_tasks(hidden, row, weights, heads, out)
        self._threads.run(_call, tasks)
        room.context[unwritten] = 0
        for row in asking:
            if not global_rows.worth(width, len(row.global_queries), heads):
                few.append(row)
                gathered.append(self._attend_globally(hidden, row, weights, heads))
        for row, values in zip(few, gathered, strict=True):
            self._put(room, row, values)
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
        stops = [*range(panels.start, panels.stop, _TASK_PANELS), panels.stop]
        before, after = (kernel, query, keys, masks, positions), (room.sizes, factor, context)
        step = max(1, room.heads * (len(stops) - 1) // (_TASKS * self._threads.count))  # heads: few calls, even shares
        return [
            (*before, (head, min(head + step, room.heads), origin, first, *block, one_sided), *after)
            for head in range(0, room.heads, step)
            for block in pairwise(stops)
        ]

    def _global_tasks(self, hidden: Array, row: Row, weights: Parameters, heads: int, out: Array) -> Tasks:
        """The calls that compute the context of the global queries of a row.  # out: [g, heads * D]"""
        before, after = self._global_arguments(hidden, row, weights, heads)
        size, step = out.shape[1] // heads, -(-global_rows.ROWS // len(out))
        kernel, chunk = global_rows.attend_kernel(self.kind), global_rows.CHUNK_PANELS
        return [
            (kernel, *before, (head, min(head + step, heads), size), *after, chunk, out)
            for head in range(0, heads, step)
        ]

    def _global_arguments(
        self, hidden: Array, row: Row, weights: Parameters, heads: int
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """What the kernels of global rows are given, before their heads and after."""
        query, key, value = (weights[f"{name}_global.weight"] for name in ("query", "key", "value"))
        query_bias, value_bias = (frozen(weights[f"{name}_global.bias"]) for name in ("query", "value"))
        scales = _scales(query), _scales(key), _scales(value)
        stored = global_rows.Global(_stored(query), _stored(key), _stored(value), query_bias, value_bias, scales)
        tokens = frozen(self.leave(hidden, row.start + row.global_queries, query.shape[1]))
        factor = self.dtype.type(_LOG2_E / (len(query) // heads) ** 0.5)
        place = row.start // LANES, len(row.visible) // LANES
        before = frozen(hidden.reshape(-1)), hidden.shape[1], place
        return before, (tokens, stored, factor, frozen(row.visible))

    def _attend_globally(self, hidden: Array, row: Row, weights: Parameters, heads: int) -> Array:
        """As the rows of local queries, with a window that holds everything.  # -> [g, heads * D]"""
        channels, count = weights["query_global.weight"].shape[1], len(row.global_queries)
        tokens = self.leave(hidden, row.start + row.global_queries, channels)
        queries = self.attention_room(-(-count // LANES), channels, heads)
        first, panels = row.start // LANES, -(-len(row.visible) // LANES)
        room = self.attention_room(panels, channels, heads)
        self.project(hidden[first : first + panels], weights, room, "_global")
        self.project(self.enter(tokens), weights, queries, "_global")
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
        by_head = np.zeros((len(values), room.heads, room.sizes.head), self.dtype)
        by_head[:, :, : room.head_dim] = values.reshape(len(values), room.heads, -1)
        lanes = self.enter(by_head.reshape(len(values), -1))
        if room.context.dtype == np.int32:
            words = self.operand(lanes, "bfloat16", room.context.shape[1]).panels
            lanes = words.reshape(len(lanes), -1, LANES)
        source, target = np.arange(len(values)), row.start + row.global_queries
        room.context[target // LANES, :, target % LANES] = lanes[source // LANES, :, source % LANES]

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
                min(start + _TASK_QUERIES, count),
                out[head],
            )
            for head in range(heads)
            for start in range(0, count, _TASK_QUERIES)
        ]
        self._threads.run(_call, tasks)

    def global_probabilities(self, hidden: Array, row: Row, weights: Parameters, heads: int) -> Array:
        """The probabilities of the global queries of one row.  # lanes -> [H, g, n]"""
        before, after = self._global_arguments(hidden, row, weights, heads)
        size, count = len(weights["query_global.bias"]) // heads, len(row.global_queries)
        out = np.empty((heads * count, row.count), self.dtype)
        global_rows.probabilities_kernel(self.kind)(*before, (0, heads, size), *after, out)
        return out.reshape(heads, count, row.count)


def _stored(weight: Matrix) -> Array:
    """The elements of a weight."""
    return frozen(np.ascontiguousarray(weight if isinstance(weight, np.ndarray) else weight.elements))


def _scales(weight: Matrix) -> Array:
    """What the integers of each row of an int8 weight are multiplied by; empty for others."""
    return _NO_SCALES if isinstance(weight, np.ndarray) else frozen(weight.scales)


def _call(function: Callable[..., object], *arguments: Any) -> None:
    function(*arguments)
