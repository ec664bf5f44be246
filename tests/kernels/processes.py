"""Processes of their own, with settings and a cache of machine code of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]

# A program's first lines: the first kernel that is compiled takes long, and "compiling" is printed when it begins.
SLEEPER = """
import time
from numba.core import event

class Sleeper(event.Listener):
    def on_start(self, event):
        print("compiling", flush=True)
        time.sleep(300)

    def on_end(self, event):
        pass

event.register("numba:compile", Sleeper())
"""


def run(code: str, cache: Path | None, *arguments: str, **variables: str) -> str:
    """Standard output of a program; `cache` is where its process keeps machine code, None for where all others do.

    The only settings of Numba's are `variables`. The program may import what tests can.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    place = os.environ.get("NUMBA_CACHE_DIR") if cache is None else str(cache)
    paths = [str(TESTS), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {"PYTHONPATH": os.pathsep.join(paths)} | ({"NUMBA_CACHE_DIR": place} if place else {}) | variables
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-3000:] + done.stderr
    return done.stdout
