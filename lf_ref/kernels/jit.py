"""How a kernel that Python calls is compiled: without the GIL, and once for all processes that share a disk cache.

Numba's cache alone leaves four gaps, which are closed here for all kernels:

- Processes that start together would each compile. Whoever misses a kernel locks a file beside its cache entry and
  looks again; the operating system releases the lock of a process that ends in any way.
- Numba looks for changes in the kernel's own file. Here the sources of this whole folder name the cache entry.
- Numba pickles what a kernel closes over, which never gives the same bytes twice for compiled functions, and leaves out
  the options of the compiler. Here both are described by values that each process finds alike.
- Machine code from the cache is linked by names that are unique within the process that compiled it. Here they are
  unique among all processes, so that kernels may call different functions of one qualified name.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import bytecode, caching, compiler_lock, event

from .. import memory
from ..compilation import WAIT

numba.extending.register_jitable(memory.empty)

types: Any = numba.types  # whose annotations describe little of it
_njit: Any = numba.njit
_config: Any = numba.config
_caching: Any = caching
_functions: Any = bytecode.FunctionIdentity
Function = TypeVar("Function", bound=Callable[..., Any])

KERNELS: list[Any] = []  # every kernel of this process that can be cached on disk, compiled or not

# Numba counts from 1 in each process. These numbers are part of the names of functions in machine code.
_functions._unique_ids = iter(partial(secrets.randbits, 64), None)


_making = threading.RLock()


def once(factory: Function) -> Function:
    """Cache what a factory of kernels makes; threads wait for the one that compiles.

    The kernels have the arguments of the factory, by name, as their attribute `variant`.
    """

    @cache
    def made(*arguments: Any) -> Any:
        known = len(KERNELS)
        result = factory(*arguments)
        variant = dict(inspect.signature(factory).bind(*arguments).arguments)
        for new in KERNELS[known:]:
            new.variant = new.variant or variant
        return result

    @wraps(factory)
    def locked(*arguments: Any) -> Any:
        with _making:
            return made(*arguments)

    return cast(Function, locked)


def kernel(signature: Any, **options: Any) -> Callable[[Function], Function]:
    """Compile a function for a signature, or load it from the cache; it takes no other types.

    options: those of `numba.njit`. The function may close over numbers, strings, dtypes, Numba types, functions
    (compiled, intrinsic or plain) and tuples of these; different values make different kernels.

    The cache lies where NUMBA_CACHE_DIR says, else beside the source, else in the user's cache folder. Where none of
    them can be written (a read-only installation without a home) each process compiles anew.

    Raises:
        TypeError: the function closes over anything else.
    """

    def compiled(function: Function) -> Function:
        dispatcher = _njit(nogil=True, **options)(function)
        dispatcher.variant = {}
        if _config.DISABLE_JIT:
            return _silent(function)
        try:
            dispatcher._cache = _SharedCache(dispatcher)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
        else:
            dispatcher.compile = partial(_compile, dispatcher)
            KERNELS.append(dispatcher)
        dispatcher.compile(signature)
        dispatcher.disable_compile()
        return dispatcher

    return compiled


def plain(function: Any) -> Any:
    """The Python function of a compiled one, to compile as a kernel."""
    return getattr(function, "py_func", function)


def _silent(function: Function) -> Function:
    """As compiled code, which does not warn of divisions by zero and the like."""

    @wraps(function)
    def call(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return cast(Function, call)


def _compile(dispatcher: Any, signature: Any) -> Any:
    with compiler_lock.global_compiler_lock, ExitStack() as dispatcher._cache.lock:
        return type(dispatcher).compile(dispatcher, signature)


class _SharedCache(_caching.FunctionCache):  # type: ignore[misc]
    """Numba's disk cache of one kernel, with the lock that `_compile` releases."""

    lock: ExitStack

    def __init__(self, dispatcher: Any) -> None:
        super().__init__(dispatcher.py_func)
        self._dispatcher = dispatcher
        parts = _sources(), _config.BOUNDSCHECK, _description(dispatcher)
        digest = hashlib.sha256(repr(parts).encode()).hexdigest()
        self._name = f"{self._impl.filename_base}-{digest[:16]}"
        self._cache_file = _caching.IndexDataCacheFile(
            self.cache_path, self._name, self._impl.locator.get_source_stamp()
        )

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        return signature, codegen.magic_tuple()  # the CPU; all else is in the name of the file

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        found = super().load_overload(signature, target_context)
        if found is None:
            with event.trigger_event(WAIT, {"dispatcher": self._dispatcher}):
                self.lock.enter_context(_locked(os.path.join(self.cache_path, f"{self._name}.lock")))
            found = super().load_overload(signature, target_context)
        return found

    @contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        """A cache that cannot be read or written, such as on a full disk, is as none."""
        with suppress(OSError):
            yield


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Wait until no other process holds the lock; where the file system refuses files or locks, go on without."""
    with ExitStack() as stack:
        with suppress(OSError):
            file = stack.enter_context(open(path, "ab"))
            try:
                import fcntl
            except ImportError:
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # type: ignore[attr-defined]  # waits for 10 s at most
            else:
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


@cache
def _sources() -> str:
    """A digest of all that the kernels of this package can call."""
    paths = [Path(memory.__file__), *sorted(Path(__file__).parent.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def _description(value: Any) -> Any:
    """What a kernel is or closes over, with a `repr` that is the same in every process."""
    if isinstance(value, tuple | list):
        return type(value).__name__, [_description(part) for part in value]
    if isinstance(value, set | frozenset):
        return sorted(value)
    function = inspect.unwrap(value)  # Numba's dispatchers and intrinsics name the function that they are made of
    if inspect.isfunction(function):
        options = [(name, _description(option)) for name, option in getattr(value, "targetoptions", {}).items()]
        cells = [_description(cell.cell_contents) for cell in function.__closure__ or ()]
        return function.__module__, function.__qualname__, function.__code__.co_firstlineno, sorted(options), cells
    if isinstance(value, type):
        return value.__module__, value.__qualname__
    if value is None or isinstance(value, bool | int | float | str | bytes | np.generic | np.dtype | numba.types.Type):
        return type(value).__name__, repr(value)
    raise TypeError(
        f"a kernel can close over numbers, strings, dtypes, types, functions and tuples of these, got {value!r}"
    )
