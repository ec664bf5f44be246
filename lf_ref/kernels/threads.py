"""Threads for the kernels: they release the GIL, so plain Python threads run them side by side.

Numba's own `parallel=True` is not used: it compiles for seconds, its workqueue layer aborts the process when two
Python threads enter it, and its OpenMP layer does after a fork.
"""

from __future__ import annotations

import operator
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

from threadpoolctl import ThreadpoolController

from ..errors import InputError
from .cpus import usable_cpus


@lru_cache(maxsize=4)  # one that falls out ends its threads once nobody uses it
def _helpers(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, thread_name_prefix="lf_ref")


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


@contextmanager
def _settable_blas() -> Iterator[ThreadpoolController]:
    """NumPy's BLAS, for this thread to set.

    threadpoolctl from 3.8 on lets the thread set it that did so first; for any other it does nothing, and says nothing.
    """

    def let_go() -> None:
        for library in _blas().lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)

    let_go()
    try:
        yield _blas()
    finally:
        let_go()


class _BlasLimit:
    """Holds NumPy's BLAS to a number of threads.

    That number is the process's: the first call that changes it remembers what stood before, and the last to end
    restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._before: Any = None

    @contextmanager
    def __call__(self, count: int) -> Iterator[None]:
        with self._lock:
            with _settable_blas() as blas:
                limiter = blas.limit(limits=count)
            if self._calls == 0:
                self._before = limiter
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if self._calls == 0:
                    with _settable_blas():
                        self._before.restore_original_limits()


limit_blas = _BlasLimit()

if hasattr(os, "register_at_fork"):
    # A fork copies the pool but not its threads, and the lock as another thread may hold it.
    os.register_at_fork(after_in_child=_helpers.cache_clear)
    os.register_at_fork(after_in_child=limit_blas.__init__)  # type: ignore[misc]


class Threads:
    """A number of threads to run tasks with; None stands for one per usable CPU, see `cpus.usable_cpus`."""

    def __init__(self, num_threads: int | None = None) -> None:
        try:
            count = operator.index(usable_cpus() if num_threads is None else num_threads)
        except TypeError:
            count = 0
        if count < 1 or isinstance(num_threads, bool):
            raise InputError(f"num_threads must be a positive integer or None, got {num_threads!r}")
        self.count = count
        self.chosen = num_threads is not None

    def run(self, task: Callable[..., object], arguments: Iterable[tuple[Any, ...]]) -> None:
        """Call `task` once for each tuple of arguments, in any order, on all threads; return when all are done.

        The tasks write to disjoint places, so the result does not depend on the number of threads. The caller's
        thread works too. Where some fail, one of their exceptions is raised here, when none is running any more.
        """
        waiting = deque(arguments)

        def work() -> None:
            while True:
                try:
                    chosen = waiting.popleft()
                except IndexError:
                    return
                task(*chosen)

        helpers = min(self.count, len(waiting)) - 1
        running = [_helpers(self.count - 1).submit(work) for _ in range(helpers)]
        try:
            work()
        finally:
            waiting.clear()
            wait(running)
        for future in running:
            future.result()
