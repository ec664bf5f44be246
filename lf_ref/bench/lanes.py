"""The kernels of lf_ref alone, on tokens in lanes, ready to run: a matmul, and the band attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..checkpoint import REDUCED, StoredTensor
from ..checkpoint import reduce as reduced
from ..kernels.engine import Kernels
from ..kernels.matmul.linear import linear_kernel
from ..kernels.matmul.weights import Weights
from ..kernels.threads import Threads
from ..model.plan import Row
from ..reference.ops import Array

__all__ = ["InLanes", "band_attention", "matmul"]


class InLanes:
    """Tokens as the kernels leave them: [panels, channels, 16] values, or [panels, channels / 2, 16] words.

    `numpy.asarray` makes rows of them, [count, channels], outside of the time of a measurement.
    """

    def __init__(self, lanes: Array, count: int, channels: int) -> None:
        self._lanes, self._count, self._channels = lanes, count, channels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """The rows, as a new array."""
        rows = np.ascontiguousarray(self._lanes.swapaxes(1, 2)).reshape(len(self._lanes) * Kernels.LANES, -1)
        if rows.dtype == np.int32:  # two bfloat16 values in each
            rows = (rows.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
        return rows[: self._count, : self._channels].astype(dtype or rows.dtype)


def matmul(x: Array, weight: Array, dtype: str, num_threads: int) -> Callable[[], InLanes]:
    """x W^T in a dtype, on blocks of panels as the encoder cuts them.  # float32 [n, a], [m, a] -> [n, m]

    The time does not include that x is brought into lanes and rounded to the dtype.
    """
    kernels = Kernels(Threads(num_threads), dtype)
    matrix = reduced(StoredTensor.of(weight), dtype) if dtype in REDUCED else weight.astype(dtype)
    ready = Weights()(matrix, np.zeros(len(weight), kernels.dtype))
    total, depth = ready.rows.shape
    lanes = kernels.enter(x.astype(kernels.dtype))
    blocks = kernels.blocks(len(lanes), lanes.shape[1])
    operands = {first: kernels.operand(lanes[first:last], dtype, depth) for first, last in blocks}
    in_words = dtype == "bfloat16"
    out = np.zeros(
        (len(lanes), total // 2 if in_words else total, kernels.LANES), np.int32 if in_words else kernels.dtype
    )
    multiply = linear_kernel(dtype, "words" if in_words else "lanes")

    def block(first: int, last: int) -> None:
        size = last - first, 0, total, 0
        multiply(operands[first], ready, size, (first, out.shape[1], 0), out.reshape(-1))

    def run() -> InLanes:
        kernels.run(block, blocks)
        return InLanes(out, len(x), len(weight))

    return run


def band_attention(
    query: Array, key: Array, value: Array, heads: int, window: int, num_threads: int
) -> Callable[[], InLanes]:
    """The attention of local tokens in float32, without its projections.  # float32 [n, hidden] each -> [n, hidden]

    window: two-sided, in tokens. The time does not include that the arrays are laid out as the projections do it.
    """
    kernels, (count, hidden) = Kernels(Threads(num_threads), "float32"), query.shape
    slots = -(-count // kernels.step) * kernels.step
    room = kernels.attention_room(slots // kernels.LANES, hidden, heads)
    size, width = hidden // heads, room.sizes.head
    assert size == width, (size, width)  # those of `Size` are of 64 channels

    def by_head(array: Array) -> Array:  # [n, hidden] -> [slots, heads, width]
        filled = np.zeros((slots, heads, width), np.float32)
        filled[:count, :, :size] = array.reshape(count, heads, size)
        return filled

    room.query[:] = by_head(query).reshape(-1, kernels.LANES, heads * width).swapaxes(1, 2)
    room.keys[:] = 0
    room.keys[: heads * slots * width] = by_head(key).swapaxes(0, 1).reshape(-1)
    room.values[:] = 0
    room.values.reshape(heads * width, -1)[:, :slots] = by_head(value).reshape(slots, -1).T
    room = room._replace(context=np.empty_like(room.query))  # the encoder overwrites the queries
    local = np.arange(slots) < count
    nothing = np.empty(0, np.int64)
    row = Row(0, count, local, local, slice(0, count), nothing, nothing)
    weights = {"query.weight": np.empty((0, hidden), np.float32)}  # no token is global: only its width is looked at

    def run() -> InLanes:
        return InLanes(kernels.attend(room.context, room, [row], weights, window // 2), count, hidden)

    return run
