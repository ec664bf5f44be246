"""The disk cache that processes share: who compiles, who waits, and what makes another kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kernels.processes import SLEEPER

import lf_ref

pytestmark = pytest.mark.jit

# Kernels of the tests' own: those of `make` call functions that share one name and are too long to be inlined.
MODULE = """
import math
import numba
from lf_ref.kernels.jit import KERNELS, kernel

def make(factor, signature=numba.float64(numba.float64), **options):
    @numba.njit
    def scaled(x):
        zero = 0.0
        for step in range(int(x) + 1):
            if step == 7:
                raise ValueError("seven")
            zero += math.exp(math.sin(step)) * math.log(1.0 + step) * 0.0
        for step in range(int(x) + 1):
            zero += math.atan(step) * math.gamma(step + 1.0) * 0.0
        return zero + factor * x

    @kernel(signature, **options)
    def block(x):
        return scaled(x) + scaled(x + 1) + 0 * scaled(x + 2)

    return block

@kernel(numba.float64(numba.float64))
def plain(x):
    return 3 * x

def misses():
    return sum(sum(kernel.stats.cache_misses.values()) for kernel in KERNELS)
"""
MAKE = """
import sys
from own import make, misses, plain

print(*[make(float(factor))(2.0) for factor in sys.argv[1:]], plain(2.0))
print(misses())
"""


@pytest.fixture
def own(tmp_path):
    """The environment of processes that find the module and share a cache, empty as yet."""
    (tmp_path / "own.py").write_text(MODULE)
    paths = [str(tmp_path), str(Path(lf_ref.__file__).parents[1])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    return kept | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(paths)}


def start(environment, code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        cwd=Path(environment["NUMBA_CACHE_DIR"]).parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """What it printed, line by line."""
    out, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    return out.splitlines()


def run(environment, code, *arguments):
    return finish(start(environment, code, *arguments))


def test_processes_that_start_together_compile_each_kernel_once(own):
    orders = [[2, 3, 5], [5, 3, 2], [3, 5, 2]]
    running = [start(own, MAKE, *order) for order in orders]
    answers, compiled = zip(*map(finish, running), strict=True)
    assert answers == tuple(f"{5.0 * one} {5.0 * two} {5.0 * three} 6.0" for one, two, three in orders)
    assert sum(map(int, compiled)) == 4, "three of them, and the plain one"


def test_kernels_of_several_processes_call_their_own_functions(own):
    """Numba numbers functions from 1 in each process, and links what is of one name and number."""
    for factor in (2, 3):
        assert run(own, MAKE, factor)[0] == f"{5.0 * factor} 6.0"
    assert run(own, MAKE, 3, 2, 7) == ["15.0 10.0 35.0 6.0", "1"]


def test_a_killed_process_holds_nobody_up(own):
    with start(own, SLEEPER + "from own import make; make(2.0)") as first:
        assert first.stdout.readline() == "compiling\n"
        waiting = start(own, MAKE, 2)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=4)
        first.kill()
    assert finish(waiting)[0] == "10.0 6.0"


FAILING = """
import sys
import numba
from own import make

try:
    make(2.0, numba.float64(numba.types.unicode_type))
except numba.TypingError:
    print("refused", flush=True)
sys.stdin.read()
"""


def test_what_does_not_compile_releases_the_lock(own):
    with start(own, FAILING) as first:
        assert first.stdout.readline() == "refused\n"
        assert run(own, MAKE, 2)[0] == "10.0 6.0"  # while the first still runs
        first.communicate("")


NO_LOCKS = """
import fcntl

def flock(*given):
    raise OSError("no locks available")

fcntl.flock = flock
"""
NO_FILES = """
import builtins, io

def open(path, *options):
    if str(path).endswith(".lock"):
        raise PermissionError(path)
    return io.open(path, *options)

builtins.open = open
"""
FULL_DISK = """
from numba.core import caching

def save(*given):
    raise OSError("no space left on device")

caching.IndexDataCacheFile.save = save
"""


@pytest.mark.parametrize(
    "refuse",
    [
        pytest.param(NO_LOCKS, marks=pytest.mark.skipif(sys.platform == "win32", reason="Windows locks otherwise")),
        NO_FILES,
        FULL_DISK,
    ],
    ids=["no locks", "no lock files", "full disk"],
)
def test_a_folder_that_refuses_fails_no_run(own, refuse):
    assert run(own, refuse + MAKE, 2) == ["10.0 6.0", "2"]


def test_loading_takes_no_lock(own):
    run(own, MAKE, 2, 3)
    locks = list(Path(own["NUMBA_CACHE_DIR"]).rglob("*.lock"))
    assert len(locks) == 3
    for lock in locks:
        lock.unlink()
    assert run(own, MAKE, 2, 3)[1] == "0"
    assert not list(Path(own["NUMBA_CACHE_DIR"]).rglob("*.lock"))


def test_a_change_of_any_source_of_the_kernels_compiles_anew(own, tmp_path):
    package = tmp_path / "lf_ref"  # before the original on the path
    shutil.copytree(Path(lf_ref.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    assert run(own, MAKE, 2)[1] == "2"
    for changed, compiled in ("errors.py", "0"), ("kernels/layout/vectors.py", "2"):
        with (package / changed).open("a") as source:
            source.write("# a change\n")
        assert run(own, MAKE, 2)[1] == compiled, changed


OPTIONS = """
from own import make, misses

for options in {}, {"fastmath": True}, {"fastmath": {"nsz", "reassoc", "contract"}}, {"error_model": "python"}:
    make(2.0, **options)
print(misses())
"""


def test_other_options_of_the_compiler_make_another_kernel(own):
    """Numba's own cache has one entry for all of them."""
    assert [run(own, OPTIONS) for _ in range(2)] == [["5"], ["0"]]  # and the plain one
    assert run(own | {"NUMBA_BOUNDSCHECK": "1"}, OPTIONS) == ["5"]


REFUSED = """
import numpy
from own import make

for value in {}, object(), numpy.zeros(3), (1, [2, {}]):
    try:
        make(value)
    except TypeError as error:
        print(error)
"""


def test_what_cannot_be_told_apart_is_refused(own):
    messages = run(own, REFUSED)
    assert [text.partition(", got ")[0] for text in messages] == [
        "a kernel can close over numbers, strings, dtypes, types, functions and tuples of these"
    ] * 4


VARIANTS = """
import numba, numpy
from own import make, misses

for value in 1, 1.0, True, numpy.float32(1), ("a", 1), numba.int64, numpy.dtype("f4"):
    try:
        make(value)
    except numba.TypingError:  # told apart before it is compiled
        pass
print(misses())
"""


def test_values_of_other_types_make_another_kernel(own):
    assert run(own, VARIANTS) == ["8"]  # and the plain one
