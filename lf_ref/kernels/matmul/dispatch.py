"""Which micro-kernel is taken for a kind of values: AMX where the process may use it and it is exact, else vectors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cpu.features import has_tiles
from ..cpu.permission import amx_permitted
from ..jit import kernel, once, types
from ..layout.vectors import LANES
from .microkernel import MicroKernel, values_per_word
from .microkernel_vectors import vector_microkernel

__all__ = ["microkernel"]


@once
def microkernel(kind: str) -> MicroKernel:
    """The fastest micro-kernel for "float32", "float64", "bfloat16" or "int8" values.

    The first use of AMX in a process is a small case of whole numbers. If that is not exact it warns, and is not used.
    """
    if kind in ("bfloat16", "int8") and has_tiles(kind) and amx_permitted():
        from .microkernel_amx import amx_microkernel

        micro = amx_microkernel(kind)
        if _is_exact(micro):
            return micro
        warnings.warn(
            f"AMX gives wrong products of {kind} values on this machine, so they are computed without it: slower, and "
            "right. Please report the processor, the system and the version of Numba",
            RuntimeWarning,
            stacklevel=2,
        )
    return vector_microkernel(kind)


def _is_exact(micro: MicroKernel) -> bool:
    """Whether a micro-kernel multiplies small whole numbers exactly: one panel and two, anew and added."""
    words, per_word = 2 * micro.step, values_per_word(micro.kind)
    terms = words * per_word
    left = np.arange(micro.rows * terms).reshape(micro.rows, terms) % 11 - 5
    right = np.arange(2 * LANES * terms).reshape(2, LANES, terms) % 13 - 6
    by_word = _packed(micro.kind, right + (128 if micro.kind == "int8" else 0)).reshape(2, LANES, words)
    lanes = np.ascontiguousarray(by_word.swapaxes(1, 2)).reshape(-1)
    sums = np.int32 if micro.kind == "int8" else np.float32
    expected = np.einsum("rk,plk->prl", left, right + (128 if micro.kind == "int8" else 0))
    compute = _one_tile(micro)
    for panels in (2, 1):
        out = np.full((2, micro.rows, LANES), 7, sums)
        for times in (1, 2):
            compute(_packed(micro.kind, left).reshape(-1), lanes, words, panels, times > 1, out.reshape(-1))
            if not np.array_equal(out[:panels], times * expected[:panels]) or not (out[panels:] == 7).all():
                return False
    return True


def _one_tile(micro: MicroKernel) -> Any:
    words, sums = types.Array(types.int32, 1, "C"), types.int32 if micro.kind == "int8" else types.float32
    integer = types.int64
    tile, begin, end, rows = micro.tile, micro.begin, micro.end, micro.rows

    @kernel(types.void(words, words, integer, integer, types.boolean, types.Array(sums, 1, "C")))
    def one_tile(left: Any, right: Any, depth: int, panels: int, accumulate: bool, out: Any) -> None:
        begin()
        tile(left, 0, depth, 0, 1, right, 0, depth * LANES, panels, depth, accumulate, out, 0, rows * LANES)
        end()

    return one_tile


def _packed(kind: str, values: NDArray[np.int64]) -> NDArray[np.int32]:
    """Small whole numbers as words."""
    if kind == "int8":
        return (values % 256).astype(np.uint8).view(np.int32)
    return (values.astype(np.float32).view(np.uint32) >> np.uint32(16)).astype(np.uint16).view(np.int32)
