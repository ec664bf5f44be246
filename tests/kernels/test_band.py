"""The band kernels against scalar loops, for any mask, any global tokens, any window and any block."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.band_cases import FLOAT32, FLOAT64, check, make_case, marks_of, tolerance_of

from lf_ref.kernels import band_plain, engine
from lf_ref.kernels.threads import Threads
from lf_ref.kernels.vectors import dots_here
from lf_ref.model.plan import Row
from oracles.band import band_layout, shares_of
from oracles.compare import assert_close, assert_identical

PLAIN_64 = pytest.param("plain", np.float64, id="plain-float64")
PLAIN_32 = pytest.param("plain", np.float32, id="plain-float32")
TILES = pytest.param("float32", np.float32, id="tiles", marks=pytest.mark.jit)
PAIRS = pytest.param(
    "bfloat16",
    np.float32,
    id="bfloat16",
    marks=[
        pytest.mark.jit,
        pytest.mark.skipif(not dots_here("bfloat16"), reason="this processor multiplies no bfloat16 numbers"),
    ],
)
every_kernel = pytest.mark.parametrize(("kernel", "dtype"), [PLAIN_64, PLAIN_32, TILES, PAIRS])


@every_kernel
@pytest.mark.parametrize(
    ("seq", "head_dim", "one_sided", "masked", "globals_"),
    [
        (1, 7, 3, 0.0, 0),
        (2, 5, 1, 0.0, 1),
        (13, 1, 1, 0.2, 2),
        (37, 7, 5, 0.2, 3),
        (41, 67, 200, 0.0, 0),
        (83, 64, 17, 0.1, 29),
        (97, 31, 11, 0.9, 1),
        (53, 17, 7, 0.0, 53),
        (59, 13, 7, 1.0, 0),
    ],
)
def test_equals_scalar_loops(
    kernel: str, dtype: Any, seq: int, head_dim: int, one_sided: int, masked: float, globals_: int
) -> None:
    case = make_case(marks_of(seq, masked, globals_, seed=3), head_dim, one_sided, seed=5, dtype=dtype)
    check(case, kernel, case.run(kernel))
    check(case, kernel, case.run(kernel, cuts=(seq // 3, seq // 2)))


@every_kernel
@settings(deadline=None, max_examples=60)
@given(
    marks=st.lists(st.sampled_from([1, 1, 1, 0, 2]), min_size=1, max_size=43),
    head_dim=st.sampled_from([1, 2, 3, 7, 8, 16, 19]),
    one_sided=st.sampled_from([1, 2, 3, 7, 23, 64]),
    seed=st.integers(0, 2**16),
    cut=st.floats(0, 1),
)
def test_equals_scalar_loops_whatever_the_masks(
    kernel: str, dtype: Any, marks: list[int], head_dim: int, one_sided: int, seed: int, cut: float
) -> None:
    case = make_case(marks, head_dim, one_sided, seed, dtype)
    check(case, kernel, case.run(kernel, cuts=(int(cut * len(marks)),)))


@pytest.mark.parametrize(("kernel", "dtype"), [TILES, PAIRS])
@pytest.mark.parametrize(
    ("seq", "one_sided", "globals_"),
    [(2503, 1301, 0), (2503, 61, 1999), (1301, 1301, 7), (1103, 40, 1031)],
    ids=["window", "globals", "whole text", "border within globals"],
)
def test_more_keys_than_one_chunk(kernel: str, dtype: Any, seq: int, one_sided: int, globals_: int) -> None:
    """The sums over chunks of keys are joined; the plain kernel, checked above, is the judge in float64."""
    case = make_case(marks_of(seq, 0.05, globals_, seed=11), 19, one_sided, seed=13, dtype=dtype)
    got, expected = case.run(kernel, cuts=(seq // 2,)), case.exact(kernel).run("plain")
    assert_close(got, expected, tolerance_of(kernel, dtype), "averages")


@every_kernel
def test_other_rows_are_left_alone(kernel: str, dtype: Any) -> None:
    case = make_case(marks_of(29, 0.2, 2, seed=17), 7, 4, seed=19, dtype=dtype)
    out = np.full((29, 7), 3.0, dtype)
    case.run_block(kernel, 11, 17, out)
    assert_identical(out[:11], np.full((11, 7), 3.0, dtype), "rows before the block")
    assert_identical(out[17:], np.full((12, 7), 3.0, dtype), "rows after the block")
    tolerance = max(1e-5, 2 * tolerance_of(kernel, dtype))
    assert_close(out[11:17], case.expected(kernel)[11:17], tolerance, "the block")


@every_kernel
def test_what_cannot_be_seen_has_no_influence(kernel: str, dtype: Any) -> None:
    """Masked tokens may hold anything, even no numbers; so may the queries of global tokens.

    The first token is masked: its place is what fills up the lists of tokens.
    """
    marks = marks_of(61, 0.3, 5, seed=23)
    marks[0] = 0
    case = make_case(marks, 11, 9, seed=29, dtype=dtype)
    before = case.run(kernel)
    query, key, value = (np.array(array) for array in (case.query, case.key, case.value))
    for array in (query, key, value):
        array[marks == 0] = np.nan
    query[marks == 2] = np.inf
    case.query, case.key, case.value = query, key, value
    assert_identical(case.run(kernel), before, "averages")
    assert_identical(before[marks != 1], np.zeros((int((marks != 1).sum()), 11), dtype), "queries that are not local")


@every_kernel
@pytest.mark.parametrize("height", [88.0, 1e4, 1e30])
def test_scores_of_any_size(kernel: str, dtype: Any, height: float) -> None:
    """A key outside the window must not take the maximum, one inside takes all weight without overflow."""
    case = make_case([1] * 47, 5, 3, seed=31, dtype=dtype)
    query, key = np.full((47, 5), 5**-0.5, dtype), np.zeros((47, 5), dtype)
    key[20] = height  # the score of token 20 is `height`, all others are 0
    case.query, case.key = query, key
    expected = case.expected(kernel)
    assert np.isfinite(expected).all()
    # Reading a score of 88 to float32's last place already costs 5e-6 of the exponential.
    tolerance = FLOAT64 * 100 if dtype == np.float64 else max(1e-5, tolerance_of(kernel, dtype))
    assert_close(case.run(kernel), expected, tolerance, "averages")


@every_kernel
def test_equal_scores_average_exactly(kernel: str, dtype: Any) -> None:
    """Where all scores are equal, each query gets the mean of what it sees, here 1."""
    case = make_case([1] * 37, 3, 4, seed=37, dtype=dtype)
    case.query, case.value = np.zeros((37, 3), dtype), np.ones((37, 3), dtype)
    assert_close(case.run(kernel), np.ones((37, 3)), np.finfo(dtype).eps * 4, "averages")


@every_kernel
def test_equal_values_average_exactly(kernel: str, dtype: Any) -> None:
    """The shares of a query add up to 1, also where they were rounded."""
    case = make_case(marks_of(37, 0.1, 2, seed=39), 3, 4, seed=40, dtype=dtype)
    case.value = np.ones((37, 3), dtype)
    assert_close(case.run(kernel)[case.local], np.ones((case.local.sum(), 3)), np.finfo(dtype).eps * 4, "averages")


@every_kernel
@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FC00001, 0x7FC12345, 0xFFFFFFFF])
def test_a_query_that_is_not_a_number_stays_so(kernel: str, dtype: Any, bits: int) -> None:
    """Whatever its bits say beyond that, as those of a damaged file do."""
    case = make_case([1] * 31, 5, 3, seed=41, dtype=dtype)
    before = case.run(kernel)
    case.query = np.array(case.query)
    case.query[13] = np.array(bits, np.uint32).view(np.float32)
    got = case.run(kernel)
    assert np.isnan(got[13]).all()
    assert_identical(np.delete(got, 13, axis=0), np.delete(before, 13, axis=0), "the other queries")


@every_kernel
def test_same_bits_on_any_number_of_threads(kernel: str, dtype: Any) -> None:
    case = make_case(marks_of(211, 0.1, 3, seed=43), 13, 29, seed=47, dtype=dtype)
    blocks = [(start, min(start + 64, 211)) for start in range(0, 211, 64)]
    results = []
    for threads in (1, 3):
        out = np.empty((211, 13), dtype)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda block, out=out: case.run_block(kernel, *block, out), blocks))
        results.append(out)
    assert_identical(results[1], results[0], "averages")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_but_the_local_queries_are_zero(dtype: Any) -> None:
    """Two texts, of each a part, with tokens before, between and behind them."""
    query, key, value = np.random.default_rng(53).normal(size=(3, 31, 6)).astype(dtype)
    rows = []
    for tokens, queries, marks in (
        (slice(2, 13), slice(3, 9), marks_of(11, 0.2, 2, seed=59)),
        (slice(17, 29), slice(0, 7), marks_of(12, 0.2, 1, seed=61)),
    ):
        is_global = np.flatnonzero(marks == 2)
        rows.append(Row(tokens, marks > 0, marks == 1, queries, is_global, is_global))
    out = np.full_like(query, np.nan)
    assert engine.Kernels(Threads(2)).band_attention(query, key, value, rows, 2, 3, out) is out
    filled = [
        row.tokens.start + place
        for row in rows
        for place in range(row.queries.start, row.queries.stop)
        if row.local[place]
    ]
    assert_identical(np.flatnonzero(out.any(axis=1)), np.array(filled), "rows that hold something")
    assert np.isfinite(out).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@settings(deadline=None, max_examples=40)
@given(
    marks=st.lists(st.sampled_from([1, 1, 1, 0, 2]), min_size=1, max_size=31),
    one_sided=st.sampled_from([1, 3, 7, 40]),
    extra=st.integers(0, 3),
    seed=st.integers(0, 2**16),
)
def test_probabilities_in_the_layout_of_attentions(
    dtype: Any, marks: list[int], one_sided: int, extra: int, seed: int
) -> None:
    case = make_case(marks, 7, one_sided, seed, dtype)
    globals_ = case.global_positions.tolist()
    columns = len(globals_) + extra
    seq = len(marks)
    out = np.full((seq, columns + 2 * one_sided + 1), np.nan, dtype)
    for start, stop in ((0, seq // 2), (seq // 2, seq)):
        band_plain.band_probabilities(
            case.query, case.key, case.local, case.global_positions, one_sided, start, stop, out
        )
    shares = shares_of(case.query, case.key, case.local, globals_, one_sided)
    expected = band_layout(shares, globals_, columns, one_sided)
    assert_close(out, expected, FLOAT64 if dtype == np.float64 else FLOAT32, "probabilities")
    assert_identical(out == 0, expected == 0, "zeros")


@pytest.mark.jit
@pytest.mark.parametrize(
    ("dtype", "reduced", "dots", "unit", "kernel"),
    [
        (np.float64, False, True, True, "band_plain"),
        (np.float32, False, True, True, "band_float32"),
        (np.float32, True, False, True, "band_float32"),
        (np.float32, True, True, False, "band_bfloat16"),
        (np.float32, True, True, True, "band_amx"),
    ],
)
def test_which_kernel_is_taken(
    monkeypatch: pytest.MonkeyPatch, dtype: Any, reduced: bool, dots: bool, unit: bool, kernel: str
) -> None:
    """Found by name and not imported: those of other processors cannot be compiled here."""
    monkeypatch.setattr(engine, "dots_here", lambda kind: dots)
    monkeypatch.setattr(engine, "amx_kernel", lambda kind: f"{kind}_amx" if unit else None)
    for name in ("band_float32", "band_bfloat16"):
        monkeypatch.setitem(sys.modules, f"lf_ref.kernels.{name}", SimpleNamespace(band_block=name))
    found: Any = engine._band_block(np.dtype(dtype), reduced)
    assert (found if isinstance(found, str) else found.py_func.__module__.rpartition(".")[2]) == kernel
