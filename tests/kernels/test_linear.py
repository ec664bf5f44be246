"""The matrix kernel with each of its epilogues, and linear maps of any size by it, against sums spelled out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels.lanes_cases import LANES, bits_of, frozen, lanes_of, rows_of, values_of, words_in_lanes, words_of

from lf_ref.checkpoint.reduced import Int8Weight, reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.kernels.cpu.dispatch import microkernel
from lf_ref.kernels.engine import Kernels
from lf_ref.kernels.matmul.linear import linear_kernel
from lf_ref.kernels.matmul.microkernel import values_per_word
from lf_ref.kernels.matmul.operands import Operand, Weight
from lf_ref.kernels.rows.rounding import int8_kernel
from lf_ref.kernels.threads import Threads
from oracles import rows
from oracles.compare import assert_close, assert_identical
from oracles.reduced import bfloat16, whole_product

KINDS = ["float32", "float64", "bfloat16", "int8"]
REAL = {"float32": np.float32, "float64": np.float64, "bfloat16": np.float32, "int8": np.float32}
# Sums of at most a few thousand products, relative to the sum of magnitudes: their additions round. bfloat16's
# products are exact.
SUMS = {"float32": 2e-6, "float64": 4e-15, "bfloat16": 2e-6}
# An activation adds its own rounding, and magnifies that of sums by about 1.
ACTIVATED = {"float32": 4e-6, "float64": 2e-14, "bfloat16": 4e-6, "int8": 4e-6}

every_kind = pytest.mark.parametrize("kind", KINDS)


class Case:
    """A linear map of tokens in panels, ready for the kernel, and its exact results."""

    def __init__(self, kind: str, panels: int, total: int, steps: int, seed: int = 0) -> None:
        """total: rows of the weight; steps: of the micro-kernel along k."""
        rng = np.random.default_rng([seed, panels, total, steps])
        self.kind, self.panels, self.total, self.real = kind, panels, total, REAL[kind]
        self.depth = steps * microkernel(kind).step
        terms = self.depth * values_per_word(kind)
        self.bias = rng.normal(size=total).astype(self.real)
        weight, x = rng.normal(size=(total, terms)), rng.normal(size=(panels, terms, LANES))
        self.scales, self.offsets, self.token_scales = np.empty(0, np.float32), np.empty(0, np.int32), self.bias[:0]
        if kind == "int8":
            weight, x = rng.integers(-127, 128, weight.shape), rng.integers(-127, 128, x.shape)
            self.scales, self.offsets = rng.random(total, np.float32), (128 * weight.sum(axis=1)).astype(np.int32)
            self.token_scales = rng.random(panels * LANES, np.float32)
            self.rows, self.x = words_of(weight.astype(np.int8)), words_in_lanes((x + 128).astype(np.uint8))
        elif kind == "bfloat16":
            self.rows, self.x = words_of(bits_of(weight)), words_in_lanes(bits_of(x))
            weight, x = bfloat16(weight), bfloat16(x)
        else:
            self.rows, self.x = weight.astype(self.real), x.astype(self.real)
            weight, x = self.rows, self.x
        self.weight, self.values = weight, x

    def exact(self) -> Any:
        """W x + b.  # -> [panels, total, 16]"""
        if self.kind == "int8":
            whole = np.einsum("rk,pkl->prl", self.weight, self.values).astype(np.float32)
            by_token = self.token_scales.reshape(self.panels, 1, LANES)
            return whole * (self.scales[:, None] * by_token) + self.bias[:, None]
        sums = np.einsum("rk,pkl->prl", self.weight.astype(np.float64), self.values.astype(np.float64))
        return sums + self.bias[:, None].astype(np.float64)

    def magnitudes(self) -> Any:
        weight, x = np.abs(self.weight).astype(np.float64), np.abs(self.values).astype(np.float64)
        return np.einsum("rk,pkl->prl", weight, x) + 1

    def run(
        self, epilogue: str, layout: Any, out: Any, block: Any = None, function: str = "identity", panels: Any = None
    ) -> Any:
        """What the kernel leaves in a copy of `out`; panels: those that are its tokens, in their order."""
        chosen = np.arange(self.panels) if panels is None else np.asarray(panels)
        scales = self.token_scales.reshape(-1, LANES)[chosen] if self.kind == "int8" else self.token_scales
        operand = Operand(frozen(self.x[chosen].reshape(-1)), frozen(scales.reshape(-1).astype(np.float32)))
        weight = Weight(*map(frozen, (self.rows, self.bias, self.scales, self.offsets)))
        flat = out.copy().reshape(-1)
        linear_kernel(self.kind, epilogue, function)(
            operand, weight, block or (len(chosen), 0, self.total), layout, flat
        )
        return flat.reshape(out.shape)

    def lanes(self, **options: Any) -> Any:
        """The results in lanes.  # -> [panels, total, 16]"""
        count = len(options.get("panels", range(self.panels)))
        out = np.full((count, self.total, LANES), 7, self.real)
        return self.run("lanes", (0, self.total, 0), out, **options)


