"""The program of a worker process, which ends with its driver."""

from __future__ import annotations

import os
import pickle
import sys
import threading
from importlib.abc import MetaPathFinder
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from ...errors import JobError, LfRefError
from ..worker import Worker


def main(descriptor: int) -> None:
    """Make a worker of the first message of a pipe, and call it with each further one; descriptor: of the pipe."""
    sys.meta_path.insert(0, _WithoutPandas())
    pipe = Connection(descriptor)
    messages: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, messages), daemon=True).start()
    try:
        setting, num_threads = pickle.loads(messages.get())
        worker = Worker(setting, num_threads)
        pipe.send("ready")
        while True:
            pipe.send((worker(pickle.loads(messages.get())),))
    except LfRefError as error:
        pipe.send(error)
    except Exception as error:  # of ours, or of a library that the driver may not have
        pipe.send(JobError(f"a worker failed: {type(error).__name__}: {error}"))


class _WithoutPandas(MetaPathFinder):
    """pyarrow loads pandas where it is installed, which takes memory, to see whether values are its Series."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Raise for pandas as if it were not there."""
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)


def _receive(pipe: Connection, messages: SimpleQueue[bytes]) -> None:
    """Pass messages on as they come, pickled; without a driver there is nobody to work for, so end at once."""
    try:
        while True:
            messages.put(pipe.recv_bytes())
    except (EOFError, OSError):
        os._exit(1)
