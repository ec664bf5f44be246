"""Which micro-kernel is taken for a kind of values: AMX where the process may use it and it is exact, else vectors."""

from __future__ import annotations

from functools import cache

from ..matmul.microkernel import MicroKernel
from ..matmul.microkernel_vectors import vector_microkernel
from .features import has_tiles
from .permission import amx_permitted

__all__ = ["microkernel"]


@cache
def microkernel(kind: str) -> MicroKernel:
    """The fastest micro-kernel for "float32", "float64", "bfloat16" or "int8" values."""
    if kind in ("bfloat16", "int8") and has_tiles(kind) and amx_permitted():
        from ..matmul.microkernel_amx import amx_microkernel

        return amx_microkernel(kind)
    return vector_microkernel(kind)
