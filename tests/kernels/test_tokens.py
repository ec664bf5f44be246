"""What is done token by token: linear maps of any size, norms, activations, and where blocks of panels end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels.lanes_cases import LANES, frozen, lanes_of, rows_of

from lf_ref.checkpoint.reduced import Int8Weight, reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.kernels.rows.rounding import int8_kernel
from lf_ref.kernels.threads import Threads
from lf_ref.kernels.tokens import TokenKernels
from oracles import rows
from oracles.compare import assert_close, assert_identical
from oracles.reduced import bfloat16, whole_product

KINDS = ["float32", "float64", "bfloat16", "int8"]
REAL = {"float32": np.float32, "float64": np.float64, "bfloat16": np.float32, "int8": np.float32}
# Sums of at most a few thousand products, relative to the sum of magnitudes: their additions round. bfloat16's
# products are exact.
SUMS = {"float32": 2e-6, "float64": 4e-15, "bfloat16": 2e-6}
# What a few roundings of a norm or an activation cost, relative to the largest result.
ROWS = {"float32": 2e-6, "float64": 1e-14}

every_kind = pytest.mark.parametrize("kind", KINDS)

# Tokens, rows of the weight, terms: primes, whole tiles and panels, one more and one less, and words cut off.
SIZES = [
    (1, 1, 1),
    (1, 67, 31),
    (2, 3, 2),
    (15, 23, 3),
    (16, 24, 32),
    (17, 25, 64),
    (31, 33, 65),
    (32, 32, 128),
    (33, 31, 127),
    (29, 193, 131),
    (513, 31, 61),
    (1021, 257, 17),
    (3, 523, 1033),
]


def arrays_of(tokens: int, channels: int, terms: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """x, weight and bias; rows of different magnitudes, so that a scale of another row cannot pass."""
    rng = np.random.default_rng([seed, tokens, channels, terms])
    x = rng.standard_normal((tokens, terms)) * 2.0 ** rng.integers(-9, 9, (tokens, 1))
    weight = rng.standard_normal((channels, terms)) * 2.0 ** rng.integers(-9, 9, (channels, 1))
    return x, weight, rng.standard_normal(channels)


def linear(kind: str, x: Any, weight: Any, bias: Any, threads: int = 2) -> Any:
    """The engine's; x, weight and bias are float64."""
    real = REAL[kind]
    held = weight.astype(real) if kind.startswith("float") else reduce(StoredTensor.of(weight.astype(real)), kind)
    return TokenKernels(Threads(threads), kind).linear(x.astype(real), held, bias.astype(real))


def exact(kind: str, x: Any, weight: Any, bias: Any) -> Any:
    """Of values as they are stored; int8's tokens as the kernel rounds them, which is tested by itself."""
    real = REAL[kind]
    x, weight, bias = x.astype(real), weight.astype(real), bias.astype(real)
    if kind == "int8":
        held: Any = reduce(StoredTensor.of(weight), kind)
        whole, scales = rounded(x)
        sums = whole_product(whole, held.elements).astype(np.float32)
        return sums * (held.scales * scales[:, None]) + bias
    if kind == "bfloat16":
        x, weight = bfloat16(x), bfloat16(weight)
    return x.astype(np.float64) @ weight.astype(np.float64).T + bias


