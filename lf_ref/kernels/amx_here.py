"""Whether this process may use AMX, the matrix unit of x86 processors, and whether the unit multiplies rightly."""

from __future__ import annotations

import ctypes
import sys
import warnings
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .vectors import matrices_here

__all__ = ["amx_kernel"]

# Linux: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), see its Documentation/arch/x86/xstate.rst.
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


@cache
def amx_kernel(kind: str) -> Any:
    """The kernel that multiplies "bfloat16" or "int8" numbers on AMX, or attends by it, "band"; None where it cannot.

    Its first use in a process is a small case of whole numbers. If that is not exact it warns, and is not used.
    """
    ways: dict[str, tuple[str, str, Callable[[Any], bool], str]] = {
        "bfloat16": ("bfloat16", ".bfloat16_amx", partial(_is_exact, kind=kind), "products of bfloat16 numbers"),
        "int8": ("int8", ".int8_amx", partial(_is_exact, kind=kind), "products of int8 numbers"),
        "band": ("bfloat16", ".band_amx", _attends_exactly, "averages of attention"),
    }
    numbers, module, is_exact, what = ways[kind]
    if not matrices_here(numbers) or not _permitted():
        return None
    kernel = getattr(import_module(module, __package__), f"{kind}_block")  # compiled or loaded at import
    if is_exact(kernel):
        return kernel
    warnings.warn(
        f"AMX gives wrong {what} on this machine, so they are computed without it: slower, and right. "
        "Please report the processor, the system and the version of Numba",
        RuntimeWarning,
        stacklevel=2,
    )
    return None


@cache
def _permitted() -> bool:
    """Ask the system for the unit's registers, for all threads of this process and for its forks.

    Linux wants to be asked before it makes room for them in what it saves of a thread. Other systems are not asked.
    """
    if not sys.platform.startswith("linux"):
        return False
    arguments = (ctypes.c_long(number) for number in (_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA))
    return bool(ctypes.CDLL(None).syscall(*arguments) == 0)


def _is_exact(kernel: Any, kind: str) -> bool:
    """Whether a kernel multiplies small whole numbers exactly: whole tiles, and some of each edge."""
    from .amx import ROWS, SIDE, filled

    numbers_in_word = {"bfloat16": 2, "int8": 4}[kind]
    rows, columns, terms = ROWS + 1, 2 * SIDE + 1, (SIDE + 1) * numbers_in_word
    x = np.arange(rows * terms, dtype=np.int64).reshape(rows, terms) % 13 - 6
    weight = np.arange(columns * terms, dtype=np.int64).reshape(columns, terms) % 11 - 5
    room = np.zeros((2 * ROWS, filled(SIDE + 1) * numbers_in_word), np.int64)
    room[:rows, :terms] = x
    out = np.full(rows * columns, np.nan, np.float32)
    if kind == "bfloat16":
        kernel(0, rows, 0, columns, _bfloat16_words(room).reshape(-1), _bfloat16_words(weight), out)
    else:
        words = (room + 128).astype(np.uint8).view(np.float32).reshape(-1)
        x_scales, scales = np.ones(rows, np.float32), np.ones(columns, np.float32)
        row_sums = weight.sum(axis=1).astype(np.int32)
        kernel(0, rows, 0, columns, words, x_scales, weight.astype(np.int8).view(np.float32), scales, row_sums, out)
    return np.array_equal(out.reshape(rows, columns), x @ weight.T)


def _attends_exactly(kernel: Any) -> bool:
    """Whether each query gets the mean of the values of two keys, its own and the one beside it, and of no other.

    The first token is global, the others fill two groups of queries and some more.
    """
    seq, head_dim = 71, 37
    key = np.zeros((seq, head_dim), np.float32)
    key[np.arange(seq), np.arange(seq) // 2] = 64  # scores of hundreds against 0, so other shares are 0
    value = (np.arange(seq * head_dim).reshape(seq, head_dim) % 17).astype(np.float32)
    local, expected = np.arange(seq) > 0, value.copy()
    expected[:-1] = np.repeat(value[:-1].reshape(-1, 2, head_dim).mean(axis=1), 2, axis=0)
    expected[0] = 0
    out = np.full((seq, head_dim), np.nan, np.float32)
    kernel(key, key, value, local, np.zeros(1, np.int64), seq, 0, seq, out)
    return np.array_equal(out, expected)


def _bfloat16_words(numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """Small whole numbers as pairs of bfloat16."""
    bits = numbers.astype(np.float32).view(np.uint32) >> np.uint32(16)
    return bits.astype(np.uint16).view(np.float32)
