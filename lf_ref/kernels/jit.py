"""How a kernel that Python calls is compiled: it releases the GIL, and stays in Numba's cache where there is one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_njit: Any = numba.njit
Function = TypeVar("Function", bound=Callable[..., Any])


@cache
def fingerprint() -> str:
    """What the sources of the kernels hash to: Numba's cache looks at the file of a kernel only."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


_lock = threading.RLock()


def once(factory: Function) -> Function:
    """Cache what a factory of kernels returns; threads wait for the one that compiles."""
    made: Any = cache(factory)

    @wraps(factory)
    def locked(*arguments: Any) -> Any:
        with _lock:
            return made(*arguments)

    return cast(Function, locked)


def kernel(signature: Any, name: str, **options: Any) -> Callable[[Function], Function]:
    """Compile a function for a signature, or load it from the cache; options are those of `numba.njit`."""

    def compiled(function: Function) -> Function:
        function.__qualname__ = f"{function.__name__}_{name}_{fingerprint()}"
        function.__name__ = function.__qualname__
        try:
            return _njit(signature, nogil=True, cache=True, **options)(function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            return _njit(signature, nogil=True, **options)(function)

    return compiled