def rounded(x: Any) -> tuple[Any, Any]:
    """Tokens [n, m] as the kernel rounds them, and their scales."""
    lanes = lanes_of(x, x.shape[1])
    out, scales = np.empty((len(lanes), -(-x.shape[1] // 4), LANES), np.int32), np.empty(len(lanes) * LANES, np.float32)
    int8_kernel()(frozen(lanes.reshape(-1)), (len(lanes), x.shape[1], out.shape[1]), out.reshape(-1), scales)
    whole = np.ascontiguousarray(out.swapaxes(1, 2)).view(np.uint8).reshape(len(lanes) * LANES, -1)
    return whole[: len(x), : x.shape[1]].astype(np.int64) - 128, scales[: len(x)]


@every_kind
@pytest.mark.parametrize(("tokens", "channels", "terms"), SIZES)
def test_a_linear_map_equals_its_definition(kind, tokens, channels, terms):
    arrays = arrays_of(tokens, channels, terms)
    got, expected = linear(kind, *arrays), exact(kind, *arrays)
    assert got.dtype == REAL[kind]
    if kind == "int8":
        assert_identical(got, expected, "linear")
    else:
        x, weight, bias = map(np.abs, arrays)
        scale = x @ weight.T + bias
        assert_close(got / scale, expected / scale, SUMS[kind], "linear")


@pytest.mark.parametrize("sign", [1, -1])
def test_int8_sums_may_go_beyond_32_bits_on_the_way(sign):
    """The tokens are raised by 128: the raised sum of 70001 largest products does not fit, the true one does."""
    terms = 70001
    assert 255 * 127 * terms > 2**31 > 127 * 127 * terms
    weight = Int8Weight(np.full((3, terms), sign * 127, np.int8), np.ones(3, np.float32))
    got = TokenKernels(Threads(2), "int8").linear(np.ones((1, terms), np.float32), weight, np.zeros(3, np.float32))
    expected = np.full((1, 3), np.float32(sign * 127 * 127 * terms) * (np.float32(1) / np.float32(127)), np.float32)
    assert_identical(got, expected, "linear")


@every_kind
def test_any_number_of_threads_gives_the_same_bits(kind):
    arrays = arrays_of(1031, 389, 97, seed=2)
    one = linear(kind, *arrays, threads=1)
    for count in (2, 3, 7):
        assert_identical(linear(kind, *arrays, threads=count), one, f"{count} threads")


@every_kind
def test_a_token_is_the_same_to_the_bit_in_any_batch(kind):
    x, weight, bias = arrays_of(83, 41, 769, seed=3)
    together = linear(kind, x, weight, bias)
    for first, last in ((0, 1), (3, 7), (6, 12), (16, 32), (35, 41), (82, 83), (1, 83)):
        assert_identical(linear(kind, x[first:last], weight, bias), together[first:last], f"tokens {first} to {last}")
    assert_identical(linear(kind, x[::-1], weight, bias), together[::-1], "reversed")
    for first, last in ((0, 1), (3, 40)):
        got = linear(kind, x, weight[first:last], bias[first:last])
        assert_identical(got, together[:, first:last], f"channels {first} to {last}")


@every_kind
def test_arguments_may_be_views_and_are_not_changed(kind):
    x, weight, bias = (array.astype(REAL[kind]) for array in arrays_of(23, 34, 19, seed=4))
    wide = np.zeros((46, 38), REAL[kind])
    wide[::2, ::2] = x
    wide.flags.writeable = False
    held: Any = weight if kind.startswith("float") else reduce(StoredTensor.of(weight), kind)
    kernels = TokenKernels(Threads(2), kind)
    expected = kernels.linear(x, held, bias)
    assert_identical(kernels.linear(wide[::2, ::2], held, bias), expected, "a view")
    three = kernels.linear(x[:20].reshape(4, 5, 19), held, bias)
    assert_identical(three, expected[:20].reshape(4, 5, 34), "three axes")
    if kind.startswith("float"):
        wider = np.zeros((68, 57), REAL[kind])
        wider[::2, ::3] = weight
        assert_identical(kernels.linear(x, wider[::2, ::3], bias), expected, "a view of the weight")


@every_kind
@pytest.mark.jit  # without it, NumPy warns of what is asked for here
def test_what_is_not_finite_stays_in_its_token_and_channel(kind):
    x, weight, bias = arrays_of(39, 67, 77, seed=5)
    clean = linear(kind, x, weight, bias)
    x[2, 3], x[36, 70], weight[66, 2] = np.nan, np.inf, np.inf
    got, tokens = linear(kind, x, weight, bias), np.delete(np.arange(39), [2, 36])
    assert not np.isfinite(got[[2, 36]]).any()
    assert not np.isfinite(got[:, 66]).any()
    assert_identical(got[tokens, :66], clean[tokens, :66], kind)


@every_kind
def test_tokens_of_zeros_give_the_bias(kind):
    _, weight, bias = arrays_of(4, 21, 13, seed=6)
    got = linear(kind, np.zeros((4, 13)), weight, bias)
    assert_identical(got, np.tile(bias.astype(REAL[kind]), (4, 1)), kind)


@every_kind
def test_no_tokens_give_none(kind):
    _, weight, bias = arrays_of(4, 21, 13, seed=6)
    assert linear(kind, np.zeros((0, 13)), weight, bias).shape == (0, 21)


# --- other operations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 7, 31), (2, 64), (17, 129)])
def test_norms_and_activations_of_any_shape(kind, shape):
    rng, kernels = np.random.default_rng(sum(shape)), TokenKernels(Threads(2), kind)
    x, (weight, bias) = rng.normal(size=shape).astype(kind), rng.normal(size=(2, shape[-1])).astype(kind)
    before = x.copy()
    flat = x.reshape(-1, shape[-1]).tolist()
    expected = [rows.layer_norm(row, weight.tolist(), bias.tolist(), 0.1) for row in flat]
    got = kernels.layer_norm(x, weight, bias, 0.1)
    assert_close(got, np.reshape(expected, shape), ROWS[kind], "norm")
    activated = [rows.ACTIVATIONS["gelu"](value) for row in flat for value in row]
    assert_close(kernels.activation(x, "gelu"), np.reshape(activated, shape), ROWS[kind], "gelu")
    assert_identical(x, before, "x")


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 3])
def test_tokens_come_out_as_they_went_in(kind, threads):
    x, kernels = np.random.default_rng(1).normal(size=(83, 37)).astype(kind), TokenKernels(Threads(threads), kind)
    lanes = kernels.enter(x)
    assert_identical(lanes, lanes_of(x, 38), "lanes")
    assert_identical(kernels.rows(lanes, 37)[:83], x, "rows")
    slots = np.random.default_rng(2).integers(0, 96, 80)
    assert_identical(kernels.leave(lanes, slots, 29), rows_of(lanes)[slots, :29], "some")
    assert_identical(kernels.gather(lanes, slots), lanes_of(rows_of(lanes)[slots], 38), "gathered")
    assert kernels.leave(lanes, slots[:0], 29).shape == (0, 29)


@settings(deadline=None, max_examples=200)
@given(
    panels=st.integers(0, 3000),
    channels=st.integers(1, 5000),
    threads=st.integers(1, 70),
    kind=st.sampled_from(KINDS),
)
def test_blocks_cover_every_panel_once_and_are_of_nearly_one_size(panels, channels, threads, kind):
    blocks = TokenKernels(Threads(threads), kind).blocks(panels, channels)
    assert [panel for first, last in blocks for panel in range(first, last)] == list(range(panels))
    sizes = [last - first for first, last in blocks]
    assert not panels or 0 < max(sizes) <= min(sizes) + 1


@pytest.mark.parametrize(
    ("tokens", "channels", "threads"), [(140, 768, 2), (512, 768, 2), (4096, 768, 2), (4096, 768, 4)]
)
def test_each_thread_gets_as_many_blocks(tokens, channels, threads):
    blocks = TokenKernels(Threads(threads), "float32").blocks(-(-tokens // LANES), channels)
    assert len(blocks) % threads == 0
