"""The micro-kernels on AMX, the tile unit of x86 CPUs: on the unit where it is, everywhere on a twin of it in software.

The twin (see `oracles.matrix_unit`) is called by the same machine code in place of each instruction of the unit. That
these become the unit's instructions is another test, of what LLVM writes for a CPU that has it.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernels.amx_process import SAPPHIRE_RAPIDS, cache_of, on_unit, skip_without
from kernels.processes import run
from kernels.test_tokens import SUMS, arrays_of, exact

from lf_ref.kernels.cpu import permission
from lf_ref.kernels.jit import once
from lf_ref.kernels.layout.vectors import LANES
from lf_ref.kernels.matmul import dispatch, microkernel_amx
from lf_ref.kernels.matmul.microkernel import plain_tile
from oracles.compare import assert_close, assert_identical

pytestmark = [
    pytest.mark.jit,
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AMX is part of x86 processors"),
]

KINDS = ["bfloat16", "int8"]

# Tokens, rows of the weight, terms: primes, whole tiles, one more and one less than a tile, two, a pack, and a word.
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
from lf_ref.kernels.matmul.dispatch import microkernel
from lf_ref.kernels.matmul.linear import linear_kernel
from lf_ref.kernels.matmul.operands import Operand, Weight, frozen
from lf_ref.kernels.threads import Threads
from lf_ref.kernels.tokens import TokenKernels

faults, loads = unit_or_twin(sys.argv[1])
arrays, answers = np.load(sys.argv[2]), {}

for kind in ("bfloat16", "int8"):
    micro = microkernel(kind)
    assert micro.name == f"{kind}_amx", "it gave a wrong product"
    for name in sorted({name.rpartition(" ")[0] for name in arrays}):
        x, weight, bias = (arrays[f"{name} {side}"] for side in ("x", "weight", "bias"))
        held = reduce(StoredTensor.of(weight), kind)
        for threads in (2, 1, 3, 7) if name == "many" else (2,):
            answers[f"{name} {kind} {threads}"] = TokenKernels(Threads(threads), kind).linear(x, held, bias)

    # Five panels and the rows of two tiles and six more, whose right side is surrounded by other numbers.
    rows, depth, size = 70, 3 * micro.step, 5 * 3 * micro.step * 16
    guarded = np.zeros(3000 + size, np.int32)
    inside, out = guarded[1000 : 1000 + size], np.full(7 * 75 * 16, -7, np.float32)
    inside[:] = 0x01010101 if kind == "int8" else 0x3F803F80  # ones
    left = np.full((rows, depth), inside[0])
    scales = np.ones(rows if kind == "int8" else 0, np.float32), np.ones(80 if kind == "int8" else 0, np.float32)
    weight = Weight(left, np.zeros(rows, np.float32), scales[0], np.zeros(len(scales[0]), np.int32))
    loads.clear()
    linear_kernel(kind, "lanes")(
        Operand(frozen(inside), frozen(scales[1])), Weight(*map(frozen, weight)), (5, 32, 70, 0), (1, 75, 0), out
    )
    answers["part " + kind] = out.reshape(7, 75, 16)
    begin, end = guarded.ctypes.data, guarded.ctypes.data + guarded.nbytes
    near = [load for load in loads if load[1] > begin and load[0] < end]
    first, last = begin + 4 * 1000, begin + 4 * (1000 + size)
    assert all(first <= start and stop <= last for start, stop in near), "reads what is not x"
    assert near or sys.argv[1] != "twin"
np.savez(sys.argv[3], **answers)
print(json.dumps(faults))
"""

COMPILE = """
import json
from lf_ref.kernels.matmul import dispatch
from lf_ref.kernels.cpu.features import dot_instruction, has_tiles
from lf_ref.kernels.matmul.linear import linear_kernel

answer = {}
dispatch.amx_permitted = lambda: True
dispatch._is_exact = lambda micro: True  # compiled, not run
for kind in ("bfloat16", "int8"):
    assert has_tiles(kind) and dot_instruction(kind)
    (answer[kind],) = linear_kernel(kind, "lanes").inspect_asm().values()
print(json.dumps(answer))
"""


def inputs() -> dict[str, tuple[Any, Any, Any]]:
    """x, weight and bias, float32."""
    found = {" ".join(map(str, sizes)): arrays_of(*sizes) for sizes in SIZES}
    found |= {"many": arrays_of(263, 131, 65)}  # two blocks for each of seven threads
    clean, weight, bias = arrays_of(39, 21, 77)
    spoiled = clean.copy()
    spoiled[2, 3], spoiled[36, 70] = np.nan, np.inf
    found |= {"clean": (clean, weight, bias), "spoiled": (spoiled, weight, bias)}
    # The right values are raised by 128, and the sums of the raised products do not fit into 32 bits.
    found["large"] = np.ones((1, 70001)), np.full((3, 70001), -127.0), np.zeros(3)
    return {name: tuple(array.astype(np.float32) for array in arrays) for name, arrays in found.items()}


INPUTS = inputs()


