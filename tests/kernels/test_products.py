"""Products in tiles: every entry once, the same numbers for any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref.kernels import products as module
from lf_ref.kernels.products import VECTOR_BLOCKS, Blocks, linear_product, product, products
from lf_ref.kernels.threads import Threads, limit_blas

MATRIX_BLOCKS = Blocks(32, 1 << 23, 1 << 28)  # as `amx` likes them
EPS = 4 * float(np.finfo(np.float32).eps)  # for each term of a sum of products of about 1


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


@settings(deadline=None, max_examples=200)
@given(
    rows=st.integers(0, 9000),
    columns=st.integers(1, 4000),
    depth=st.integers(1, 4000),
    threads=st.integers(1, 70),
    like=st.sampled_from([VECTOR_BLOCKS, MATRIX_BLOCKS]),
)
def test_blocks_cover_every_entry_once(rows: int, columns: int, depth: int, threads: int, like: Blocks) -> None:
    blocks = module._blocks(rows, columns, depth, threads, like)
    down = sorted({block[:2] for block in blocks})
    across = sorted({block[2:] for block in blocks})
    assert len(blocks) == len(down) * len(across)
    assert [place for start, stop in down for place in range(start, stop)] == list(range(rows))
    if rows:
        assert [place for start, stop in across for place in range(start, stop)] == list(range(columns))
    assert all(start % like.rows == 0 for start, _ in down)
    assert all(start % module._BLOCK_COLUMNS == 0 for start, _ in across)


@pytest.mark.parametrize(
    ("rows", "columns", "depth", "threads", "like"),
    [(140, 3072, 384, 4, VECTOR_BLOCKS), (140, 768, 192, 2, MATRIX_BLOCKS), (960, 3072, 384, 2, MATRIX_BLOCKS)],
)
def test_each_thread_gets_as_many_blocks(rows: int, columns: int, depth: int, threads: int, like: Blocks) -> None:
    assert len(module._blocks(rows, columns, depth, threads, like)) % threads == 0


@pytest.mark.parametrize(("rows", "columns", "terms"), [(1, 1, 1), (5, 13, 7), (6, 16, 16), (7, 67, 31), (67, 193, 97)])
def test_float32_equals_its_definition(rows, columns, terms):
    rng = np.random.default_rng(rows * columns)
    x, weight = rng.standard_normal((rows, terms), np.float32), rng.standard_normal((columns, terms), np.float32)
    exact = [[sum(float(a) * float(b) for a, b in zip(row, other, strict=True)) for other in weight] for row in x]
    product_ = linear_product(x, weight, Threads(2))
    assert product_.dtype == np.float32
    np.testing.assert_allclose(product_, exact, rtol=0, atol=terms * EPS)


@pytest.mark.jit
def test_a_row_is_the_same_in_any_batch():
    """To the bit: the sums of a row are taken in one order wherever it lies, also in what does not fill a tile."""
    rng = np.random.default_rng(3)
    x, weight = rng.standard_normal((41, 769), np.float32), rng.standard_normal((83, 769), np.float32)
    together = linear_product(x, weight, Threads(2))
    for first, last in ((0, 1), (3, 7), (6, 12), (35, 41), (1, 41)):
        np.testing.assert_array_equal(linear_product(x[first:last], weight, Threads(2)), together[first:last])
    for first, last in ((0, 1), (3, 70), (64, 83)):
        np.testing.assert_array_equal(linear_product(x, weight[first:last], Threads(1)), together[:, first:last])


def test_arguments_may_be_views_and_are_not_changed():
    rng = np.random.default_rng(4)
    wide, weights = rng.standard_normal((46, 101), np.float32), rng.standard_normal((34, 101), np.float32)
    wide.flags.writeable = weights.flags.writeable = False
    for x, weight in ((wide[::2, :67], weights[1::3, :67]), (wide[::-1, 3:], weights[:, 3:]), (wide[:0], weights)):
        exact = x.astype(np.float64) @ weight.T.astype(np.float64)
        np.testing.assert_allclose(linear_product(x, weight, Threads(2)), exact, rtol=0, atol=101 * EPS)


def test_what_is_not_finite_stays_in_its_row_and_column():
    rng = np.random.default_rng(5)
    x, weight = rng.standard_normal((13, 7), np.float32), rng.standard_normal((67, 7), np.float32)
    plain = linear_product(x, weight, Threads(1))
    x[11, 3], weight[66, 2] = np.nan, np.inf
    product_ = linear_product(x, weight, Threads(1))
    assert np.isnan(product_[11]).all()
    assert not np.isfinite(product_[:, 66]).any()
    np.testing.assert_array_equal(np.delete(product_, 11, 0)[:, :66], np.delete(plain, 11, 0)[:, :66])


def test_products_of_heads():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 5, 7)), rng.standard_normal((3, 7, 11))
    np.testing.assert_allclose(products(x, y, Threads(2)), np.einsum("hik,hkj->hij", x, y), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_blas_flags_is_not_told(dtype):
    """It may flag values that it leaves out; the same flag, of one that it does not, stands for them here."""
    infinite, zeros = np.full((2, 1, 5), np.inf, dtype), np.zeros((2, 5, 6), dtype)
    with np.errstate(all="raise"):
        assert np.isnan(product(infinite[0], zeros[0], Threads(2))).all()
        assert np.isnan(products(infinite, zeros, Threads(2))).all()
