"""Band attention on AMX, or on its twin in software, against scalar loops: see `test_amx` and `test_band`."""

from __future__ import annotations

import json
import platform
import re
from typing import Any

import numpy as np
import pytest
from kernels.amx_process import SAPPHIRE_RAPIDS, cache_of, run, skip_without
from kernels.band_cases import BFLOAT16, Case, check, make_case, marks_of

from lf_ref.kernels.vectors import dots_here
from oracles.compare import assert_close, assert_identical

pytestmark = [
    pytest.mark.jit,
    pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="AMX is part of x86 processors"),
]

# Tokens, numbers per head, window, share of masked tokens, global tokens: heads of less and more than a tile, whole
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
CHUNKS = (1103, 19, 1040, 0.05, 41)  # more keys than are in work at once

PROGRAM = """
import json, sys
import numpy as np
from kernels.amx_process import unit_or_twin

faults, _ = unit_or_twin(sys.argv[1])
from kernels.test_band_amx import CHUNKS, SIZES, case_of, chosen_kernel, hidden, spoiled

answers = {"kernel": chosen_kernel()}
for sizes in SIZES:
    seq = sizes[0]
    answers[f"whole {sizes}"], answers[f"cut {sizes}"] = (
        case_of(sizes).run("amx", cuts=cuts) for cuts in ((), (seq // 3, seq // 2))
    )
answers["spoiled"], answers["hidden"] = spoiled().run("amx"), hidden().run("amx")
answers["chunks"] = np.full((CHUNKS[0], CHUNKS[1]), 3.0, np.float32)
case_of(CHUNKS).run_block("amx", 601, 640, answers["chunks"])
np.savez(sys.argv[2], **answers)
print(json.dumps(faults))
"""


def case_of(sizes: tuple[int, int, int, float, int]) -> Case:
    seq, head_dim, one_sided, masked, globals_ = sizes
    return make_case(marks_of(seq, masked, globals_, seed=3), head_dim, one_sided, seed=5, dtype=np.float32)


def marks() -> Any:
    """The first token is masked: its place is what fills up the lists of tokens."""
    found = marks_of(61, 0.3, 5, seed=23)
    found[0] = 0
    return found


def hidden() -> Case:
    """What cannot be seen holds no numbers."""
    case = make_case(marks(), 11, 9, seed=29, dtype=np.float32)
    case.query, case.key, case.value = (np.array(array) for array in (case.query, case.key, case.value))
    for array in (case.query, case.key, case.value):
        array[marks() == 0] = np.nan
    case.query[marks() == 2] = np.inf
    return case


def spoiled() -> Case:
    """As `case_of`, where one query is not a number."""
    case = case_of(SIZES[4])
    case.query = np.array(case.query)
    case.query[13] = np.nan
    return case


def chosen_kernel() -> str:
    """Where the kernel stands that a model of few bits attends by."""
    from lf_ref.kernels import engine

    return engine._band_block(np.dtype(np.float32), reduced=True).py_func.__module__


@pytest.fixture(scope="module", params=["unit", "twin"])
def answers(request: Any, tmp_path_factory: Any) -> dict[str, Any]:
    """The averages of all cases, made in a process of its own."""
    skip_without(request.param)
    if not dots_here("bfloat16"):
        pytest.skip("this processor cannot round vectors to bfloat16, as all do that have AMX")
    folder = tmp_path_factory.mktemp(request.param)
    cache = cache_of(request.param, folder)
    assert json.loads(run(PROGRAM, cache, request.param, str(folder / "answers.npz"))) == []
    with np.load(folder / "answers.npz") as found:
        return dict(found)


def test_models_of_reduced_precision_attend_by_it(answers: dict[str, Any]) -> None:
    assert str(answers["kernel"]) == "lf_ref.kernels.band_amx"


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("how", ["whole", "cut"])
def test_equals_scalar_loops(answers: dict[str, Any], sizes: Any, how: str) -> None:
    check(case_of(sizes), "amx", answers[f"{how} {sizes}"])


def test_more_keys_than_one_chunk(answers: dict[str, Any]) -> None:
    got, expected = answers["chunks"], case_of(CHUNKS).exact("amx").run("plain")
    assert_close(got[601:640], expected[601:640], BFLOAT16, "the block")
    assert (np.delete(got, np.s_[601:640], axis=0) == 3.0).all(), "other rows"


def test_what_cannot_be_seen_has_no_influence(answers: dict[str, Any]) -> None:
    check(make_case(marks(), 11, 9, seed=29, dtype=np.float32), "amx", answers["hidden"])


def test_a_query_that_is_not_a_number_stays_so(answers: dict[str, Any]) -> None:
    got, clean = answers["spoiled"], answers[f"whole {SIZES[4]}"]
    assert np.isnan(got[13]).all()
    assert_identical(np.delete(got, 13, axis=0), np.delete(clean, 13, axis=0), "the other queries")


def test_the_instructions_of_the_unit(tmp_path: Any) -> None:
    """Compiled, not run: the processor that does this need not be here."""
    code = """
from hashlib import sha256
from lf_ref.kernels import amx, band_pairs
from lf_ref.kernels.band_amx import band_block

sources = sha256((amx.fingerprint() + band_pairs.fingerprint()).encode()).hexdigest()
assert [cell.cell_contents for cell in band_block.py_func.__closure__] == [sources], "not in the key of the cache"
(assembly,) = band_block.inspect_asm().values()
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
    assert "trunc" not in assembly, "a call for each number"
