"""Engines: what runs the shards of a job on processes.

An engine is a function, see `Engine`. It hands out the numbers of shards to workers, of which each makes a
`lf_ref.jobs.worker.Worker` of its own from the setting, once, and calls it with one number after another.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from importlib import import_module
from typing import Any, Protocol

from ...errors import InputError
from ..worker import Setting

# By name, the module in this room that has a function `engine`.
ENGINES = {"local": "local", "ray": "ray"}


class Engine(Protocol):
    """What every engine does.

    - It calls a worker once for each number, and yields the number with what the worker returned: None, or why there is
      no part. The order does not matter: a part is a pure function of its shard, and is renamed when it is complete,
      so that nothing is lost or doubled whenever and wherever a worker ends, or a shard runs twice.
    - A worker that dies is replaced, and its shard is tried `TRIES` times in all; then it is yielded with the reason.
    - An exception of a worker, when it is made or when it is called, ends the job: the engine raises it. It is a
      `LfRefError`; workers that die before they are ready, again and again, are a `JobError`.
    - The first worker of a machine gets ready before the others of it start, so that kernels are compiled once.
    - However it ends, by an exception and by `close()` too, it leaves no process behind.

    Args:
        todo: the numbers of the shards.
        setting: what each worker is made from.
        workers: how many there are at most.
        num_threads: of each worker; None for as many as its share of the CPUs.
        address: of a cluster, for an engine that has one.
    """

    def __call__(  # noqa: D102
        self, todo: Sequence[int], setting: Setting, *, workers: int, num_threads: int | None, address: str | None
    ) -> Generator[tuple[int, str | None], None, None]: ...


TRIES = 3  # of a shard whose worker dies


def engine_of(name: Any) -> Engine:
    """The engine of a name.

    Raises:
        InputError: there is none of this name, or a library that it needs is missing.
    """
    if name not in ENGINES:
        raise InputError(f"engine must be one of {', '.join(ENGINES)}, got {name!r}")
    found: Engine = import_module(f".{ENGINES[name]}", __name__).engine
    return found
