"""Into lanes and out of them: panels of 16 tokens, [panels, channels, 16].

One vector holds one channel of the tokens of a panel. A token's results depend neither on its lane nor on its
neighbours, so they are the same to the bit in any batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..jit import kernel, once, types
from .vectors import LANES

__all__ = ["enter_kernel", "gather_kernel", "leave_kernel"]

_CHANNELS = 64  # done at a time, so that the lines of a panel stay in the first-level cache for all its lanes


def _real(dtype: Any) -> Any:
    return types.float64 if dtype == np.float64 else types.float32


@once
def enter_kernel(dtype: Any) -> Any:
    """The kernel that puts rows into lanes, for float32 or float64."""
    real = _real(dtype)
    signature = types.void(types.Array(real, 2, "C", readonly=True), types.int64, types.Array(real, 1, "C"))

    @kernel(signature)
    def enter(rows: Any, width: int, out: Any) -> None:
        """Write rows [n, channels] into lanes [panels, width, 16]; zeros where there is no row or no channel."""
        count, channels = rows.shape
        for start in range(0, count, LANES):
            tokens = min(LANES, count - start)
            for first in range(0, width, _CHANNELS):
                at, last = start * width, min(first + _CHANNELS, width)
                for lane in range(LANES):
                    used = max(first, min(last, channels)) if lane < tokens else first
                    for channel in range(first, used):
                        out[at + channel * LANES + lane] = rows[start + lane, channel]
                    for channel in range(used, last):
                        out[at + channel * LANES + lane] = 0

    return enter


@once
def leave_kernel(dtype: Any) -> Any:
    """The kernel that takes tokens out of lanes, for float32 or float64."""
    real = _real(dtype)
    lanes, slots = types.Array(real, 1, "C", readonly=True), types.Array(types.int64, 1, "C", readonly=True)
    signature = types.void(lanes, types.int64, slots, types.UniTuple(types.int64, 4), types.Array(real, 2, "C"))

    @kernel(signature)
    def leave(x: Any, width: int, slots: Any, block: tuple[int, int, int, int], out: Any) -> None:
        """out[start + i, column : column + channels] = the first channels of the token at slots[start + i].

        x: [panels, width, 16], flat. block: start and stop of the tokens, column and channels.
        """
        start, stop, column, channels = block
        for begin in range(start, stop, LANES):
            for first in range(0, channels, _CHANNELS):
                for index in range(begin, min(begin + LANES, stop)):
                    at = slots[index] // LANES * width * LANES + slots[index] % LANES
                    for channel in range(first, min(first + _CHANNELS, channels)):
                        out[index, column + channel] = x[at + channel * LANES]

    return leave


@once
def gather_kernel(dtype: Any) -> Any:
    """The kernel that moves tokens to other lanes; elements are float32, float64 or words."""
    element = {"float32": types.float32, "float64": types.float64, "int32": types.int32}[np.dtype(dtype).name]
    lanes, slots = types.Array(element, 1, "C", readonly=True), types.Array(types.int64, 1, "C", readonly=True)
    signature = types.void(lanes, slots, types.int64, types.int64, types.int64, types.Array(element, 1, "C"))

    @kernel(signature)
    def gather(x: Any, slots: Any, channels: int, first: int, last: int, out: Any) -> None:
        """The token in each lane of out's panels [first, last) is that at slots[lane] of x.  # both [panels, c, 16]"""
        for panel in range(first, last):
            target = panel * channels * LANES
            for first_channel in range(0, channels, _CHANNELS):
                for lane in range(LANES):
                    slot = slots[panel * LANES + lane]
                    source = slot // LANES * channels * LANES + slot % LANES
                    for channel in range(first_channel, min(first_channel + _CHANNELS, channels)):
                        out[target + channel * LANES + lane] = x[source + channel * LANES]

    return gather
