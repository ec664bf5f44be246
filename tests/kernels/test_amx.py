"""Products on AMX, the matrix unit of x86 processors: on the unit where it is, everywhere on a twin of it in software.

The twin (see `oracles.matrix_unit`) is called by the same machine code in place of each instruction of the unit. That
these become the unit's instructions is another test, of what LLVM writes for a processor that has it.
"""

from __future__ import annotations

import inspect
import json
import platform
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from kernels.amx_process import SAPPHIRE_RAPIDS, cache_of, on_unit, run, skip_without

from lf_ref.checkpoint.reduced import reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.kernels import amx, amx_here, band_plain, dot_tiles
from lf_ref.kernels.rounding import round_to_int8
from oracles.compare import assert_close, assert_identical
from oracles.reduced import bfloat16, bfloat16_product, whole_product

pytestmark = [
    pytest.mark.jit,
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AMX is part of x86 processors"),
]

# Sums of at most a few thousand float32 products of bfloat16 numbers, which are exact: their additions round.
BFLOAT16_SUMS = 2e-6
KINDS = ["bfloat16", "int8"]

# Rows, columns of the result, terms: primes, whole tiles, one more and one less than a tile, two, a pack, and a word.
SIZES = [
    (1, 1, 1),
    (1, 67, 31),
    (2, 3, 2),
    (15, 17, 3),
    (16, 16, 32),
    (17, 15, 64),
    (31, 33, 65),
    (32, 32, 128),
    (33, 31, 127),
    (37, 191, 129),
    (29, 193, 131),
    (513, 31, 61),
    (1061, 257, 17),
    (3, 523, 1033),
]

PROGRAM = """
import json, sys
import numpy as np
from kernels.amx_process import unit_or_twin
from lf_ref.checkpoint.reduced import reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.kernels import amx_here, reduced
from lf_ref.kernels.threads import Threads

faults, loads = unit_or_twin(sys.argv[1])
arrays, answers = np.load(sys.argv[2]), {}

def product(name, kind, threads):
    weight = reduce(StoredTensor.of(arrays[name + " weight"]), kind)
    return reduced.reduced_product(arrays[name + " x"], weight, Threads(threads))

for kind in ("bfloat16", "int8"):
    assert amx_here.amx_kernel(kind) is not None, "it gave a wrong product"
    for name in sorted({name.rpartition(" ")[0] for name in arrays}):
        for threads in (2, 1, 3, 7) if name == "many" else (2,):
            answers[f"{name} {kind} {threads}"] = product(name, kind, threads)

guarded, sizes = np.zeros(3000 + 96 * 96, np.float32), []

def one_block(threads, out, depth, x, *others, like):
    out[:] = -7
    inside = guarded[1000 : 1000 + len(x)]
    inside[:] = x
    sizes.append(len(x))
    return [(32, 71, 64, 131, inside, *others, out.reshape(-1))]

reduced.blocks = one_block
for kind in ("bfloat16", "int8"):
    loads.clear()
    answers["part " + kind] = product("block", kind, 1)
    begin, end = guarded.ctypes.data, guarded.ctypes.data + guarded.nbytes
    near = [load for load in loads if load[1] > begin and load[0] < end]
    last = begin + 4 * (1000 + sizes[-1])
    assert all(begin + 4 * 1000 <= first and beyond <= last for first, beyond in near), "reads what is not x"
    assert near or sys.argv[1] != "twin"
np.savez(sys.argv[3], **answers)
print(json.dumps(faults))
"""

COMPILE = """
import importlib, json
from lf_ref.kernels import amx, vectors

answer = {}
for kind in ("bfloat16", "int8"):
    assert vectors.matrices_here(kind) and vectors.dots_here(kind)
    kernel = getattr(importlib.import_module(f"lf_ref.kernels.{kind}_amx"), f"{kind}_block")
    assert [cell.cell_contents for cell in kernel.py_func.__closure__] == [amx.fingerprint()]
    (answer[kind],) = kernel.inspect_asm().values()
print(json.dumps(answer))
"""


def arrays_of(rows: int, columns: int, terms: int) -> tuple[Any, Any]:
    """x and weight; rows of different magnitudes, so that a scale of another row cannot pass."""
    rng = np.random.default_rng([rows, columns, terms])
    x = rng.standard_normal((rows, terms)) * 2.0 ** rng.integers(-9, 9, (rows, 1))
    weight = rng.standard_normal((columns, terms)) * 2.0 ** rng.integers(-9, 9, (columns, 1))
    return x.astype(np.float32), weight.astype(np.float32)


