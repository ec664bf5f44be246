"""Kernels on CPUs other than the host, and their place in Numba's disk cache."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from kernels.processes import TESTS, run, run_python
from kernels.test_tokens import KINDS, SUMS, arrays_of, exact

from oracles.compare import assert_close, assert_identical

pytestmark = pytest.mark.jit

HIDDEN = 2e-5  # float32 through the layers of the demo model, of sums in another order
x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names are those of x86 processors")

# CPUs whose code runs on any that is likely to run the tests, and the float32 lanes of their registers. The host's own
# name is left out: by it the cache finds what was compiled for the host.
X86, ARM = {"haswell": 8, "nehalem": 4}, {"cortex-a72": 4, "cortex-a53": 4}
NAMED = {"x86_64": X86, "AMD64": X86, "aarch64": ARM, "arm64": ARM}.get(platform.machine(), {})
OTHERS = {name: lanes for name, lanes in NAMED.items() if name != llvm.get_host_cpu_name()}

# What is compiled for a CPU is tested by these files.
FILES = ["vectors", "lanes", "rows", "microkernels", "linear", "tokens"]

PROGRAM = """
import json, sys
import lf_ref, numpy as np
from lf_ref.checkpoint.reduced import reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.compilation import cached_kernels
from lf_ref.kernels.cpu.features import has_bfloat16_conversion, registers
from lf_ref.kernels.threads import Threads
from lf_ref.kernels.tokens import TokenKernels

lf_ref.compilation._PATIENCE = 1000  # says nothing of compiling
arrays, answer = np.load(sys.argv[1]), {}
for kind in sys.argv[2:]:
    x, weight, bias = arrays["x"], arrays["weight"], arrays["bias"]
    if kind == "float64":
        x, weight, bias = (array.astype(np.float64) for array in (x, weight, bias))
    elif kind != "float32":
        weight = reduce(StoredTensor.of(weight), kind)
    answer[kind] = TokenKernels(Threads(2), kind).linear(x, weight, bias).tolist()
ids = [[0, *range(5, 90), 2]]
if sys.argv[2:] == ["float32"]:
    model = lf_ref.LongformerModel.from_pretrained()
    answer["hidden"] = model(ids, None, [[1] + [0] * 86]).last_hidden_state.tolist()
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


@pytest.mark.skipif(not OTHERS, reason="the names are those of x86 and ARM processors")
def test_any_processor_from_one_cache(cache: Path, arrays: tuple[Path, Any]) -> None:
    """Each CPU gets tiles of its own shape, also from a cache that others have filled before."""
    path, three = arrays
    host = answer_of(cache, path, "float32")
    for name, lanes in OTHERS.items():
        other = answer_of(cache, path, "float32", NUMBA_CPU_NAME=name)
        assert other["lanes"] == lanes
        assert other["misses"] > 5
        assert_right(other["out"]["float32"], "float32", three, name)
        assert_close(np.array(other["out"]["hidden"]), np.array(host["out"]["hidden"]), HIDDEN, name)
    again = answer_of(cache, path, "float32")
    assert again["misses"] == 0
    assert again["out"] == host["out"]
    assert_right(again["out"]["float32"], "float32", three, "host")


@x86
def test_a_processor_without_the_instructions(cache: Path, arrays: tuple[Path, Any]) -> None:
    """Also from a cache that others have filled; integers give the same bits everywhere."""
    path, three = arrays
    host = answer_of(cache, path, "bfloat16", "int8")
    other = answer_of(cache, path, "bfloat16", "int8", NUMBA_CPU_NAME="haswell")
    again = answer_of(cache, path, "bfloat16", "int8")
    assert not other["converts"]
    assert other["misses"] > 0
    assert again == host | {"misses": 0}
    assert other["out"]["int8"] == host["out"]["int8"]
    for answer, name in ((host, "host"), (other, "other")):
        for kind in ("bfloat16", "int8"):
            assert_right(answer["out"][kind], kind, three, f"{kind} of {name}")


def test_kernels_of_every_kind_from_one_cache(cache: Path, arrays: tuple[Path, Any]) -> None:
    """Compiled each in a process of its own, as by users who start with one and go on to another."""
    path, _ = arrays
    alone: dict[str, Any] = {}
    for kind in KINDS:
        alone |= answer_of(cache, path, kind)["out"]
    alone.pop("hidden")
    for kinds in (KINDS, KINDS[::-1]):
        together = answer_of(cache, path, *kinds)
        assert (together["out"], together["misses"]) == (alone, 0)


@x86
def test_shorter_vectors_have_an_instruction_of_their_own(tmp_path: Path) -> None:
    """Compiled, not run: the CPU that does this need not be here."""
    printed = run(COMPILE, tmp_path, NUMBA_CPU_NAME="alderlake", NUMBA_CPU_FEATURES=ALDERLAKE)
    assert printed.strip() == "[('vpdpbusd', 'ymm')]"


@pytest.mark.skipif(not OTHERS, reason="the names are those of x86 and ARM processors")
@pytest.mark.parametrize("name", OTHERS)
def test_kernels_for_another_processor(name: str) -> None:
    """All that tests say of kernels holds for those that are compiled for it, with the features of its name alone."""
    files = [str(TESTS / "kernels" / f"test_{file}.py") for file in FILES]
    options = ["-q", "-x", "-p", "no:cacheprovider", "--rootdir", str(TESTS.parent)]
    run_python(["-m", "pytest", *options, *files], None, NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES="")
