"""Vectors of 16 lanes: the compiled form of every function against its form in NumPy, and that against definitions.

Compiled for whatever CPU runs the tests; `.ci/run` runs this file for others too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref.kernels.layout import vectors
from lf_ref.kernels.layout.vectors import LANES
from oracles.compare import assert_close, assert_identical
from oracles.reduced import bfloat16

# exp2 is one unit in the last place off, and NumPy's may be as well; float64's argument is rounded once more: an
# exponent of up to 1074 has 2**-43 of its own.
EXP2 = {np.float32: 2.5e-7, np.float64: 3e-13}

REALS = [np.float32, np.float64]
every_real = pytest.mark.parametrize("dtype", REALS)
jit = pytest.mark.jit  # the two forms are one where Numba's JIT is off


def special(dtype: Any) -> Any:
    """Zeros, infinities, NaN, the ends of the range, denormals, and numbers next to them."""
    limits = np.finfo(dtype)
    some = [0.0, 1.0, 1.5, np.inf, np.nan, limits.max, limits.tiny, limits.smallest_subnormal, 3 * limits.tiny, 1 / 3]
    values = np.array([*some, *(-value for value in some)], dtype)
    return np.concatenate([values, np.nextafter(values, dtype(0)), np.random.default_rng(3).normal(size=37) * 9])


def tuples_of(count: int, dtype: Any) -> list[Any]:
    """Every value beside every other, in so many arrays of a whole number of vectors."""
    values = special(dtype).astype(dtype)
    rng = np.random.default_rng(count)
    length = len(values) * LANES
    first = np.repeat(values, LANES)
    others = [np.concatenate([rng.permutation(values) for _ in range(LANES)]) for _ in range(count - 1)]
    return [first, *others][:count] if count > 1 else [np.resize(values, length)]


@cache
def on_vectors(function: Callable[..., Any], count: int) -> Callable[..., None]:
    """A compiled loop over whole arrays, `count` of them, and where the results go."""
    load, store = vectors.load, vectors.store
    if count == 1:

        @numba.njit(error_model="numpy")
        def one(a: Any, out: Any) -> None:
            for at in range(0, len(out), LANES):
                store(function(load(a, at)), out, at)

        return one
    if count == 2:

        @numba.njit(error_model="numpy")
        def two(a: Any, b: Any, out: Any) -> None:
            for at in range(0, len(out), LANES):
                store(function(load(a, at), load(b, at)), out, at)

        return two
    if count == 3:

        @numba.njit(error_model="numpy")
        def three(a: Any, b: Any, c: Any, out: Any) -> None:
            for at in range(0, len(out), LANES):
                store(function(load(a, at), load(b, at), load(c, at)), out, at)

        return three

    @numba.njit(error_model="numpy")
    def four(a: Any, b: Any, c: Any, d: Any, out: Any) -> None:
        for at in range(0, len(out), LANES):
            store(function(load(a, at), load(b, at), load(c, at), load(d, at)), out, at)

    return four


def both(function: Callable[..., Any], arrays: list[Any]) -> tuple[Any, Any]:
    """What the compiled form makes of arrays, and the form in NumPy."""
    with np.errstate(all="ignore"):
        parts = [function(*(array[at : at + LANES] for array in arrays)) for at in range(0, len(arrays[0]), LANES)]
        expected = np.concatenate(parts)
        got = np.empty_like(expected)
        on_vectors(function, len(arrays))(*arrays, got)
    return got, expected


def assert_same(got: Any, expected: Any, name: str) -> None:
    """The same bits, zeros' signs with them; a NaN may be any."""
    if expected.dtype.kind == "f":
        assert_identical(np.isnan(got), np.isnan(expected), f"NaN of {name}")
        got, expected = (np.where(np.isnan(array), 0, array) for array in (got, expected))
    assert_identical(got, expected, name)


# --- arithmetic -------------------------------------------------------------------------------------------------------

