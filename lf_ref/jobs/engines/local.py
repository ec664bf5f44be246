"""Workers as processes of this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any

from ...errors import JobError
from ...kernels.cpus import usable_cpus
from ..worker import Setting
from . import TRIES

# Not by multiprocessing, which imports the user's script anew, and so asks it to be written for that.
_PROGRAM = "import sys; sys.path[:] = {path!r}; from lf_ref.jobs.engines.local_worker import main; main({pipe})"
# So that freed memory goes back to the system, not to a pool of each thread: 30 MB of a worker of base size.
_MEMORY = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}


class _Process:
    """A worker of its own process, and the number of the shard that it does; None while it gets ready."""

    def __init__(self, setting: Setting, num_threads: int) -> None:
        self.number: int | None = None
        self.pipe, theirs = Pipe()
        program = _PROGRAM.format(path=sys.path, pipe=theirs.fileno())
        with theirs, _without_interruption():
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                env={**_MEMORY, **os.environ},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self.send((setting, num_threads))

    def send(self, message: Any) -> None:
        """Send a message; one to a process that has died is lost, which `receive` reports."""
        with suppress(OSError):
            self.pipe.send(message)

    def receive(self) -> Any:
        """The next message; None if there is none, as the process has died."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def end(self) -> str:
        """End the process, if it has not ended by itself; how it ended."""
        self.pipe.close()
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self.end()


def engine(
    todo: Sequence[int], setting: Setting, *, workers: int, num_threads: int | None, address: str | None
) -> Generator[tuple[int, str | None], None, None]:
    """Run shards on processes of this machine, as `Engine` says; address: of no use here."""
    threads = num_threads or max(1, usable_cpus() // workers)
    waiting, deaths, unready = deque(todo), Counter[int](), 0
    live: dict[Connection, _Process] = {}

    def start(count: int) -> None:
        for _ in range(min(count - len(live), len(waiting))):
            process = _Process(setting, threads)
            live[process.pipe] = process

    try:
        start(1)
        while live:
            for pipe in wait([*live]):
                process = live[pipe]  # type: ignore[index]
                message = process.receive()
                if isinstance(message, Exception):
                    raise message
                if message is None:
                    del live[process.pipe]
                    how = process.end()
                    if process.number is None:
                        unready += 1
                        if unready == TRIES:
                            raise JobError(f"workers die before they are ready, the last by {how}{_hint(how)}")
                    else:
                        deaths[process.number] += 1
                        if deaths[process.number] < TRIES:
                            waiting.append(process.number)
                        else:
                            yield process.number, f"its worker died {TRIES} times, the last by {how}{_hint(how)}"
                    start(len(live) + 1)
                    continue
                unready = 0
                if process.number is not None:
                    yield process.number, message[0]
                if waiting:
                    process.number = waiting.popleft()
                    process.send(process.number)
                    start(workers)
                else:
                    del live[process.pipe]
                    process.end()
    finally:
        for process in live.values():
            process.kill()


def _hint(how: str) -> str:
    return ": perhaps the memory is too small for so many workers" if how == "signal SIGKILL" else ""


@contextmanager
def _without_interruption() -> Iterator[None]:
    """Start a process that Ctrl-C, which a terminal sends to all, does not reach; the driver ends it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
