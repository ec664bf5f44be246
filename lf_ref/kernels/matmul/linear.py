"""The one matrix kernel: a linear map of tokens in lanes, W x + b, and an epilogue on each tile of the result.

Weights are read as they are stored. A task has a block of panels that lies in the second-level cache: each tile of rows
of the weight is read once for it, and the panels go by; where the tile is larger than the first-level cache, once for
each chunk along k.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ...memory import empty
from ..jit import kernel, once, plain, types
from ..layout.vectors import LANES
from .dispatch import microkernel
from .epilogues import epilogue
from .operands import SUMS, operand_type, weight_type

__all__ = ["linear", "linear_kernel"]

_NAMES = {np.dtype(np.float32): types.float32, np.dtype(np.float64): types.float64}
_NAMES |= {np.dtype(np.int32): types.int32, np.dtype(np.uint16): types.uint16}


@once
def linear_kernel(kind: str, name: str, function: str = "identity") -> Any:
    """The kernel for a kind of values ("float32", "float64", "bfloat16", "int8") and an epilogue, see there."""
    written = epilogue(name, kind, microkernel(kind).rows, function)[1]
    integer = types.int64
    signature = types.void(
        operand_type(kind),
        weight_type(kind),
        types.UniTuple(integer, 4),
        types.UniTuple(integer, 3),
        types.Array(_NAMES[written], 1, "C"),
    )
    return kernel(signature, error_model="numpy")(plain(linear(kind, name, function)))


@once
def linear(kind: str, name: str, function: str = "identity") -> Any:
    """What `linear_kernel` compiles, as a function for other kernels to call."""
    micro = microkernel(kind)
    tile, rows, most, chunk = micro.tile, micro.rows, micro.panels, micro.chunk
    begin, end = micro.begin, micro.end
    finish = epilogue(name, kind, rows, function)[0]
    sums = np.dtype(SUMS[kind])

    @numba.njit(nogil=True, error_model="numpy")
    def linear(x: Any, weight: Any, block: tuple[int, int, int, int], layout: tuple[int, int, int], out: Any) -> None:
        """out = epilogue(W x + b) for some panels and rows of the weight.

        x: `Operand`; weight: `Weight`, of at least as many rows as a tile. block: how many panels, the first row, and
        the row after the last, which begins at a whole tile; the first element along k of the weight, which may have
        more of them than x. layout, out: as the epilogue wants them.
        """
        panels, first, last, column = block
        total, width = weight.rows.shape
        depth = x.panels.shape[0] // (panels * LANES)
        left = weight.rows.reshape(-1)
        room = empty(panels * rows * LANES, sums)
        share = -(-rows // -(-panels // most))
        begin()
        for row in range(first, last, rows):
            start = min(row, total - rows)  # the last tile does some rows again
            following = min(row + rows, total - rows)  # fetched meanwhile, some of its rows with each group of panels
            for k in range(0, depth, chunk):
                terms = min(chunk, depth - k)
                panel = 0
                while panel < panels:
                    groups = -(-(panels - panel) // most)
                    count = -(-(panels - panel) // groups)  # nearly equal groups
                    ahead = min(following + panel // most * share, total - share)
                    right, at = (panel * depth + k) * LANES, panel * rows * LANES
                    tile(
                        left,
                        start * width + column + k,
                        width,
                        ahead * width + column + k,
                        share,
                        x.panels,
                        right,
                        depth * LANES,
                        count,
                        terms,
                        k > 0,
                        room,
                        at,
                        rows * LANES,
                    )
                    if k + terms == depth:
                        finish(room[at:], weight, x.scales, start, row - start, panel, count, layout, out)
                    panel += count
        end()

    return linear