def heights(kind: str) -> list[int]:
    """Rows of a weight: a tile, a bit more, nearly two, some more."""
    tile = microkernel(kind).rows
    return [tile, tile + 2, 2 * tile - 2, 2 * tile, 3 * tile + 6]


def cases(kind: str) -> list[Case]:
    sizes = [(1, 1), (2, 2), (3, 1), (5, 7), (7, 3)]
    return [Case(kind, panels, total, steps) for total, (panels, steps) in zip(heights(kind), sizes, strict=True)]


# --- epilogues --------------------------------------------------------------------------------------------------------


@every_kind
def test_lanes(kind):
    for case in [*cases(kind), Case(kind, 13, microkernel(kind).rows + 1, 5)]:
        got = case.lanes()
        if kind == "int8":
            assert_identical(got, case.exact(), f"{case.panels} panels of {case.total} rows")
        else:
            scale = case.magnitudes()
            name = f"{case.panels} panels of {case.total} rows"
            assert got.dtype == REAL[kind]
            assert_close(got / scale, case.exact() / scale, SUMS[kind], name)


@every_kind
def test_a_block_of_rows_and_an_origin(kind):
    """Rows of whole tiles, into panels of a result that holds these alone, or more channels and other panels."""
    tile = microkernel(kind).rows
    case = Case(kind, 3, 3 * tile + 6, 3)
    whole = case.lanes()
    for first, last in ((0, tile), (tile, 2 * tile), (tile, 3 * tile), (2 * tile, case.total), (3 * tile, case.total)):
        height = last - first
        alone = case.run("lanes", (0, height, first), np.full((3, height, LANES), 7, case.real), (3, first, last))
        assert_identical(alone, whole[:, first:last], f"rows {first} to {last}")
        room = np.full((7, case.total + 5, LANES), 7, case.real)
        got = case.run("lanes", (2, case.total + 5, 0), room, (3, first, last))
        expected = room.copy()
        expected[2:5, first:last] = whole[:, first:last]
        assert_identical(got, expected, f"rows {first} to {last} of more")


@every_kind
@pytest.mark.parametrize("name", ["gelu", "tanh"])
def test_activations(kind, name):
    function = np.vectorize(rows.ACTIVATIONS[name], otypes=[np.float64])
    case = Case(kind, 3, microkernel(kind).rows + 2, 2)
    if kind == "int8":
        case.scales /= np.float32(1e4)  # to where the activation bends
    got, sums = case.lanes(function=name), case.exact()
    assert_close(got, function(sums), ACTIVATED[kind] * float(case.magnitudes().max() if kind != "int8" else 1), name)
    assert_close(got, function(case.lanes()), ACTIVATED[kind], "of the same sums")


@every_kind
def test_add(kind):
    """To each row once, also to those that the last tile does again."""
    for case in cases(kind):
        room = np.random.default_rng(3).normal(size=(case.panels + 3, case.total + 5, LANES)).astype(case.real)
        expected = room.copy()
        expected[2 : 2 + case.panels, : case.total] += case.lanes()
        assert_identical(case.run("add", (2, case.total + 5, 0), room), expected, f"{case.total} rows")


def normal(words: Any) -> Any:
    """Pairs of bfloat16, where denormals, which CPUs may take for zeros, are zeros."""
    bits = words.view(np.uint16)
    return np.where(bits & 0x7F80, bits, bits & 0x8000)