def inputs() -> dict[str, tuple[Any, Any]]:
    found = {" ".join(map(str, sizes)): arrays_of(*sizes) for sizes in SIZES}
    found |= {"many": arrays_of(1031, 389, 97), "block": arrays_of(77, 149, 131)}
    clean, weight = arrays_of(39, 21, 77)
    spoiled = clean.copy()
    spoiled[2, 3], spoiled[36, 70] = np.nan, np.inf
    found |= {"clean": (clean, weight), "spoiled": (spoiled, weight)}
    # The left numbers are raised by 128, and the sums of the raised products do not fit into 32 bits.
    found["large"] = np.ones((1, 70001), np.float32), np.full((3, 70001), -127, np.float32)
    return found


INPUTS = inputs()


@pytest.fixture(scope="module", params=["unit", "twin"])
def answers(request, tmp_path_factory):
    """The products of all inputs, made in a process of its own that multiplies on AMX or on its twin."""
    skip_without(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    arrays = {
        f"{name} {side}": array
        for name, pair in INPUTS.items()
        for side, array in zip(("x", "weight"), pair, strict=True)
    }
    np.savez(folder / "arrays.npz", **arrays)
    paths = str(folder / "arrays.npz"), str(folder / "answers.npz")
    assert json.loads(run(PROGRAM, cache_of(request.param, folder), request.param, *paths)) == []
    with np.load(folder / "answers.npz") as found:
        return dict(found)


def expected_int8(x: Any, weight: Any) -> Any:
    """Exact, of rows as the kernel rounds them, which is tested by itself."""
    numbers, scales = np.zeros(x.shape, np.uint8), np.empty(len(x), np.float32)
    round_to_int8(0, len(x), x, numbers, scales)
    few: Any = reduce(StoredTensor.of(weight), "int8")
    whole = whole_product(numbers.astype(np.int64) - 128, few.elements)
    return whole.astype(np.float32) * scales[:, None] * few.scales


@pytest.mark.parametrize("name", [name for name in INPUTS if name not in ("spoiled", "large")])
def test_products_equal_their_definitions(answers, name):
    x, weight = INPUTS[name]
    got = answers[f"{name} bfloat16 2"]
    assert got.dtype == np.float32
    scale = np.abs(bfloat16(x)) @ np.abs(bfloat16(weight)).T
    assert_close(got / scale, bfloat16_product(x, weight) / scale, BFLOAT16_SUMS, "bfloat16")
    assert_identical(answers[f"{name} int8 2"], expected_int8(x, weight), "int8")


def test_int8_sums_may_go_beyond_32_bits_on_the_way(answers):
    assert_identical(answers["large int8 2"], expected_int8(*INPUTS["large"]), "int8")


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads_gives_the_same_bits(answers, kind):
    for count in (2, 3, 7):
        assert_identical(answers[f"many {kind} {count}"], answers[f"many {kind} 1"], f"{count} threads")


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_stays_in_its_row(answers, kind):
    got, others = answers[f"spoiled {kind} 2"], np.delete(np.arange(39), [2, 36])
    assert not np.isfinite(got[[2, 36]]).any()
    assert_identical(got[others], answers[f"clean {kind} 2"][others], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_leaves_other_places_alone(answers, kind):
    expected = np.full_like(answers[f"block {kind} 2"], -7)
    expected[32:71, 64:131] = answers[f"block {kind} 2"][32:71, 64:131]
    assert_identical(answers[f"part {kind}"], expected, kind)


def test_the_instructions_of_the_unit(tmp_path):
    """Compiled, not run: the processor that does this need not be here."""
    variables = {"NUMBA_CPU_NAME": "sapphirerapids", "NUMBA_CPU_FEATURES": SAPPHIRE_RAPIDS}
    for kind, assembly in json.loads(run(COMPILE, tmp_path, **variables)).items():
        products = set(re.findall(r"(tdp\w+)\s+%tmm(\d), %tmm(\d), %tmm(\d)", assembly))
        name = {"bfloat16": "tdpbf16ps", "int8": "tdpbusd"}[kind]
        # Two tiles of columns, 6 and 7, two of rows, 4 and 5, and their four sums.
        assert products == {(name, *tiles) for tiles in ("640", "741", "652", "753")}, kind
        assert set(re.findall(r"tileload\w+\s.*%tmm(\d)", assembly)) == set("4567"), kind
        for once in ("ldtilecfg", "tilerelease"):
            assert len(re.findall(once, assembly)) == 1, (kind, once)
        assert not re.findall(r"tile(?:load|store).*%rsp", assembly), f"{kind}: sums leave the tiles"


def test_the_cache_notices_a_change_of_the_instructions(monkeypatch):
    """Numba's key holds what a kernel closes over: here a hash of the sources of all that it calls."""
    fingerprint = amx.fingerprint()
    assert fingerprint != dot_tiles.fingerprint()
    monkeypatch.setattr("inspect.getsource", lambda module, get=inspect.getsource: get(module) + (module is amx) * "#")
    assert amx.fingerprint() != fingerprint


# --- who may use it ---------------------------------------------------------------------------------------------------


@pytest.fixture
def unit(monkeypatch):
    """A processor and a system with the unit; what its kernel does is set in the fixture's result."""
    found = SimpleNamespace(bfloat16_block=None, int8_block=None, band_block=None)
    monkeypatch.setattr(amx_here, "matrices_here", lambda kind: True)
    monkeypatch.setattr(amx_here, "_permitted", lambda: True)
    monkeypatch.setattr(amx_here, "import_module", lambda name, package: found)
    amx_here.amx_kernel.cache_clear()
    yield found
    amx_here.amx_kernel.cache_clear()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("off", [0.0, 1.0, np.nan])
def test_a_wrong_product_is_told_and_the_unit_left(unit, kind, off):
    def right(start, stop, first, last, x, *others):
        """The product by NumPy, from the words that a kernel takes; one number is off."""
        dtype, out = (np.uint16 if kind == "bfloat16" else np.uint8), others[-1]
        weight = others[0] if kind == "bfloat16" else others[1]
        terms = weight.view(np.int8 if kind == "int8" else dtype)
        numbers = x.view(dtype).reshape(64, -1)[: stop - start, : terms.shape[1]]
        if kind == "bfloat16":
            numbers, terms = ((bits.astype(np.uint32) << 16).view(np.float32) for bits in (numbers, terms))
        else:
            numbers = numbers.astype(np.int64) - 128
        out.reshape(stop, last)[:] = numbers @ terms.astype(numbers.dtype).T
        out[-1] += off

    setattr(unit, f"{kind}_block", right)
    if off == 0:
        assert amx_here.amx_kernel(kind) is right
        return
    with pytest.warns(RuntimeWarning, match=f"AMX gives wrong products of {kind} numbers on this machine"):
        assert amx_here.amx_kernel(kind) is None
    assert amx_here.amx_kernel(kind) is None  # and is not told again


@pytest.mark.parametrize("off", [0.0, 1.0, np.nan])
def test_wrong_attention_is_told_and_the_unit_left(unit, off):
    def right(*arguments):
        band_plain.band_block(*arguments)
        arguments[-1][-1, -1] += off

    unit.band_block = right
    if off == 0:
        assert amx_here.amx_kernel("band") is right
        return
    with pytest.warns(RuntimeWarning, match="AMX gives wrong averages of attention on this machine"):
        assert amx_here.amx_kernel("band") is None


@pytest.mark.parametrize("name", ["matrices_here", "_permitted"])
def test_without_processor_or_permission_it_is_not_even_compiled(unit, monkeypatch, name):
    monkeypatch.setattr(amx_here, name, lambda *kind: False)
    monkeypatch.setattr(amx_here, "import_module", lambda name, package: pytest.fail("compiles"))
    assert [amx_here.amx_kernel(kind) for kind in (*KINDS, "band")] == [None] * 3


def test_permission_is_asked_of_linux_only(monkeypatch):
    amx_here._permitted.cache_clear()
    flags = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    if amx_here._permitted():
        assert "amx_tile" in flags
    monkeypatch.setattr(sys, "platform", "darwin")
    amx_here._permitted.cache_clear()
    assert not amx_here._permitted()
    amx_here._permitted.cache_clear()


@pytest.mark.skipif(not on_unit(), reason="this processor or system has no AMX")
def test_a_fork_may_use_it_too():
    code = """
import os
import numpy as np
from lf_ref.kernels.amx_here import _is_exact, amx_kernel

kernel = amx_kernel("bfloat16")
child = os.fork()
if child == 0:
    os._exit(0 if _is_exact(kernel, "bfloat16") else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    run(code, None)
