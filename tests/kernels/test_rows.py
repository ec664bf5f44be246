"""The row operations on tokens in lanes against the same formulas value by value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.lanes_cases import LANES, bits_of, frozen, lanes_of, rows_of, words_in_lanes

from lf_ref.kernels.rows.activations import ACTIVATIONS, activation_kernel
from lf_ref.kernels.rows.norm import norm_kernel
from lf_ref.kernels.rows.rounding import bfloat16_kernel, int8_kernel
from oracles import rows
from oracles.compare import assert_close, assert_identical
from oracles.reduced import int8_row

# What a few roundings cost, relative to the largest result.
TOLERANCE = {np.float32: 5e-7, np.float64: 1e-14}
# An activation relative to each result. In the tails an exponent of up to 20 is rounded first (20 * 6e-8).
ACTIVATION = {np.float32: 2e-6, np.float64: 1e-14}
# Below this size of a result only its smallness counts: there the tails of gelu and silu end.
NOTHING = {np.float32: 1e-9, np.float64: 1e-16}
# Reciprocals of scales are rounded in the kernel, so a value that lies this near to a half may round to either side.
TIE = 1e-4

every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
every_activation = pytest.mark.parametrize("name", sorted(ACTIVATIONS))


def random(seed: int, dtype: Any, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


# --- activations ------------------------------------------------------------------------------------------------------


def test_there_is_a_kernel_for_every_activation() -> None:
    assert set(ACTIVATIONS) == set(rows.ACTIVATIONS)


@every_activation
@every_dtype
def test_activation_is_exact_over_the_whole_range(name: str, dtype: Any) -> None:
    x = np.concatenate([np.linspace(-30, 30, 1529), [-1e-7, 0.0, 1e-7, -1e12, 1e12, -89.0, 89.0]]).astype(dtype)
    assert len(x) % LANES == 0
    expected = np.array([rows.ACTIVATIONS[name](float(value)) for value in x])
    got = x.copy()
    activation_kernel(name, dtype)(got)
    off = np.abs(got - expected) - NOTHING[dtype]
    worst = int((off / (np.abs(expected) + NOTHING[dtype])).argmax())
    assert (off <= ACTIVATION[dtype] * np.abs(expected)).all(), (
        f"{name}({x[worst]!r}): got {got[worst]!r}, expected {expected[worst]!r}"
    )


@every_activation
@every_dtype
def test_what_is_not_a_number_stays_so(name: str, dtype: Any) -> None:
    x = np.resize(np.array([1.0, np.nan, -1.0], dtype), LANES)
    spoiled = np.isnan(x)
    activation_kernel(name, dtype)(x)
    assert_identical(np.isnan(x), spoiled, "NaN")


@every_activation
@every_dtype
def test_a_value_gives_the_same_bits_in_every_lane(name: str, dtype: Any) -> None:
    x = random(17, dtype, 5 * LANES) * dtype(3)
    alone, shifted = x.copy(), np.roll(x, 7)
    for array in (alone, shifted):
        activation_kernel(name, dtype)(array)
    assert_identical(shifted, np.roll(alone, 7), name)


# --- norm -------------------------------------------------------------------------------------------------------------


def normalised(x: Any, width: int, weight: Any, bias: Any, eps: float) -> Any:
    """The kernel's norm of rows, which lie in panels of some width; what is beyond the channels has to stay."""
    lanes = lanes_of(x, width)
    lanes[:, x.shape[1] :] = 17
    norm_kernel(x.dtype.type)(lanes.reshape(-1), len(lanes), width, frozen(weight), frozen(bias), eps)
    assert (lanes[:, x.shape[1] :] == 17).all()
    return rows_of(lanes)[: len(x), : x.shape[1]]


@every_dtype
@settings(deadline=None, max_examples=40)
@given(
    width=st.sampled_from([1, 2, 7, 31, 129]),
    beyond=st.sampled_from([0, 1, 5]),
    seed=st.integers(0, 2**16),
    shift=st.sampled_from([0.0, 3.0, -100.0]),
    eps=st.sampled_from([1e-12, 1e-5, 0.1]),
)
def test_layer_norm(dtype: Any, width: int, beyond: int, seed: int, shift: float, eps: float) -> None:
    x = random(seed, dtype, 19, width) + dtype(shift)
    weight, bias = random(seed + 1, dtype, 2, width)
    expected = np.array([rows.layer_norm(row.tolist(), weight.tolist(), bias.tolist(), eps) for row in x])
    got = normalised(x, width + beyond, weight, bias, eps)
    # The mean is rounded to the last place of the numbers, which the norm magnifies where they hardly differ.
    spread = float(x.astype(np.float64).std(axis=1).min()) + eps**0.5
    assert_close(got, expected, TOLERANCE[dtype] * (1 + float(np.abs(x).max()) / spread), "norm")


