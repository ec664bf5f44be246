"""The row-wise kernels against the same formulas number by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref.kernels import rowwise
from oracles import rows
from oracles.compare import assert_close, assert_identical

# What a few roundings cost, relative to the largest result.
TOLERANCE = {np.float32: 5e-7, np.float64: 1e-14}
# An activation relative to each result. In the tails an exponent of up to 20 is rounded first (20 * 6e-8).
ACTIVATION = {np.float32: 2e-6, np.float64: 1e-14}
# Below this size of a result only its smallness counts: there the tails of gelu and silu end.
NOTHING = {np.float32: 1e-9, np.float64: 1e-16}

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
every_activation = pytest.mark.parametrize("name", sorted(rowwise.BIAS_ACTIVATIONS))


def random(seed: int, dtype: Any, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def test_there_is_a_kernel_for_every_activation() -> None:
    assert set(rowwise.BIAS_ACTIVATIONS) == set(rows.ACTIVATIONS)


@every_activation
@every_dtype
def test_activation_is_exact_over_the_whole_range(name: str, dtype: Any) -> None:
    x = np.concatenate([np.linspace(-30, 30, 1511), [-1e-7, 0.0, 1e-7, -1e12, 1e12, -89.0, 89.0]]).astype(dtype)
    expected = np.array([rows.ACTIVATIONS[name](float(number)) for number in x])
    got = x[None].copy()
    rowwise.BIAS_ACTIVATIONS[name](0, 1, got, np.zeros(len(x), dtype))
    assert got.dtype == dtype
    off = np.abs(got[0] - expected) - NOTHING[dtype]
    worst = int((off / (np.abs(expected) + NOTHING[dtype])).argmax())
    assert (off <= ACTIVATION[dtype] * np.abs(expected)).all(), (
        f"{name}({x[worst]!r}): got {got[0, worst]!r}, expected {expected[worst]!r}"
    )


@every_activation
@every_dtype
def test_bias_belongs_to_its_column(name: str, dtype: Any) -> None:
    x, bias = random(3, dtype, 7, 67), random(5, dtype, 67)
    expected = [[rows.ACTIVATIONS[name](float(number)) for number in row] for row in x + bias]
    got = x.copy()
    rowwise.BIAS_ACTIVATIONS[name](2, 5, got, bias)
    assert_close(got[2:5], np.array(expected)[2:5], TOLERANCE[dtype], name)
    assert_identical(np.delete(got, np.s_[2:5], axis=0), np.delete(x, np.s_[2:5], axis=0), "the other rows")


@every_activation
@every_dtype
def test_what_is_not_a_number_stays_so(name: str, dtype: Any) -> None:
    x = np.array([[1.0, np.nan, -1.0]], dtype)
    rowwise.BIAS_ACTIVATIONS[name](0, 1, x, np.zeros(3, dtype))
    assert np.isnan(x).tolist() == [[False, True, False]]


@every_dtype
@settings(deadline=None, max_examples=40)
@given(
    width=st.sampled_from([1, 2, 7, 31, 129]),
    seed=st.integers(0, 2**16),
    shift=st.sampled_from([0.0, 3.0, -100.0]),
    eps=st.sampled_from([1e-12, 1e-5, 0.1]),
)
def test_layer_norm(dtype: Any, width: int, seed: int, shift: float, eps: float) -> None:
    x = random(seed, dtype, 5, width) + dtype(shift)
    weight, bias = random(seed + 1, dtype, 2, width)
    expected = np.array([rows.layer_norm(row.tolist(), weight.tolist(), bias.tolist(), eps) for row in x])
    out = np.full_like(x, 17)
    rowwise.layer_norm(1, 4, x, weight, bias, eps, out)
    # The mean is rounded to the last place of the numbers, which the norm magnifies where they hardly differ.
    spread = float(x.astype(np.float64).std(axis=1).min()) + eps**0.5
    assert_close(out[1:4], expected[1:4], TOLERANCE[dtype] * (1 + float(np.abs(x).max()) / spread), "norm")
    assert_identical(out[[0, 4]], np.full((2, width), 17, dtype), "the other rows")


@every_dtype
def test_bias_residual_layer_norm(dtype: Any) -> None:
    x, residual = random(7, dtype, 2, 11, 131)
    bias, weight, norm_bias = random(11, dtype, 3, 131)
    total = x.astype(np.float64) + bias + residual
    expected = [rows.layer_norm(row, weight.tolist(), norm_bias.tolist(), 1e-5) for row in total.tolist()]
    got, kept = x.copy(), residual.copy()
    rowwise.bias_residual_layer_norm(3, 10, got, bias, residual, weight, norm_bias, 1e-5)
    assert_close(got[3:10], np.array(expected)[3:10], TOLERANCE[dtype] * 2, "norm")
    assert_identical(got[[0, 1, 2, 10]], x[[0, 1, 2, 10]], "the other rows")
    assert_identical(residual, kept, "residual")


@every_dtype
@settings(deadline=None, max_examples=40)
@given(
    allowed=st.lists(st.booleans(), min_size=1, max_size=61),
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([1.0, 1e-3, 300.0]),
)
def test_masked_softmax(dtype: Any, allowed: list[bool], seed: int, scale: float) -> None:
    x = (random(seed, np.float64, 5, len(allowed)) * scale).astype(dtype)
    x[:, ~np.array(allowed)] = dtype(1e30)  # whatever a masked score is, it must not take the maximum
    expected = np.array([rows.masked_softmax(row.tolist(), allowed) for row in x])
    got = x.copy()
    rowwise.masked_softmax(1, 5, got, np.array(allowed))
    assert_close(got[1:], expected[1:], TOLERANCE[dtype], "probabilities")
    assert_identical(got[1:] == 0, (expected[1:] == 0) | (expected[1:] < 1.2e-38) & (got[1:] == 0), "zeros")
    assert_identical(got[0], x[0], "the other row")


@every_dtype
def test_a_share_that_is_not_a_number_stays_so(dtype: Any) -> None:
    x, allowed = random(13, dtype, 5, 31), np.arange(31) % 7 != 3
    clean = x.copy()
    x[1, 3], x[2, 4], x[3] = np.nan, np.nan, np.nan
    for array in (clean, x):
        rowwise.masked_softmax(0, 5, array, allowed)
    assert np.isnan(x[2:4, allowed]).all()
    assert_identical(np.delete(x, [2, 3], axis=0), np.delete(clean, [2, 3], axis=0), "the other rows")
