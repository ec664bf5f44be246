"""A function in a process of its own, which may crash or hang without harm to its caller."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from typing import Any

from ...errors import InputError, LfRefError

TIME_LIMIT = 60.0  # seconds for each call, the imports of the candidate included
_END = ()  # follows the results, each of which is sent as (result,)


class ProcessEndedError(Exception):
    """The process ended, or was stopped, before it had a result."""


def last_in_process(function: Callable[..., Iterable[Any]], *arguments: Any, time_limit: float = TIME_LIMIT) -> Any:
    """Run a generator in a new process, and return the last of its results, also if a crash or hang comes after it.

    function, arguments, and the results: all that pickle takes. Errors of lf_ref are raised again.

    Raises:
        ProcessEndedError: the process crashed or exited, or the time limit, in seconds, is over, before a result.
        InputError: pickle does not take the function or an argument.
    """
    # A fork of this process would share the threads and locks of whatever it has imported.
    methods = multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    context.set_forkserver_preload([function.__module__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(sender, function, arguments))
    try:
        process.start()
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise InputError(
            f"a candidate that runs in a process of its own must be importable: {error}; define it at the top of a "
            "module, or use isolate=False"
        ) from error
    sender.close()
    deadline, last = time.monotonic() + time_limit, tuple[Any, ...]()
    ending = f"did not finish within {time_limit:g} seconds, and was stopped"
    try:
        while receiver.poll(max(0.0, deadline - time.monotonic())):
            message = receiver.recv()
            if message == _END:
                break
            last = message
    except EOFError:
        process.join()
        ending = _ending(process.exitcode)
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
    if not last:
        raise ProcessEndedError(ending)
    [result] = last
    if isinstance(result, LfRefError):
        raise result
    return result


def _serve(sender: Connection, function: Callable[..., Iterable[Any]], arguments: tuple[Any, ...]) -> None:
    """Runs in the new process: send the results of the generator as they come."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller is interrupted too, and stops this process
    os.dup2(sys.stderr.fileno(), 1)  # prints that are still in a buffer of C when the process ends
    faulthandler.enable()  # a crash prints where in the candidate it happened
    try:
        for result in function(*arguments):
            sender.send((result,))
    except LfRefError as error:
        sender.send((error,))
    sender.send(_END)


def _ending(code: int) -> str:
    """The end of a process, by its exit code: a negative one is a signal."""
    if code < 0:
        return f"crashed: its process was ended by {signal.Signals(-code).name}"
    return f"ended its process with exit code {code}"