FUNCTIONS: dict[str, tuple[Callable[..., Any], int]] = {
    "add": (operator.add, 2),
    "sub": (operator.sub, 2),
    "mul": (operator.mul, 2),
    "truediv": (operator.truediv, 2),
    "larger": (vectors.larger, 2),
    "less": (vectors.less, 4),
    "root": (vectors.root, 1),
    "magnitude": (vectors.magnitude, 1),
    "widen": (vectors.widen, 1),
}


@jit
@every_real
@pytest.mark.parametrize("name", FUNCTIONS)
def test_real_functions(name, dtype):
    function, count = FUNCTIONS[name]
    assert_same(*both(function, tuples_of(count, dtype)), name)


@jit
@every_real
def test_multiply_add_rounds_once_or_twice(dtype):
    arrays = [np.random.default_rng(seed).normal(size=LANES * 61).astype(dtype) for seed in range(3)]
    got, expected = both(vectors.multiply_add, arrays)
    a, b, c = (array.astype(np.longdouble) for array in arrays)
    exact = a * b + c
    scale = np.abs(a * b) + np.abs(c)
    assert got.dtype == dtype
    for rounded in (got, expected):
        assert float((np.abs(rounded - exact) / scale).max()) <= np.finfo(dtype).eps
    a, b, c = tuples_of(3, dtype)
    got, _ = both(vectors.multiply_add, [a, b, c])
    with np.errstate(all="ignore"):
        product = np.where(np.isinf(a) | np.isinf(b), a * b, 0)  # other products may overflow in one rounding of two
    assert np.isnan(got[np.isnan(a) | np.isnan(b) | np.isnan(product + c)]).all()
    infinite = np.isinf(product) & np.isfinite(c)
    assert_identical(got[infinite], product[infinite], "infinities")


@jit
@pytest.mark.parametrize("name", ["add", "sub", "mul", "or_", "lshift"])
def test_integer_functions(name):
    rng = np.random.default_rng(5)
    ends = [0, 1, -1, 2**31 - 1, -(2**31)]
    a = np.concatenate([np.repeat(ends, 16), rng.integers(-(2**31), 2**31, 176)]).astype(np.int32)
    b = np.resize(rng.integers(0, 32, 61), 256).astype(np.int32) if name == "lshift" else np.roll(a, 7)
    assert_same(*both(getattr(operator, name), [a, b]), name)


@jit
@every_real
def test_double_precision_and_back(dtype):
    (x,) = tuples_of(1, dtype)
    got = np.empty_like(x)
    narrow, widen, load, store = vectors.narrow, vectors.widen, vectors.load, vectors.store

    @numba.njit
    def run(x, out):
        for at in range(0, len(x), LANES):
            store(narrow(widen(load(x, at)), load(x, at)), out, at)

    run(x, got)
    assert_same(got, x, "unchanged")


@jit
def test_narrow_rounds():
    double = np.resize(special(np.float64), 320)
    expected = np.empty(320, np.float32)
    got = np.empty_like(expected)
    narrow, load, store = vectors.narrow, vectors.load, vectors.store

    @numba.njit
    def run(x, like, out):
        for at in range(0, len(x), LANES):
            store(narrow(load(x, at), load(like, 0)), out, at)

    with np.errstate(all="ignore"):
        run(double, expected, got)
        run.py_func(double, expected, expected)
    assert_same(got, expected, "narrow")


# --- exponentials and integers ----------------------------------------------------------------------------------------


@every_real
def test_powers_of_two(dtype):
    lowest = -126.0  # of both dtypes
    near = [lowest, -125.99999, -126.00001, -127.0, -150.0, -1e30, -np.inf, 0.0, -0.0, -0.5, -1.5, np.nan, -1e-30]
    x = np.resize(np.concatenate([near, np.linspace(-126, 0, 997)]), 64 * LANES).astype(dtype)
    got, plain = both(vectors.exp2, [x])
    expected = np.where(x < lowest, 0.0, np.exp2(x.astype(np.float64)))
    assert got.dtype == dtype
    for result in (got, plain):
        assert_identical(np.isnan(result), np.isnan(x), "NaN")
        finite = ~np.isnan(x)
        off = np.abs(result[finite] - expected[finite])
        assert (off <= EXP2[dtype] * expected[finite]).all(), x[finite][off.argmax()]


