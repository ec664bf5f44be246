"""The band attention against scalar loops, for any mask, any global tokens, any window, and any cut into tasks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.band_cases import FLOAT32, FLOAT64, TOLERANCES, check, make_case, marks_of

from lf_ref.kernels.attention.probabilities import band_probabilities_kernel
from lf_ref.kernels.matmul.operands import frozen
from oracles.band import averages_of, band_layout, dense_averages, shares_of
from oracles.compare import assert_close, assert_identical

every_kernel = pytest.mark.parametrize("kernel", ["float64", "float32", "bfloat16", "words"])


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
        (131, 32, 16, 0.0, 33),
    ],
)
def test_equals_scalar_loops(
    kernel: str, seq: int, head_dim: int, one_sided: int, masked: float, globals_: int
) -> None:
    case = make_case(marks_of(seq, masked, globals_, seed=3), head_dim, one_sided, seed=5)
    whole = case.run(kernel)
    check(case, kernel, whole)
    panels = -(-seq // 32) * 2
    check(case, kernel, case.run(kernel, cuts=(panels // 3, panels // 2)))
    assert_identical(case.run(kernel, rows_before=0), whole, "the first of all rows")


@every_kernel
@settings(deadline=None, max_examples=60)
@given(
    marks=st.lists(st.sampled_from([1, 1, 1, 0, 2]), min_size=1, max_size=43),
    head_dim=st.sampled_from([1, 2, 3, 7, 8, 16, 19]),
    one_sided=st.sampled_from([1, 2, 3, 7, 23, 64]),
    seed=st.integers(0, 2**16),
    cut=st.integers(0, 2),
    causal=st.booleans(),
)
def test_equals_scalar_loops_whatever_the_masks(
    kernel: str, marks: list[int], head_dim: int, one_sided: int, seed: int, cut: int, causal: bool
) -> None:
    case = make_case(marks, head_dim, one_sided, seed, causal)
    check(case, kernel, case.run(kernel, cuts=(min(cut, -(-len(marks) // 16)),)))


@pytest.mark.jit
@every_kernel
@pytest.mark.parametrize(
    ("seq", "one_sided", "globals_"),
    [(2503, 1301, 0), (2503, 61, 1999), (1301, 1301, 7), (1103, 40, 1031)],
    ids=["window", "globals", "whole text", "few local tokens"],
)
def test_many_keys(kernel: str, seq: int, one_sided: int, globals_: int) -> None:
    """The dense twin, checked below, is the judge."""
    case = make_case(marks_of(seq, 0.05, globals_, seed=11), 19, one_sided, seed=13)
    exact = case.exact(kernel)
    dense = dense_averages(exact.query, exact.key, exact.value, exact.local, exact.global_positions, one_sided)
    assert_close(case.run(kernel, cuts=(seq // 32,)), dense, TOLERANCES[kernel], "averages")


def test_the_dense_twin_equals_scalar_loops() -> None:
    case = make_case(marks_of(83, 0.2, 5, seed=12), 19, 11, seed=14).exact("float64")
    shares = shares_of(case.query, case.key, case.local, case.global_positions.tolist(), case.one_sided)
    dense = dense_averages(case.query, case.key, case.value, case.local, case.global_positions, case.one_sided)
    assert_close(dense, averages_of(shares, case.value), FLOAT64, "averages")


@pytest.mark.parametrize("kernel", ["float64", "float32", "words"])
def test_the_averages_may_replace_the_queries(kernel: str) -> None:
    case = make_case(marks_of(83, 0.2, 3, seed=17), 37, 9, seed=19)
    assert_identical(case.run(kernel, cuts=(2, 4), in_place=True), case.run(kernel, cuts=(2, 4)), "averages")


@every_kernel
def test_other_queries_than_the_keys(kernel: str) -> None:
    """As global queries attend: to every visible token, each at any place among the queries."""
    case = make_case(marks_of(47, 0.3, 0, seed=20), 11, 200, seed=21)
    case.asking = np.arange(47) < 5
    exact = case.exact(kernel)
    everything = np.ones(47, bool)
    shares = shares_of(exact.query, exact.key, everything, [], 200)
    seen = [{j: share for j, share in row.items() if case.local[j]} for row in shares]
    totals = [sum(row.values()) for row in seen]
    shares = [{j: share / total for j, share in row.items()} for row, total in zip(seen, totals, strict=True)]
    expected = averages_of(shares, exact.value)
    expected[5:] = 0
    check(case, kernel, case.run(kernel), expected)


@every_kernel
def test_what_cannot_be_seen_has_no_influence(kernel: str) -> None:
    """Keys and queries of masked tokens may hold anything, even NaN; so may the queries of global tokens.

    Their values are multiplied by 0, so they are finite: see `test_global_rows.test_masked_tokens_may_hold_anything`.
    """
    marks = marks_of(61, 0.3, 5, seed=23)
    marks[0], marks[-1] = 0, 1
    case = make_case(marks, 11, 9, seed=29)
    before = case.run(kernel)
    query, key, value = (np.array(array) for array in (case.query, case.key, case.value))
    for array in (query, key):
        array[marks == 0] = np.nan
    value[marks == 0] = 1e30
    query[marks == 2] = np.inf
    case.query, case.key, case.value = query, key, value
    assert_identical(case.run(kernel)[marks == 1], before[marks == 1], "averages")
    assert not before[marks != 1].any(), "queries that are not local"


@every_kernel
@pytest.mark.parametrize("height", [88.0, 1e4, 1e30])
def test_scores_of_any_size(kernel: str, height: float) -> None:
    """A key outside the window must not take the maximum, one inside takes all weight without overflow."""
    case = make_case([1] * 47, 5, 3, seed=31)
    query, key = np.full((47, 5), 5**-0.5, np.float32), np.zeros((47, 5), np.float32)
    key[20] = height  # the score of token 20 is `height`, all others are 0
    case.query, case.key = query, key
    expected = case.expected(kernel)
    assert np.isfinite(expected).all()
    # Reading a score of 88 to float32's last place already costs 5e-6 of the exponential.
    tolerance = FLOAT64 * 100 if kernel == "float64" else max(1e-5, TOLERANCES[kernel])
    assert_close(case.run(kernel), expected, tolerance, "averages")


@every_kernel
def test_equal_scores_average_exactly(kernel: str) -> None:
    """Where all scores are equal, each query gets the mean of what it sees, here 1."""
    case = make_case([1] * 37, 3, 4, seed=37)
    case.query, case.value = np.zeros((37, 3), np.float32), np.ones((37, 3), np.float32)
    got = case.run(kernel)
    assert_close(got, np.ones((37, 3)), np.finfo(got.dtype).eps * 4, "averages")


@every_kernel
def test_equal_values_average_exactly(kernel: str) -> None:
    """The probabilities of a query add up to 1, to the rounding of each."""
    case = make_case(marks_of(37, 0.1, 2, seed=39), 3, 4, seed=40)
    case.value = np.ones((37, 3), np.float32)
    tolerance = {"float64": 1e-15, "float32": 5e-7}.get(kernel, TOLERANCES[kernel])
    assert_close(case.run(kernel)[case.local], np.ones((case.local.sum(), 3)), tolerance, "averages")


@every_kernel
@pytest.mark.parametrize("bits", [0x7FC00000, 0x7FC00001, 0x7FC12345, 0xFFFFFFFF])
def test_a_query_that_is_not_a_number_stays_so(kernel: str, bits: int) -> None:
    """Whatever its bits say beyond that, as those of a damaged file do."""
    case = make_case([1] * 31, 5, 3, seed=41)
    before = case.run(kernel)
    case.query = np.array(case.query)
    case.query[13] = np.array(bits, np.uint32).view(np.float32)
    got = case.run(kernel)
    assert np.isnan(got[13]).all()
    assert_identical(np.delete(got, 13, axis=0), np.delete(before, 13, axis=0), "the other queries")


@every_kernel
@pytest.mark.parametrize("name", ["key", "value"])
def test_a_key_that_is_not_a_number_is_not_swallowed(kernel: str, name: str) -> None:
    """All that see it become NaN; those far away do not."""
    case = make_case([1] * 163, 5, 3, seed=41)
    before = case.run(kernel)
    spoiled = np.array(getattr(case, name))
    spoiled[71] = np.nan
    setattr(case, name, spoiled)
    got = case.run(kernel)
    assert np.isnan(got[68:75]).all()
    assert_identical(got[:32], before[:32], "before it")
    assert_identical(got[128:], before[128:], "after it")


@every_kernel
def test_same_bits_on_any_number_of_threads(kernel: str) -> None:
    """Each cut into tasks gives the same bits, also where tasks run at the same time."""
    case = make_case(marks_of(211, 0.1, 3, seed=43), 13, 29, seed=47)
    with ThreadPoolExecutor(3) as pool:
        one, *others = pool.map(lambda cuts: case.run(kernel, cuts=cuts), [(), (2, 4, 8), (4,), (2, 6)])
    for other in others:
        assert_identical(other, one, "averages")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@settings(deadline=None, max_examples=40)
@given(
    marks=st.lists(st.sampled_from([1, 1, 1, 0, 2]), min_size=1, max_size=31),
    one_sided=st.sampled_from([1, 3, 7, 40]),
    extra=st.integers(0, 3),
    seed=st.integers(0, 2**16),
    causal=st.booleans(),
)
def test_probabilities_in_the_layout_of_attentions(
    dtype: Any, marks: list[int], one_sided: int, extra: int, seed: int, causal: bool
) -> None:
    case = make_case(marks, 7, one_sided, seed, causal)
    globals_ = case.global_positions.tolist()
    columns = len(globals_) + extra
    seq = len(marks)
    out = np.full((seq, columns + 2 * one_sided + 1), np.nan, dtype)
    # Heads are views into wider arrays.
    query, key = (frozen(np.repeat(array.astype(dtype), 2, axis=1)[:, ::2]) for array in (case.query, case.key))
    for start, stop in ((0, seq // 2), (seq // 2, seq)):
        band_probabilities_kernel(dtype)(query, key, frozen(case.local), case.globals, case.sides, (start, stop), out)
    exact = case.exact("float64")
    shares = shares_of(exact.query, exact.key, case.local, globals_, one_sided, causal)
    expected = band_layout(shares, globals_, columns, one_sided)
    assert_close(out, expected, FLOAT64 if dtype == np.float64 else FLOAT32, "probabilities")
    assert_identical(out == 0, expected == 0, "zeros")
