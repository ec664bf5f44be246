"""Products whose bits do not depend on the number of BLAS threads."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lf_ref.kernels.products import linear_product, weighted_sums
from oracles.compare import assert_close, assert_identical
from oracles.tolerances import FLOAT32, FLOAT64

TOLERANCE = {"float32": FLOAT32, "float64": FLOAT64}


def drawn(*shape, seed, dtype="float32"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.mark.jit
@pytest.mark.parametrize("rows", [1, 2, 3, 12, 140])
def test_linear_product_has_the_same_bits_for_any_number_of_threads(rows):
    x, weight = drawn(rows, 768, seed=401), drawn(8192, 768, seed=402)
    with threadpool_limits(1, user_api="blas"):
        one = linear_product(x, weight)
    for count in (2, 3, 7):
        with threadpool_limits(count, user_api="blas"):
            assert_identical(linear_product(x, weight), one, f"{count} threads")


@pytest.mark.jit
@pytest.mark.parametrize("tokens", [787, 1021])
@pytest.mark.parametrize("rows", [1, 6, 50])
def test_weighted_sums_have_the_same_bits_for_any_number_of_threads(rows, tokens):
    shares, values = drawn(rows, tokens, seed=403), drawn(tokens, 384, seed=404)
    with threadpool_limits(1, user_api="blas"):
        one = weighted_sums(shares, values)
    for count in (2, 3, 7):
        with threadpool_limits(count, user_api="blas"):
            assert_identical(weighted_sums(shares, values), one, f"{count} threads")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tokens", [0, 1, 255, 256, 257, 787])
def test_weighted_sums_are_the_plain_product(tokens, dtype):
    shares, values = drawn(3, 5, tokens, seed=405, dtype=dtype), drawn(3, tokens, 7, seed=406, dtype=dtype)
    plain = np.einsum("hnt,hta->hna", shares.astype(np.float64), values.astype(np.float64))
    assert_close(weighted_sums(shares, values), plain.astype(dtype), 10 * TOLERANCE[dtype], "sums")
