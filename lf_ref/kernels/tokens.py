"""All that is done token by token: what `lf_ref.reference.ops` has, the ways into lanes and out, a block of a layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..memory import empty
from .layout.lanes import enter_kernel, gather_kernel, leave_kernel
from .layout.vectors import LANES
from .matmul.dispatch import microkernel
from .matmul.linear import linear_kernel
from .matmul.operands import ELEMENTS, Operand, frozen
from .matmul.weights import ReducedWeight, Weights, filled, kind_of
from .rows.activations import activation_kernel
from .rows.norm import norm_kernel
from .rows.rounding import bfloat16_kernel, int8_kernel
from .threads import Threads

__all__ = ["TokenKernels"]

Array = NDArray[Any]
Matrix = Array | ReducedWeight

# Bytes of each channel of a token while a block of a layer is computed: x, as the product takes it, and the channels
# between two dense layers.
_BYTES = {"float32": 12, "float64": 24, "bfloat16": 8, "int8": 25}
_NO_SCALES = frozen(np.empty(0, np.float32))


@cache
def _second_level_cache() -> int:
    """The bytes of a core's second-level cache, as far as the system says."""
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text()
        return max(1 << 18, int(size.strip().removesuffix("K")) << 10)
    except (OSError, ValueError):  # not on macOS and Windows
        return 1 << 20


class TokenKernels:
    """The operations of the fast path that need no other token.

    Tokens in lanes are float32 or float64 [panels, channels, 16], with the channels `filled` up; everything else is
    [..., channels]. Weights of linear maps may be of reduced precision instead. The results of a token depend on its
    row alone, to the bit: not on its lane, the batch, or the number of threads.
    """

    def __init__(self, threads: Threads, kind: str) -> None:
        """kind: of the weights, "float32", "float64", "bfloat16" or "int8"."""
        self._threads, self.kind = threads, kind
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
            lanes = empty((last - first) * (end - row) * LANES, self.dtype)
            operand = self.operand(self.enter(rows), kind, ready.rows.shape[1])
            compute(operand, ready, (last - first, row, end, 0), (0, end - row, row), lanes)
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

    LANES = LANES

    def lanes(self, tokens: int, channels: int) -> Array:
        """Room for so many tokens, not yet filled.  # [panels, channels filled up, 16]"""
        panels, channels = -(-tokens // LANES), filled(channels)
        return empty(panels * channels * LANES, self.dtype).reshape(panels, channels, LANES)

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
        panels, channels = len(slots) // LANES, lanes.shape[1]
        out = empty(panels * channels * LANES, lanes.dtype).reshape(panels, channels, LANES)
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
        count = min(panels, -(-panels // most // self._threads.count) * self._threads.count)
        return list(pairwise(panels * index // count for index in range(count + 1))) if count else []

    def run(self, task: Callable[..., object], blocks: Sequence[tuple[Any, ...]]) -> None:
        """Call the task with each block, on all threads."""
        self._threads.run(task, blocks)

    def normalise(self, lanes: Array, weight: Array, bias: Array, eps: float) -> None:
        """Overwrite each token by its norm.  # lanes, [channels], [channels]"""
        norm_kernel(self.dtype)(lanes.reshape(-1), len(lanes), lanes.shape[1], frozen(weight), frozen(bias), float(eps))

    def operand(self, x: Array, kind: str, depth: int) -> Operand:
        """Tokens in lanes as the right side of a product.  # [panels, channels, 16] -> [panels, depth, 16] elements"""
        if x.dtype == ELEMENTS[kind]:
            return Operand(frozen(x.reshape(-1)), _NO_SCALES)
        out, sizes = empty(len(x) * depth * LANES, np.int32), (len(x), x.shape[1], depth)
        if kind == "bfloat16":
            bfloat16_kernel()(frozen(x.reshape(-1)), sizes, out)
            return Operand(frozen(out), _NO_SCALES)
        scales = empty(len(x) * LANES, np.float32)
        int8_kernel()(frozen(x.reshape(-1)), sizes, out, scales)
        return Operand(frozen(out), frozen(scales))
