"""How many threads a call uses unless it is told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path


def usable_cpus(root: Path = Path("/")) -> int:
    """The CPUs for this process: the smallest of those it may run on, the quotas of its cgroups and OMP_NUM_THREADS.

    A quota is rounded up: with the time of 1.5 CPUs two threads are faster than one. From Python 3.13 on,
    PYTHON_CPU_COUNT stands for the CPUs that the process may run on. root: where `proc` and `sys` are.
    """
    return min([_permitted(), *_quotas(root), *_asked_for()])


def _permitted() -> int:
    if hasattr(os, "process_cpu_count"):  # Python 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _asked_for() -> Iterator[int]:
    """The first number of OMP_NUM_THREADS, a list of one for each level of nesting; OpenMP ignores what is no list."""
    numbers = os.environ.get("OMP_NUM_THREADS", "").split(",")
    if all(re.fullmatch(r"\s*\+?0*[1-9][0-9]*\s*", number) for number in numbers):
        yield int(numbers[0])


def _quotas(root: Path) -> Iterator[int]:
    """The CPU time in each period that Linux grants to the process's cgroup and to those above it, in CPUs."""
    for folder, names in _cgroups(root):
        try:
            quota, period = map(int, " ".join((folder / name).read_text() for name in names).split())
        except (OSError, ValueError):  # no such controller or cgroup here; "max" stands for no limit
            continue
        if quota > 0 and period > 0:  # version 1 has -1 for no limit
            yield -(-quota // period)


def _cgroups(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """The folders of the process's cgroup and of all above it, and the files there that hold quota and period."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # not Linux
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        mount, names = root / "sys/fs/cgroup", ["cpu.max"]
        if "cpu" in controllers.split(","):  # version 1 of the interface
            mount, names = mount / "cpu", ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        elif controllers:
            continue
        # In a container the path may be that of the host, and the container's own cgroup be mounted as the topmost.
        own = Path(path.lstrip("/"))
        for folder in (own, *own.parents):
            yield mount / folder, names