@every_dtype
def test_a_norm_is_the_same_to_the_bit_in_any_panel_and_lane(dtype: Any) -> None:
    x, (weight, bias) = random(7, dtype, 37, 131), random(11, dtype, 2, 131)
    together = normalised(x, 132, weight, bias, 1e-5)
    for row in (0, 5, 16, 36):
        assert_identical(normalised(x[row : row + 1], 132, weight, bias, 1e-5)[0], together[row], f"row {row}")
    assert_identical(normalised(x[::-1], 140, weight, bias, 1e-5), together[::-1], "reversed")


@every_dtype
@pytest.mark.jit  # without it, NumPy warns of what is asked for here
def test_what_is_not_finite_stays_in_its_token(dtype: Any) -> None:
    x, (weight, bias) = random(13, dtype, 33, 31), random(14, dtype, 2, 31)
    clean = normalised(x, 32, weight, bias, 1e-5)
    x[3, 5], x[20, 0] = np.nan, np.inf
    got = normalised(x, 32, weight, bias, 1e-5)
    assert np.isnan(got[[3, 20]]).all()
    assert_identical(np.delete(got, [3, 20], axis=0), np.delete(clean, [3, 20], axis=0), "the others")


# --- rounding ---------------------------------------------------------------------------------------------------------

# Panels, channels, words: odd channels, words beyond them, whole words only.
BFLOAT16_SIZES = [(1, 1, 1), (1, 2, 3), (3, 31, 16), (2, 32, 16), (2, 33, 32)]
INT8_SIZES = [(1, 1, 1), (1, 4, 1), (2, 7, 2), (3, 31, 16), (2, 32, 8), (2, 33, 16)]


@pytest.mark.parametrize("sizes", BFLOAT16_SIZES)
def test_rounding_to_bfloat16(sizes: Any) -> None:
    panels, channels, words = sizes
    x = random(words, np.float32, panels, channels, LANES) * np.float32(1000)
    x.reshape(-1)[:3] = [1 + 2**-8, 1 + 3 * 2**-8, -3.4e38]  # two ties, and what overflows
    room = np.zeros((panels, 2 * words, LANES), np.float32)
    room[:, :channels] = x
    out = np.full(panels * words * LANES + 3, 77, np.int32)
    bfloat16_kernel()(frozen(x.reshape(-1)), sizes, out[:-3])
    assert_identical(out[:-3].reshape(panels, words, LANES), words_in_lanes(bits_of(room)), "words")
    assert (out[-3:] == 77).all()


def to_int8(x: Any, words: int) -> tuple[Any, Any]:
    """The kernel's integers and scales of panels.  # [panels, channels, 16] -> [16 panels, 4 words], [16 panels]"""
    panels, channels, _ = x.shape
    out, scales = np.full((panels, words, LANES), 77, np.int32), np.full(panels * LANES, 5, np.float32)
    int8_kernel()(frozen(x.reshape(-1)), (panels, channels, words), out.reshape(-1), scales)
    by_token = np.ascontiguousarray(out.swapaxes(1, 2)).view(np.uint8).reshape(panels * LANES, 4 * words)
    return by_token.astype(np.int64) - 128, scales


@pytest.mark.parametrize("sizes", INT8_SIZES)
def test_rounding_to_int8_by_the_largest_magnitude_of_a_token(sizes: Any) -> None:
    panels, channels, words = sizes
    rng = np.random.default_rng(channels)
    x = random(words, np.float32, panels, channels, LANES) * (2.0 ** rng.integers(-9, 9, (panels, 1, LANES)))
    x = x.astype(np.float32)
    x[0, :, 3], x[0, :, 4], x[0, 0, 5] = 0, 1e-42, -3e38
    whole, scales = to_int8(x, words)
    assert (whole[:, channels:] == 0).all()
    for token, values in enumerate(rows_of(x)):
        expected, scale = int8_row(values)
        assert scales[token] == scale
        off = np.abs(whole[token, :channels] - values.astype(np.float64) / float(scale))
        assert off.max() <= 0.5 + TIE
        assert np.abs(whole[token, :channels] - expected).max() <= 1
        assert np.abs(whole[token]).max() == (127 if np.abs(values).max() > 1e-30 else np.abs(expected).max())


@pytest.mark.jit
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_scale_of_what_is_not_finite_is_nan(value: float) -> None:
    x = random(3, np.float32, 2, 13, LANES)
    clean, scales = to_int8(x, 4)
    x[1, 7, 9] = value
    spoiled, others = to_int8(x, 4)
    assert np.flatnonzero(np.isnan(others)).tolist() == [25]
    assert_identical(np.delete(spoiled, 25, axis=0), np.delete(clean, 25, axis=0), "the other tokens")
    assert_identical(np.delete(others, 25), np.delete(scales, 25), "the other scales")


def test_integers_are_the_same_in_any_panel_and_lane() -> None:
    x = random(19, np.float32, 37, 29)
    together, scales = to_int8(lanes_of(x, 29), 8)
    other, other_scales = to_int8(lanes_of(x[::-1], 29), 8)
    assert_identical(other[:37], together[36::-1], "integers")
    assert_identical(other_scales[:37], scales[36::-1], "scales")