@pytest.fixture(scope="module", params=["unit", "twin"])
def answers(request, tmp_path_factory):
    """The linear maps of all inputs, made in a process of its own that multiplies on AMX or on its twin."""
    skip_without(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    sides = "x", "weight", "bias"
    arrays = {
        f"{name} {side}": array for name, three in INPUTS.items() for side, array in zip(sides, three, strict=True)
    }
    np.savez(folder / "arrays.npz", **arrays)
    paths = str(folder / "arrays.npz"), str(folder / "answers.npz")
    assert json.loads(run(PROGRAM, cache_of(request.param, folder), request.param, *paths)) == []
    with np.load(folder / "answers.npz") as found:
        return dict(found)


@pytest.mark.parametrize("name", [name for name in INPUTS if name not in ("spoiled", "large")])
def test_products_equal_their_definitions(answers, name):
    x, weight, bias = INPUTS[name]
    got = answers[f"{name} bfloat16 2"]
    assert got.dtype == np.float32
    scale = np.abs(x).astype(np.float64) @ np.abs(weight).T.astype(np.float64) + np.abs(bias)
    assert_close(got / scale, exact("bfloat16", x, weight, bias) / scale, SUMS["bfloat16"], "bfloat16")
    assert_identical(answers[f"{name} int8 2"], exact("int8", x, weight, bias), "int8")


def test_int8_sums_may_go_beyond_32_bits_on_the_way(answers):
    assert_identical(answers["large int8 2"], exact("int8", *INPUTS["large"]), "int8")


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
    expected = np.full((7, 75, LANES), -7, np.float32)
    expected[1:6, 32:70] = 3 * 16 * (2 if kind == "bfloat16" else 4)
    assert_identical(answers[f"part {kind}"], expected, kind)


def test_the_instructions_of_the_unit(tmp_path):
    """Compiled, not run: the CPU that does this need not be here."""
    variables = {"NUMBA_CPU_NAME": "sapphirerapids", "NUMBA_CPU_FEATURES": SAPPHIRE_RAPIDS}
    for kind, assembly in json.loads(run(COMPILE, tmp_path, **variables)).items():
        products = set(re.findall(r"(tdp\w+)\s+%tmm(\d), %tmm(\d), %tmm(\d)", assembly))
        name = {"bfloat16": "tdpbf16ps", "int8": "tdpbsud"}[kind]
        # Two panels, 6 and 7, two tiles of rows, 4 and 5, and their four sums.
        assert products == {(name, *tiles) for tiles in ("640", "741", "652", "753")}, kind
        assert set(re.findall(r"tileload\w+\s.*%tmm(\d)", assembly)) >= set("4567"), kind
        for single in ("ldtilecfg", "tilerelease"):
            assert len(re.findall(single, assembly)) == 1, (kind, single)
        assert not re.findall(r"tile(?:load|store).*%rsp", assembly), f"{kind}: sums leave the tiles"


# --- who may use it ---------------------------------------------------------------------------------------------------


@pytest.fixture
def unit(monkeypatch):
    """A CPU and a system with the unit; what its tiles compute is set by the function that this returns."""
    monkeypatch.setattr(dispatch, "has_tiles", lambda kind: True)
    monkeypatch.setattr(dispatch, "amx_permitted", lambda: True)
    monkeypatch.setattr(dispatch, "_one_tile", _in_python)
    monkeypatch.setattr(dispatch, "microkernel", once(dispatch.microkernel.__wrapped__))  # remembers nothing

    def computing(kind, change):
        def tile(*arguments):
            """The tile by NumPy; the last of its sums is off."""
            plain_tile(kind, 32)(*arguments)
            *_, out, at, _ = arguments
            change(out, at + 32 * LANES - 1)

        micro = microkernel_amx.amx_microkernel(kind)._replace(tile=tile, begin=lambda: None, end=lambda: None)
        monkeypatch.setattr(microkernel_amx, "amx_microkernel", lambda kind: micro)
        return micro

    return computing


def _in_python(micro):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "kernel", lambda *signature, **options: lambda function: function)
        return _ONE_TILE(micro)


_ONE_TILE = dispatch._one_tile


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("off", [0.0, 1.0, np.nan])
def test_a_wrong_product_is_told_and_the_unit_left(unit, kind, off):
    def change(out, place):
        if off:
            out[place] = out[place] + off if off == off or kind == "bfloat16" else -1 - out[place]

    micro = unit(kind, change)
    if off == 0:
        assert dispatch.microkernel(kind) is micro
        return
    with pytest.warns(RuntimeWarning, match=f"AMX gives wrong products of {kind} values on this machine"):
        assert dispatch.microkernel(kind).name == f"{kind}_vectors"
    assert dispatch.microkernel(kind).name == f"{kind}_vectors"  # and is not told again


@pytest.mark.parametrize("name", ["has_tiles", "amx_permitted"])
def test_without_processor_or_permission_it_is_not_even_compiled(unit, monkeypatch, name):
    monkeypatch.setattr(dispatch, name, lambda *kind: False)
    monkeypatch.setattr(dispatch, "_is_exact", lambda micro: pytest.fail("compiles"))
    assert [dispatch.microkernel(kind).name for kind in KINDS] == [f"{kind}_vectors" for kind in KINDS]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_long_values_have_no_use_for_it(unit, kind):
    assert dispatch.microkernel(kind).name == f"{kind}_vectors"


def test_permission_is_asked_of_linux_only(monkeypatch):
    permission.amx_permitted.cache_clear()
    flags = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    if permission.amx_permitted():
        assert "amx_tile" in flags
    monkeypatch.setattr(sys, "platform", "darwin")
    permission.amx_permitted.cache_clear()
    assert not permission.amx_permitted()
    permission.amx_permitted.cache_clear()


@pytest.mark.skipif(not on_unit(), reason="this processor or system has no AMX")
def test_a_fork_may_use_it_too():
    code = """
import os
from lf_ref.kernels.matmul.dispatch import _is_exact, microkernel

micro = microkernel("bfloat16")
child = os.fork()
if child == 0:
    os._exit(0 if _is_exact(micro) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    run(code, None)
