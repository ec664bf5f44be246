"""Band attention on AMX, or on its twin in software, against scalar loops: see `test_amx` and `test_band`."""

from __future__ import annotations

import json
import platform
import re
from typing import Any

import numpy as np
import pytest
from kernels.amx_process import SAPPHIRE_RAPIDS, cache_of, skip_without
from kernels.band_cases import Case, check, make_case, marks_of
from kernels.processes import run

from oracles.compare import assert_identical

pytestmark = [
    pytest.mark.jit,
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AMX is part of x86 processors"),
]

# Tokens, values per head, window, share of masked tokens, global tokens: heads of less and more than a tile, whole
# tiles and not; groups of queries that are full and not; lists of keys that end inside a step.
SIZES = [
    (1, 1, 1, 0.0, 0),
    (2, 5, 1, 0.0, 1),
    (13, 1, 1, 0.2, 2),
    (37, 7, 5, 0.2, 3),
    (67, 64, 200, 0.0, 0),
    (83, 67, 17, 0.1, 29),
    (97, 33, 11, 0.9, 1),
    (53, 17, 7, 0.0, 53),
    (59, 13, 7, 1.0, 0),
    (131, 32, 16, 0.0, 33),
]
KERNELS = ["bfloat16", "words"]

PROGRAM = """
import json, sys
import numpy as np
from kernels.amx_process import unit_or_twin

faults, _ = unit_or_twin(sys.argv[1])
from kernels.test_band_amx import KERNELS, SIZES, case_of, spoiled
from lf_ref.kernels.attention.band import grain
from lf_ref.kernels.matmul.dispatch import microkernel

answers = {"name": microkernel("bfloat16").name, "grain": grain("bfloat16")}
for kernel in KERNELS:
    for sizes in SIZES:
        panels = -(-sizes[0] // 32) * 2
        answers[f"{kernel} whole {sizes}"] = case_of(sizes).run(kernel)
        answers[f"{kernel} cut {sizes}"] = case_of(sizes).run(kernel, cuts=(panels // 3, panels // 2))
    answers[f"{kernel} spoiled"] = spoiled().run(kernel)
np.savez(sys.argv[2], **answers)
print(json.dumps(faults))
"""


def case_of(sizes: tuple[int, int, int, float, int]) -> Case:
    seq, head_dim, one_sided, masked, globals_ = sizes
    return make_case(marks_of(seq, masked, globals_, seed=3), head_dim, one_sided, seed=5)


def spoiled() -> Case:
    """As `case_of`, where one query is not a number."""
    case = case_of(SIZES[4])
    case.query = np.array(case.query)
    case.query[13] = np.nan
    return case


@pytest.fixture(scope="module", params=["unit", "twin"])
def answers(request: Any, tmp_path_factory: Any) -> dict[str, Any]:
    """The averages of all cases, made in a process of its own."""
    skip_without(request.param)
    folder = tmp_path_factory.mktemp(request.param)
    cache = cache_of(request.param, folder)
    assert json.loads(run(PROGRAM, cache, request.param, str(folder / "answers.npz"))) == []
    with np.load(folder / "answers.npz") as found:
        return dict(found)


def test_attention_in_bfloat16_is_done_by_it(answers: dict[str, Any]) -> None:
    assert str(answers["name"]) == "bfloat16_amx"
    assert int(answers["grain"]) == 32


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("how", ["whole", "cut"])
def test_equals_scalar_loops(answers: dict[str, Any], kernel: str, sizes: Any, how: str) -> None:
    check(case_of(sizes), kernel, answers[f"{kernel} {how} {sizes}"])


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_query_that_is_not_a_number_stays_so(answers: dict[str, Any], kernel: str) -> None:
    got, clean = answers[f"{kernel} spoiled"], answers[f"{kernel} whole {SIZES[4]}"]
    assert np.isnan(got[13]).all()
    assert_identical(np.delete(got, 13, axis=0), np.delete(clean, 13, axis=0), "the other queries")


def test_the_instructions_of_the_unit(tmp_path: Any) -> None:
    """Compiled, not run: the CPU that does this need not be here."""
    code = """
from lf_ref.kernels.matmul import dispatch

dispatch.amx_permitted = dispatch._is_exact = lambda *given: True
from lf_ref.kernels.attention.band import attention_kernel

(assembly,) = attention_kernel("bfloat16", True).inspect_asm().values()
print(assembly)
"""
    variables = {"NUMBA_CPU_NAME": "sapphirerapids", "NUMBA_CPU_FEATURES": SAPPHIRE_RAPIDS}
    assembly = run(code, tmp_path, **variables)
    products = set(re.findall(r"(tdp\w+)\s+%tmm(\d), %tmm(\d), %tmm(\d)", assembly))
    assert products == {("tdpbf16ps", *tiles) for tiles in ("640", "741", "652", "753")}
    assert set(re.findall(r"tileload\w+\s.*%tmm(\d)", assembly)) == set("01234567"), "averages go on from what they are"
    for once in ("ldtilecfg", "tilerelease"):
        assert len(re.findall(once, assembly)) == 1, once
    assert not re.findall(r"tile(?:load|store).*%rsp", assembly), "sums leave the tiles"
    assert "vcvtneps2bf16" in assembly
    assert "trunc" not in assembly, "a call for each value"
