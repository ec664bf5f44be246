"""The program of a worker process, which ends with its driver."""

from __future__ import annotations

import os
import threading
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from ...errors import JobError, LfRefError
from ..worker import Worker


def main(descriptor: int) -> None:
    """Make a worker of the first message of a pipe, and call it with each further one; descriptor: of the pipe."""
    pipe = Connection(descriptor)
    messages: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_receive, args=(pipe, messages), daemon=True).start()
    try:
        setting, num_threads = messages.get()
        worker = Worker(setting, num_threads)
        pipe.send("ready")
        while True:
            pipe.send((worker(messages.get()),))
    except LfRefError as error:
        pipe.send(error)
    except Exception as error:  # of ours, or of a library that the driver may not have
        pipe.send(JobError(f"a worker failed: {type(error).__name__}: {error}"))


def _receive(pipe: Connection, messages: SimpleQueue[Any]) -> None:
    """Pass messages on as they come; without a driver there is nobody to work for, whatever is being computed."""
    try:
        while True:
            messages.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(1)
