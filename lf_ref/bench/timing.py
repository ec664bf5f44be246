"""Times measured in turns, so that changes of the machine's speed affect both sides of a pair alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from ..reference.ops import Array

# A side's threads spin for a while after its last matmul, and would take the CPUs from the other side.
_QUIET, _LOOK, _PATIENCE = 0.1, 0.02, 1.0  # fraction of a CPU; seconds between samples; seconds to wait at most


@dataclass
class Runs:
    """The runs of one function, in seconds of wall-clock time and of CPU time."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    result: Any = None

    @property
    def median(self) -> float:
        """The median of the wall-clock times."""
        return median(self.seconds)

    def facts(self) -> dict[str, Any]:
        """The times as JSON values."""
        return {"seconds": self.median, "cpu_seconds": median(self.cpu_seconds), "runs": self.seconds}


def in_turns(things: list[Callable[[], Any]], repeats: int) -> list[Runs]:
    """Run each function once to warm up, then all of them `repeats` times in turns, forward and backward."""
    runs = [Runs(result=thing()) for thing in things]
    order = list(zip(things, runs, strict=True))
    for _ in range(repeats):
        for thing, timed in order:
            settle()
            clock, cpu = time.perf_counter(), time.process_time()
            timed.result = thing()
            timed.seconds.append(time.perf_counter() - clock)
            timed.cpu_seconds.append(time.process_time() - cpu)
        order.reverse()
    return runs


def settle() -> None:
    """Wait until no thread of this process is busy."""
    deadline = time.perf_counter() + _PATIENCE
    while time.perf_counter() < deadline:
        clock, cpu = time.perf_counter(), time.process_time()
        time.sleep(_LOOK)
        if time.process_time() - cpu < _QUIET * (time.perf_counter() - clock):
            return


def ratios(slow: Runs, fast: Runs) -> list[float]:
    """The ratios of the times, slow over fast, pair by pair."""
    return [above / below for above, below in zip(slow.seconds, fast.seconds, strict=True)]


def largest_difference(one: Array, other: Array) -> float:
    """The largest absolute difference of two results of one shape; NaN where either holds one."""
    assert one.shape == other.shape, (one.shape, other.shape)
    return float(np.max(np.abs(one.astype(np.float64) - other)))


class Matmul:
    """A matmul of the shape of the feed-forward network, to measure the machine's sgemm rate."""

    def __init__(self, rows: int, hidden: int, inner: int, num_threads: int) -> None:
        rng = np.random.default_rng(0)
        self._x = rng.standard_normal((rows, hidden), np.float32)
        self._weight = rng.standard_normal((inner, hidden), np.float32)
        self._threads = num_threads
        self.flop = 2 * rows * hidden * inner

    def __call__(self) -> Array:
        """Multiply."""
        with threadpool_limits(self._threads, user_api="blas"):
            return self._x @ self._weight.T