@pytest.mark.parametrize("name", ["identity", "gelu"])
@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_words(kind, name):
    for case in cases(kind):
        words = case.total // 2 + 3
        got = case.run("words", (1, words, 0), np.full((case.panels + 2, words, LANES), 7, np.int32), function=name)
        expected = np.full_like(got, 7)
        expected[1:-1, : case.total // 2] = words_in_lanes(bits_of(case.lanes(function=name)))
        assert_identical(normal(got), normal(expected), f"{case.total} rows")


def stored(values: Any, kind: str) -> Any:
    """As keys and values are stored: bfloat16 where the kind is of reduced precision."""
    return bits_of(values) if kind in ("bfloat16", "int8") else values


@every_kind
def test_rows_of_heads(kind):
    """By token, for heads that are smaller or larger than a tile, or as large."""
    for case in cases(kind):
        by_token = rows_of(stored(case.lanes(), kind))
        divisors = [size for size in range(1, case.total + 1) if case.total % size == 0]
        for size in {divisors[0], divisors[len(divisors) // 2], divisors[-1]}:
            heads, tokens = case.total // size, (case.panels + 3) * LANES
            out = np.full((heads, tokens, size), 7, by_token.dtype)
            expected = out.copy()
            for head in range(heads):
                expected[head, LANES : LANES + len(by_token)] = by_token[:, head * size : (head + 1) * size]
            assert_identical(case.run("rows", (1, tokens, size), out), expected, f"{heads} heads of {size}")


@every_kind
def test_columns(kind):
    for case in cases(kind):
        by_channel = rows_of(stored(case.lanes(), kind)).T
        stride = (case.panels + 2) * LANES + 6
        out = np.full((case.total, stride), 7, by_channel.dtype)
        expected = out.copy()
        expected[:, 2 * LANES : 2 * LANES + by_channel.shape[1]] = by_channel
        assert_identical(case.run("columns", (2, stride, 0), out), expected, f"{case.total} rows")


@every_kind
def test_a_panel_is_the_same_to_the_bit_at_any_place_and_beside_any_other(kind):
    case = Case(kind, 13, microkernel(kind).rows + 6, 7)
    together = case.lanes()
    for first, last in ((0, 1), (5, 6), (12, 13), (0, 2), (3, 8), (4, 13)):
        chosen = list(range(first, last))
        assert_identical(case.lanes(panels=chosen), together[chosen], f"panels {first} to {last}")
    order = np.random.default_rng(1).permutation(13).tolist()
    assert_identical(case.lanes(panels=order), together[order], "in another order")
    assert_identical(case.lanes(panels=[4] * 5), together[[4] * 5], "many times")


# --- linear maps of any size ------------------------------------------------------------------------------------------

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
    return Kernels(Threads(threads), kind).linear(x.astype(real), held, bias.astype(real))


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
    got = Kernels(Threads(2), "int8").linear(np.ones((1, terms), np.float32), weight, np.zeros(3, np.float32))
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
    kernels = Kernels(Threads(2), kind)
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


# --- two maps in a row ------------------------------------------------------------------------------------------------


@every_kind
def test_an_activation_between_two_maps_and_a_residual(kind):
    """As in a layer: residual += W2 gelu(W1 x + b1) + b2, of sizes that no tile divides."""
    x, first, first_bias = arrays_of(37, 71, 29, seed=7)
    _, second, second_bias = arrays_of(1, 33, 71, seed=8)
    x, first, second = x / np.abs(x).max(axis=1, keepdims=True), first / 99, second / 99
    real, kernels = REAL[kind], Kernels(Threads(2), kind)
    held: list[Any] = [
        array.astype(real) if kind.startswith("float") else reduce(StoredTensor.of(array.astype(real)), kind)
        for array in (first, second)
    ]
    biases = first_bias.astype(real), second_bias.astype(real)
    residual = np.random.default_rng(9).normal(size=(37, 33)).astype(real)
    lanes = kernels.enter(residual)
    middle = kernels.linear_activation(kernels.enter(x.astype(real)), held[0], biases[0], "gelu")
    kernels.add_linear(middle, held[1], biases[1], lanes)
    activated = kernels.activation(kernels.linear(x.astype(real), held[0], biases[0]), "gelu")
    expected = residual + kernels.linear(activated, held[1], biases[1])
    assert_identical(rows_of(lanes)[:37, :33], expected, "in steps")
    if kind == "bfloat16":
        exactly = bfloat16(values_of(bits_of(activated))) @ bfloat16(second.astype(np.float32)).T + biases[1] + residual
        assert_close(expected, exactly, 1e-5, "definition")
