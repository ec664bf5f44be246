"""Kernels on CPUs other than the host, and their place in Numba's disk cache.

`.ci/run` runs all tests of kernels and models on those that are compiled for other CPUs.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from kernels.processes import run
from kernels.test_tokens import SUMS, arrays_of, exact

from oracles.compare import assert_close, assert_identical

pytestmark = pytest.mark.jit

x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names are those of x86 processors")

# CPUs whose code runs on any that is likely to run the tests, and the float32 lanes of their registers. The host's own
# name is left out: by it the cache finds what was compiled for the host.
X86, ARM = {"haswell": 8, "nehalem": 4}, {"cortex-a72": 4, "cortex-a53": 4}
NAMED = {"x86_64": X86, "AMD64": X86, "aarch64": ARM, "arm64": ARM}.get(platform.machine(), {})
OTHERS = {name: lanes for name, lanes in NAMED.items() if name != llvm.get_host_cpu_name()}

# Every kind is compiled for these CPUs by the whole of `tests/kernels`, see above.
KINDS = ["float32", "int8"]

PROGRAM = """
import json, sys
import numpy as np
from lf_ref.checkpoint.reduced import reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.compilation import cached_kernels
from lf_ref.kernels.cpu.features import has_bfloat16_conversion, registers
from lf_ref.kernels.threads import Threads
from lf_ref.kernels.tokens import TokenKernels

arrays, answer = np.load(sys.argv[1]), {}
for kind in sys.argv[2:]:
    x, weight, bias = arrays["x"], arrays["weight"], arrays["bias"]
    if kind == "float64":
        x, weight, bias = (array.astype(np.float64) for array in (x, weight, bias))
    elif kind != "float32":
        weight = reduce(StoredTensor.of(weight), kind)
    answer[kind] = TokenKernels(Threads(2), kind).linear(x, weight, bias).tolist()
misses = sum(sum(kernel.stats.cache_misses.values()) for kernel in cached_kernels())
print(json.dumps({"lanes": registers()[1], "converts": has_bfloat16_conversion(), "misses": misses, "out": answer}))
"""

COMPILE = """
import re
from lf_ref.kernels.cpu.features import dot_instruction
from lf_ref.kernels.matmul.linear import linear_kernel

assert dot_instruction("int8")
assert not dot_instruction("bfloat16")
(assembly,) = linear_kernel("int8", "lanes").inspect_asm().values()
print(sorted(set(re.findall(r"(vpdpbusd)[^\\n]*%(.mm)", assembly))))
"""

ALDERLAKE = "+64bit,+cx8,+cmov,+fxsr,+mmx,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+avxvnni"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the CPUs of these tests have compiled."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A file of x, weight and bias, and these."""
    x, weight, bias = (array.astype(np.float32) for array in arrays_of(37, 71, 1031, seed=10))
    path = tmp_path_factory.mktemp("arrays") / "arrays.npz"
    np.savez(path, x=x, weight=weight, bias=bias)
    return path, (x, weight, bias)


def answer_of(cache: Path, path: Path, *kinds: str, **variables: str) -> Any:
    return json.loads(run(PROGRAM, cache, str(path), *kinds, **variables))


def assert_right(out: Any, kind: str, three: Any, name: str) -> None:
    x, weight, bias = (array.astype(np.float64) for array in three)
    expected = exact(kind, x, weight, bias)
    if kind == "int8":
        assert_identical(np.array(out, np.float32), exact(kind, *three), name)
    else:
        scale = np.abs(x) @ np.abs(weight).T + np.abs(bias)
        assert_close(np.array(out) / scale, expected / scale, SUMS[kind], name)


def test_kernels_of_two_processes_from_one_cache(cache: Path, arrays: tuple[Path, Any]) -> None:
    """Compiled each in a process of its own, as by users who start with one kind and go on to another."""
    path, _ = arrays
    alone: dict[str, Any] = {}
    for kind in KINDS:
        alone |= answer_of(cache, path, kind)["out"]
    for kinds in (KINDS, KINDS[::-1]):
        together = answer_of(cache, path, *kinds)
        assert (together["out"], together["misses"]) == (alone, 0)


@pytest.mark.skipif(not OTHERS, reason="the names are those of x86 and ARM processors")
def test_any_processor_from_one_cache(cache: Path, arrays: tuple[Path, Any]) -> None:
    """Each CPU gets kernels of its own from a cache that others have filled; integers give the same bits on all."""
    path, three = arrays
    host = answer_of(cache, path, *KINDS)
    for name, lanes in OTHERS.items():
        other = answer_of(cache, path, *KINDS, NUMBA_CPU_NAME=name)
        assert (other["lanes"], other["converts"]) == (lanes, False)
        assert other["misses"] >= len(KINDS)
        assert other["out"]["int8"] == host["out"]["int8"]
        for kind in KINDS:
            assert_right(other["out"][kind], kind, three, f"{kind} of {name}")
    again = answer_of(cache, path, *KINDS)
    assert again == host | {"misses": 0}
    for kind in KINDS:
        assert_right(again["out"][kind], kind, three, f"{kind} of the host")


@x86
def test_shorter_vectors_have_an_instruction_of_their_own(tmp_path: Path) -> None:
    """Compiled, not run: the CPU that does this need not be here."""
    printed = run(COMPILE, tmp_path, NUMBA_CPU_NAME="alderlake", NUMBA_CPU_FEATURES=ALDERLAKE)
    assert printed.strip() == "[('vpdpbusd', 'ymm')]"
