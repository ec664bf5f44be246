"""Figures that need a process of their own: peak memory, and the time from its start to its first answer.

Run as a module this is such a process: `python -m lf_ref.bench.cells SIDE memory|answer|convert FOLDER NUM_THREADS
DTYPE`, with its arguments as JSON on standard input; it prints its results as a line of JSON.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import LfRefError
from .kinds import Setup, SideError

_STATUS, _RESET, _MEMORY = Path("/proc/self/status"), Path("/proc/self/clear_refs"), Path("/proc/meminfo")
_LONGEST = 200  # letters of a reason


def cell(setup: Setup, what: str, given: Any) -> dict[str, Any]:
    """The results of a subprocess, with `seconds` from its start to its answer.

    given: ids of one text [1, seq] as lists for "memory" and "answer"; a `Graph`'s fields for "convert".

    Raises:
        SideError: the process ended without an answer.
    """
    command = [sys.executable, "-m", __name__, setup.name, what, str(setup.folder), str(setup.num_threads), setup.dtype]
    start = time.perf_counter()
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        process.stdin.write(json.dumps(given))
        process.stdin.close()
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
        process.wait()
        errors.seek(0)
        last = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
    if process.returncode or not line:
        raise SideError(_reason(process.returncode, last))
    return {**json.loads(line), "seconds": seconds}


def _reason(code: int, last: str) -> str:
    if code >= 0:
        return last or f"its process ended with exit code {code}"
    name = signal.Signals(-code).name
    return f"its process was ended by {name}" + (", probably because memory ran out" if name == "SIGKILL" else "")


def main(name: str, what: str, folder: str, num_threads: str, dtype: str) -> None:
    """The main function of the subprocess."""
    side: Any = Setup(name, Path(folder), int(num_threads), dtype).open()
    tasks: dict[str, Callable[[Any, Any], dict[str, Any]]] = {"memory": _memory, "answer": _answer, "convert": _convert}
    print(json.dumps(tasks[what](side, json.load(sys.stdin))), flush=True)


def _memory(side: Any, given: list[list[int]]) -> dict[str, Any]:
    ids, is_global = _one_text(given)
    before = _reset_peak()
    side.load(ids, is_global)
    loaded = _reset_peak()
    answer = side.encoder(ids, is_global)[0, 0, :8].tolist()
    peak = _peak()
    return {"answer": answer, "bytes": peak - loaded, "loaded_bytes": loaded - before, "process_bytes": peak}


def _answer(side: Any, given: list[list[int]]) -> dict[str, Any]:
    return {"answer": side.encoder(*_one_text(given))[0, 0].tolist()}


def _convert(side: Any, given: dict[str, Any]) -> dict[str, Any]:
    available = _hold_to_memory()
    try:
        return side.convert(**given)
    except SideError as error:
        within = "" if available is None else f" (held to the {available / 1e9:.0f} GB of memory that were available)"
        raise SideError(f"{error}{within}") from error


def _one_text(given: list[list[int]]) -> tuple[Any, Any]:
    """Its ids, and global attention on the first."""
    import numpy as np

    from .size import first_token

    ids = np.array(given, np.int64)
    return ids, first_token(ids)


def _hold_to_memory() -> int | None:
    """Limit the memory of this process to what is available, so that allocations fail, not the process; in bytes."""
    if not _MEMORY.exists():
        return None
    import resource

    line = next(line for line in _MEMORY.read_text(encoding="ascii").splitlines() if line.startswith("MemAvailable"))
    limits = resource.getrlimit(resource.RLIMIT_DATA)
    available = min([int(line.split()[1]) * 1024, *(one for one in limits if one != resource.RLIM_INFINITY)])
    resource.setrlimit(resource.RLIMIT_DATA, (available, limits[1]))
    return available


def _reset_peak() -> int:
    """Reset the peak of memory, if the system can; returns the bytes in use, or the peak."""
    with suppress(OSError):
        _RESET.write_text("5", encoding="ascii")
    return _peak()


def _peak() -> int:
    """The peak memory of this process, in bytes."""
    if _STATUS.exists():  # ru_maxrss also knows of the process that started this one
        line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _one_line(error: BaseException) -> str:
    """An error as one line of bounded length."""
    text = str(error) if isinstance(error, LfRefError) else f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:_LONGEST]


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:  # the process that started this one wants the reason, in a line
        sys.exit(_one_line(error))
