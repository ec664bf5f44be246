"""How a kernel that Python calls is compiled: it releases the GIL, and stays in Numba's cache where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

_njit: Any = numba.njit
Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(*signature: Any, **options: Any) -> Callable[[Function], Function]:
    """Compile a function on first use, or at once for a signature; options are those of `numba.njit`.

    The cache lies where NUMBA_CACHE_DIR says, else beside the source, else in the user's cache folder. Where none of
    them can be written (a read-only installation without a home) each process compiles anew.
    """

    def compiled(function: Function) -> Function:
        try:
            return _njit(*signature, nogil=True, cache=True, **options)(function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            return _njit(*signature, nogil=True, **options)(function)

    return compiled
