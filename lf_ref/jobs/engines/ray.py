"""Workers as actors of Ray (https://docs.ray.io), on this machine or on a cluster; needs the extra `lf-ref[ray]`."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...batches.grants import granted_cpus
from ...errors import InputError, JobError, LfRefError
from ...kernels.cpus import usable_cpus
from ...version import __version__
from ..worker import Setting, Worker
from . import TRIES

try:
    import ray
    from ray.exceptions import RayError
except ImportError as error:
    raise InputError(f"the engine ray needs Ray: pip install 'lf-ref[ray]' ({error})") from error

_STORE_BYTES = 1 << 27  # of a cluster of our own: its objects are the plan and what workers return


class _Actor:
    """A worker as Ray runs it. Ray starts it anew where it dies, so it is made by its first call."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def call(self, setting: Setting, num_threads: int | None, number: int | None) -> str | LfRefError | None:
        """Make the part of a number, or get ready; what the worker returned, or the exception that ends the job.

        setting, num_threads: as for `Worker`; None for the CPUs that Ray granted.
        """
        try:
            if self._worker is None:
                if setting.plan.job["lf_ref"] != __version__:
                    began = setting.plan.job["lf_ref"]
                    raise JobError(f"the cluster has lf_ref {__version__}, and the driver {began}: install the same")
                self._worker = Worker(setting, num_threads or granted_cpus())
            return None if number is None else self._worker(number)
        except LfRefError as error:
            return error
        except Exception as error:  # of ours, or of a library that the driver may not have
            return JobError(f"a worker failed: {type(error).__name__}: {error}")


def engine(
    todo: Sequence[int], setting: Setting, *, workers: int, num_threads: int | None, address: str | None
) -> Generator[tuple[int, str | None], None, None]:
    """Run shards on actors of Ray, as `Engine` says."""
    is_callers = ray.is_initialized()
    with _connected(address, workers, num_threads) as num_cpus:
        make = ray.remote(num_cpus=num_cpus, max_restarts=-1, max_task_retries=TRIES - 1)(_Actor).remote
        shared = ray.put(setting)
        waiting = deque(todo)
        actors: list[Any] = []
        running: dict[Any, tuple[Any, int | None]] = {}  # what each actor does; None while it gets ready

        def call(actor: Any, number: int | None) -> None:
            running[actor.call.remote(shared, num_threads, number)] = (actor, number)

        def start(count: int) -> None:
            for _ in range(min(count, len(todo)) - len(actors)):
                actors.append(make())
                call(actors[-1], None)

        try:
            start(1)
            # An actor that the cluster has no room for is not waited for.
            while waiting or any(number is not None for _, number in running.values()):
                [answer], _ = ray.wait([*running])
                actor, number = running.pop(answer)
                try:
                    said = ray.get(answer)
                except RayError as error:
                    if number is None:
                        raise JobError(f"workers die before they are ready: {_why(error)}") from error
                    said = f"its worker died {TRIES} times: {_why(error)}"
                if isinstance(said, LfRefError):
                    raise said
                if number is not None:
                    yield number, said
                start(workers)
                if waiting:
                    call(actor, waiting.popleft())
        finally:
            for actor in actors if is_callers else ():  # elsewhere they end with the connection
                ray.kill(actor)


@contextmanager
def _connected(address: str | None, workers: int, num_threads: int | None) -> Iterator[float]:
    """A connection to Ray, and the CPUs that each worker asks it for.

    It is the caller's, if there is one; else to the cluster at the address, or that RAY_ADDRESS names; else to one of
    this machine, which ends with it.
    """
    if ray.is_initialized():
        if address is not None:
            raise InputError("this process is connected to Ray already: leave address out")
        yield num_threads or _share(workers)
        return
    address = address or os.environ.get("RAY_ADDRESS")
    threads = num_threads or max(1, usable_cpus() // workers)
    own: dict[str, Any] = {
        "num_cpus": workers * threads,
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
    }
    # Ray would write the token that guards the cluster into the user's home, if there were none in the environment.
    token = {} if address or "RAY_AUTH_TOKEN" in os.environ else {"RAY_AUTH_TOKEN": secrets.token_hex(32)}
    if address:
        _check_reachable(address)
    os.environ.update(token)
    try:
        try:
            # A cluster says itself what it has no room for.
            ray.init(address, log_to_driver=bool(address), logging_level=logging.ERROR, **({} if address else own))
        except (ConnectionError, RuntimeError, ValueError) as error:
            cause = f": {_why(error.__cause__)}" if error.__cause__ else ""
            raise JobError(f"Ray cannot be started or reached: {error}{cause}") from error
        yield num_threads or (_share(workers) if address else threads)
    finally:
        ray.shutdown()
        for name in token:
            del os.environ[name]


def _check_reachable(address: str) -> None:
    """Check that there is somebody at an address, for whom Ray would wait for many minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdecimal():  # and no name of Ray's, such as auto
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
        except (OSError, OverflowError) as error:
            raise JobError(f"no cluster of Ray answers at {address}: {error}") from error


def _share(workers: int) -> float:
    """The CPUs of each of some workers on a cluster: whole ones, if there are so many."""
    nodes = [node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"]]
    share = min(sum(nodes) / workers, max(nodes))
    return float(int(share)) if share >= 1 else max(share, 0.01)


def _why(error: BaseException) -> str:
    """The last line of a message of Ray, which has the cause."""
    return str(error).strip().splitlines()[-1].strip()
