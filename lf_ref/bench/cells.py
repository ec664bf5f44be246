"""Figures that need a process of their own: peak memory, and the time from its start to its first answer.

Run as a module this is such a process: `python -m lf_ref.bench.cells SIDE memory|answer FOLDER NUM_THREADS`, with the
ids of a text as JSON on standard input; it prints what it found as a line of JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import LfRefError

if TYPE_CHECKING:
    from .sides import Side

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def cell(side: str, what: str, folder: Path, num_threads: int, ids: list[list[int]]) -> dict[str, Any]:
    """What a process of its own found, with `seconds` from its start to its answer."""
    command = [sys.executable, "-m", __name__, side, what, str(folder), str(num_threads)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None  # both are pipes
        assert process.stdout is not None
        process.stdin.write(json.dumps(ids))
        process.stdin.close()
        line = process.stdout.readline()
        seconds = time.perf_counter() - start
    if process.returncode or not line:
        raise LfRefError(f"the process that measures {what} of {side} failed (exit code {process.returncode})")
    return {**json.loads(line), "seconds": seconds}


def main(side_name: str, what: str, folder: str, num_threads: str) -> None:
    """Be the process."""
    side = open_side(side_name)(folder, int(num_threads))
    import numpy as np

    ids = np.array(json.load(sys.stdin), np.int64)
    is_global = np.zeros_like(ids)
    is_global[:, 0] = 1
    found: dict[str, Any] = {}
    if what == "memory":
        for weight in side.weights():
            weight.sum()  # touched, what is mapped from the file is in memory
        before = _reset_peak()
        found["answer"] = side.encoder(ids, is_global)[0, 0, :8].tolist()
        found["bytes"] = _peak() - before
    else:
        found["answer"] = side.encoder(ids, is_global)[0, 0].tolist()
    print(json.dumps(found), flush=True)


def open_side(name: str) -> Callable[[str | os.PathLike[str], int], Side]:
    """The class of a side, by its name; neither is loaded before it is asked for."""
    if name == "transformers":
        from .peer import Transformers

        return Transformers
    from .sides import Ours

    return Ours


def _reset_peak() -> int:
    """Forget the peak so far, where the system can; the bytes that the process holds now, or held at most."""
    with suppress(OSError):
        _RESET.write_text("5", encoding="ascii")
    return _peak()


def _peak() -> int:
    """The most bytes of memory that this process held."""
    if _STATUS.exists():  # ru_maxrss also knows of the process that started this one
        line = next(line for line in _STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
