"""Into lanes, out of them, and from lane to lane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.lanes_cases import frozen, lanes_of, rows_of

from lf_ref.kernels.layout.lanes import enter_kernel, gather_kernel, leave_kernel
from oracles.compare import assert_identical

every_real = pytest.mark.parametrize("dtype", [np.float32, np.float64])
# Tokens and channels: primes, whole panels and more, and channels beyond those that are moved at a time.
SIZES = [
    (1, 1, 1),
    (1, 3, 8),
    (15, 7, 32),
    (16, 32, 32),
    (17, 63, 64),
    (37, 64, 66),
    (33, 131, 133),
    (5, 7, 150),
    (0, 5, 6),
]


@every_real
@pytest.mark.parametrize(("tokens", "channels", "width"), SIZES)
def test_enter(tokens, channels, width, dtype):
    rows = np.random.default_rng(tokens).normal(size=(tokens, channels)).astype(dtype)
    expected = lanes_of(rows, width)
    out = np.full(expected.size + 5, 7, dtype)
    enter_kernel(dtype)(frozen(rows), width, out[: expected.size])
    assert_identical(out[: expected.size].reshape(expected.shape), expected, "lanes")
    assert (out[expected.size :] == 7).all()


@every_real
@settings(deadline=None, max_examples=40)
@given(
    slots=st.lists(st.integers(0, 47), max_size=40),
    channels=st.sampled_from([1, 7, 64, 71]),
    column=st.sampled_from([0, 3]),
    data=st.data(),
)
def test_leave(dtype, slots, channels, column, data):
    """Any slots in any order, some of them more than once; other places keep what they hold."""
    lanes = np.random.default_rng(1).normal(size=(3, 71, 16)).astype(dtype)
    start = data.draw(st.integers(0, len(slots)))
    stop = data.draw(st.integers(start, len(slots)))
    expected = np.full((len(slots), 79), 7, dtype)
    expected[start:stop, column : column + channels] = rows_of(lanes)[slots[start:stop], :channels]
    out = np.full_like(expected, 7)
    block = start, stop, column, channels
    leave_kernel(dtype)(frozen(lanes.reshape(-1)), 71, frozen(np.array(slots, np.int64)), block, out)
    assert_identical(out, expected, "rows")


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("channels", [1, 31, 64, 67])
def test_gather(channels, dtype):
    rng = np.random.default_rng(channels)
    lanes = (rng.normal(size=(5, channels, 16)) * 1000).astype(dtype)
    slots = rng.integers(0, 80, 64)
    out = np.full((4, channels, 16), 7, dtype)
    gather_kernel(dtype)(frozen(lanes.reshape(-1)), frozen(slots), channels, 1, 3, out.reshape(-1))
    expected = lanes_of(rows_of(lanes)[slots], channels)
    assert_identical(out[1:3], expected[1:3], "panels")
    assert (out[[0, 3]] == 7).all()
