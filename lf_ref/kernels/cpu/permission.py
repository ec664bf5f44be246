"""Asking the system for AMX."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

__all__ = ["amx_permitted"]

# Linux: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), see its Documentation/arch/x86/xstate.rst.
_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA = 158, 0x1023, 18


@cache
def amx_permitted() -> bool:
    """Ask the system for the tile registers, for all threads of this process and for its forks.

    Linux wants to be asked before it makes room for them in what it saves of a thread. Other systems are not asked.
    """
    if not sys.platform.startswith("linux"):
        return False
    arguments = (ctypes.c_long(number) for number in (_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA))
    return bool(ctypes.CDLL(None).syscall(*arguments) == 0)
