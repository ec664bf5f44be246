"""What a piece of code adds to the memory of a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# ru_maxrss will not do: a new process inherits it from the one that started it.
_PROGRAM = """
import sys
def peak_mb():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
{setup}
before = peak_mb()
{measured}
print(peak_mb() - before)
"""


def peak_growth(setup: str, measured: str, *arguments: object) -> float:
    """MB by which the peak of resident memory rises while `measured` runs after `setup`; Linux only.

    Both are source code, which finds the arguments in `sys.argv[1:]`; a failure there fails the test.
    """
    if not Path("/proc/self/status").exists():
        import pytest

        pytest.skip("peak memory is read from Linux's /proc")
    program = _PROGRAM.format(setup=setup, measured=measured)
    command = [sys.executable, "-c", program, *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert finished.returncode == 0, finished.stderr
    return float(finished.stdout)
