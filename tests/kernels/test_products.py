"""Products in tiles: every entry once, the same numbers for any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref.kernels import products as module
from lf_ref.kernels.products import linear_product, product, products
from lf_ref.kernels.threads import Threads, limit_blas


@settings(deadline=None, max_examples=200)
@given(rows=st.integers(0, 9000), columns=st.integers(1, 4000), depth=st.integers(1, 4000), threads=st.integers(1, 70))
def test_tiles_cover_every_entry_once(rows: int, columns: int, depth: int, threads: int) -> None:
    tiles = module._tiles(rows, columns, depth, threads)
    down = sorted({(some.start, some.stop) for some, _ in tiles})
    across = sorted({(others.start, others.stop) for _, others in tiles})
    whole = [(start, stop) for start, stop in across if stop % module._STEP == 0]
    assert sum((some.stop - some.start) * (others.stop - others.start) for some, others in tiles) == rows * columns
    assert len(tiles) <= max(1, 2 * threads) + 1
    assert [place for start, stop in across for place in range(start, stop)] == list(range(columns))
    assert {place for start, stop in down for place in range(start, stop)} == set(range(rows))
    assert all(start % module._STEP == 0 for start, _ in down + across)
    if len(down) > 1 or len(whole) > 1:
        fewest_rows = min(stop - start for start, stop in down)
        fewest_columns = min(stop - start for start, stop in whole)
        assert fewest_rows * fewest_columns * depth > 1_000_000  # where OpenBLAS turns to another routine


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 2, 6, 12, 67, 2053])
def test_equals_one_product_for_any_number_of_threads(rows, dtype):
    rng = np.random.default_rng(rows)
    x, weight = rng.standard_normal((rows, 769)).astype(dtype), rng.standard_normal((389, 769)).astype(dtype)
    exact = x.astype(np.float64) @ weight.T.astype(np.float64)
    with limit_blas(1):
        answers = [linear_product(x, weight, Threads(count)) for count in (1, 2, 3, 7)]
        turned = product(x, np.ascontiguousarray(weight.T), Threads(3))
    for answer in answers:
        assert answer.dtype == dtype
        np.testing.assert_array_equal(answer, answers[0])
    np.testing.assert_allclose(answers[0], exact, rtol=0, atol=769 * np.finfo(dtype).eps * 4)
    np.testing.assert_allclose(turned, exact, rtol=0, atol=769 * np.finfo(dtype).eps * 4)


def test_products_of_heads():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 5, 7)), rng.standard_normal((3, 7, 11))
    np.testing.assert_allclose(products(x, y, Threads(2)), np.einsum("hik,hkj->hij", x, y), rtol=0, atol=1e-13)