def test_nearest_integers():
    values = np.concatenate(
        [np.arange(-300, 300) / 2, [4194303.5, -4194303.5, 0.49999997, -0.49999997, 2.0**-140, -0.0, 127.5, 126.5]]
    ).astype(np.float32)
    x = np.resize(values, 39 * LANES)
    got, plain = both(vectors.nearest, [x])
    expected = np.array([round(float(value)) for value in x], np.int32)  # Python rounds ties to even
    assert_identical(plain, expected, "in NumPy")
    assert_identical(got, expected, "compiled")


@jit
def test_integers_as_values_and_bits_as_integers():
    whole = np.resize(np.array([0, 1, -1, 2**24 + 1, 2**31 - 1, -(2**31), 16777217, -33554435], np.int32), 32)
    assert_same(*both(vectors.reals, [whole]), "reals")
    got, expected = both(vectors.integers, [np.resize(special(np.float32), 96).astype(np.float32)])
    assert_identical(got, expected, "bits")


# --- bfloat16 ---------------------------------------------------------------------------------------------------------


def patterns(seed: int) -> Any:
    """float32 around the ties of every exponent and sign, and all that is special."""
    rng = np.random.default_rng(seed)
    upper = np.concatenate([np.arange(0, 2**16, 128), rng.integers(0, 2**16, 1024)]).astype(np.uint32)
    bits = (upper[:, None] << np.uint32(16)) | np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    values = bits.reshape(-1).view(np.float32)
    return values[: len(values) // LANES * LANES]


def assert_rounded(bits: Any, x: Any, name: str) -> None:
    """bits: uint16 of x rounded to nearest, ties to even; CPUs may take denormals for zeros of that sign."""
    values = (bits.astype(np.uint32) << np.uint32(16)).view(np.float32).astype(np.float64)
    assert_identical(np.isnan(values), np.isnan(x), f"NaN of {name}")
    small = np.abs(x) < np.finfo(np.float32).tiny
    expected = np.where(small | np.isnan(x), 0, bfloat16(np.where(np.isnan(x), 0, x)))
    assert_identical(np.where(small | np.isnan(x), 0, values), expected, name)
    assert (np.abs(values[small]) <= np.finfo(np.float32).tiny).all(), name
    assert_identical(np.signbit(values)[~np.isnan(x)], np.signbit(x)[~np.isnan(x)], f"signs of {name}")


def test_pairs_of_bfloat16():
    low, high = patterns(0), patterns(1)
    for words, name in zip(both(vectors.pair, [low, high]), ("compiled", "in NumPy"), strict=True):
        assert words.dtype == np.int32
        assert_rounded((words.view(np.uint32) & 0xFFFF).astype(np.uint16), low, f"lower halves, {name}")
        assert_rounded((words.view(np.uint32) >> 16).astype(np.uint16), high, f"upper halves, {name}")


def test_stored_halves():
    x, load, store_halves = patterns(2), vectors.load, vectors.store_halves
    out = np.full(len(x) + 7, 77, np.uint16)

    @numba.njit
    def run(x, out):
        for at in range(0, len(x), LANES):
            store_halves(load(x, at), out, at + 3)

    run(x, out)
    assert_rounded(out[3:-4], x, "halves")
    assert (np.delete(out, np.s_[3:-4]) == 77).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_stored_across(dtype):
    x = np.arange(4 * LANES).astype(dtype)
    load, store_across = vectors.load, vectors.store_across
    expected, out = np.full((2, 7 * LANES + 2), 77, dtype)
    for lane in range(LANES):
        expected[3 + 7 * lane : 7 + 7 * lane] = x.reshape(4, LANES)[:, lane]

    @numba.njit
    def run(x, out):
        store_across(load(x, 0), load(x, 16), load(x, 32), load(x, 48), out, 3, 7)

    run(x, out)
    assert_identical(out, expected, "compiled")
    out[:] = 77
    store_across(*x.reshape(4, LANES), out, 3, 7)
    assert_identical(out, expected, "in NumPy")


# --- lanes ------------------------------------------------------------------------------------------------------------


@numba.njit
def _between(first, last, then, otherwise, out):
    lanes = vectors.between(first, last, vectors.load(then, 0), vectors.load(otherwise, 0))
    vectors.store(lanes, out, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_between(dtype):
    then, otherwise, out = np.arange(16).astype(dtype), -np.arange(1, 17).astype(dtype), np.empty(16, dtype)
    ends = [-(2**62), -(2**33), -17, -1, 0, 1, 7, 14, 15, 16, 17, 31, 32, 33, 2**33, 2**62]
    for first in ends:
        for last in ends:
            _between(first, last, then, otherwise, out)
            expected = [then[lane] if first <= lane <= last else otherwise[lane] for lane in range(LANES)]
            assert out.tolist() == expected, (first, last)


@settings(deadline=None, max_examples=100)
@given(first=st.integers(-40, 40), last=st.integers(-40, 40))
def test_between_any(first, last):
    then, otherwise, out = np.ones(16, np.float32), np.zeros(16, np.float32), np.empty(16, np.float32)
    _between(first, last, then, otherwise, out)
    assert out.tolist() == [float(first <= lane <= last) for lane in range(LANES)]


@numba.njit
def _moved(x, at, out, to):
    vectors.store(vectors.load(x, at), out, to)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_any_place_in_an_array(dtype):
    x = np.arange(61).astype(dtype)
    for at, to in ((0, 0), (1, 45), (45, 3), (17, 18)):
        out = np.full(61, 99, dtype)
        _moved(x, at, out, to)
        expected = np.full(61, 99, dtype)
        expected[to : to + 16] = x[at : at + 16]
        assert_identical(out, expected, f"{at} to {to}")


@jit
def test_lanes_of_the_same_array_are_read_before_they_are_written():
    x = np.arange(32).astype(np.float32)
    _moved(x, 0, x, 5)
    assert x.tolist() == [*range(5), *range(16), *range(21, 32)]


@numba.njit
def _spread(value, out):
    vectors.store(vectors.spread(value), out, 0)


@pytest.mark.parametrize("value", [np.float32(1.1), np.float64(1.1), np.int32(-7)])
def test_spread(value):
    out = np.empty(16, value.dtype)
    _spread(value, out)
    assert out.tolist() == [value] * 16


@numba.njit
def _sum(x):
    return vectors.sum_lanes(vectors.load(x, 0))


@numba.njit
def _top(x):
    return vectors.top_lane(vectors.load(x, 0))


@every_real
def test_sums_and_tops_of_lanes(dtype):
    """In an order of their own, so that sums are the same on every CPU."""
    rng = np.random.default_rng(11)
    for x in (rng.normal(size=(64, 16)) * 10.0 ** rng.integers(-3, 4, (64, 16))).astype(dtype):
        eights = [x[i] + x[i + 8] for i in range(8)]
        fours = [eights[i] + eights[i + 4] for i in range(4)]
        assert _sum(x) == (fours[0] + fours[2]) + (fours[1] + fours[3])
        assert _top(x) == max(x.tolist())
    lanes = np.full(16, -np.inf, dtype)
    assert _top(lanes) == -np.inf
    lanes[13] = np.inf
    assert _top(lanes) == np.inf


@numba.njit
def _fold(x):
    return 0.25 * x * x if x < 1 else -x


_folded = vectors.each_lane(_fold)


@every_real
def test_a_function_of_scalars_for_each_lane(dtype):
    x = np.linspace(-3, 3, 3 * LANES).astype(dtype)
    got = np.empty_like(x)
    on_vectors(_folded, 1)(x, got)
    expected = np.array([0.25 * float(value) ** 2 if value < 1 else -float(value) for value in x])
    assert_close(got, expected, float(np.finfo(dtype).eps), "fold")
