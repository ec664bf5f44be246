"""The matrix kernel with each of its epilogues, against sums spelled out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels.lanes_cases import LANES, bits_of, frozen, rows_of, words_in_lanes, words_of

from lf_ref.kernels.matmul.dispatch import microkernel
from lf_ref.kernels.matmul.linear import linear_kernel
from lf_ref.kernels.matmul.microkernel import values_per_word
from lf_ref.kernels.matmul.operands import Operand, Weight
from oracles import rows
from oracles.compare import assert_close, assert_identical
from oracles.reduced import bfloat16

KINDS = ["float32", "float64", "bfloat16", "int8"]
REAL = {"float32": np.float32, "float64": np.float64, "bfloat16": np.float32, "int8": np.float32}
# Sums of at most a few thousand products, relative to the sum of magnitudes: their additions round. bfloat16's
# products are exact.
SUMS = {"float32": 2e-6, "float64": 4e-15, "bfloat16": 2e-6}
# An activation adds its own rounding, and magnifies that of sums by about 1.
ACTIVATED = {"float32": 4e-6, "float64": 2e-14, "bfloat16": 4e-6, "int8": 4e-6}

every_kind = pytest.mark.parametrize("kind", KINDS)


def some_kinds(*kinds):
    """Each form of a result is compiled for some kinds only, in seconds each: `test_layer` has all of them."""
    return pytest.mark.parametrize("kind", kinds)


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
            operand, weight, (*(block or (len(chosen), 0, self.total)), 0), layout, flat
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


# A kind and a function know nothing of each other, and each pair takes seconds to compile.
@pytest.mark.parametrize(
    ("kind", "name"), [("float32", "tanh"), ("float64", "gelu"), ("bfloat16", "tanh"), ("int8", "gelu")]
)
def test_activations(kind, name):
    function = np.vectorize(rows.ACTIVATIONS[name], otypes=[np.float64])
    case = Case(kind, 3, microkernel(kind).rows + 2, 2)
    if kind == "int8":
        case.scales /= np.float32(1e4)  # to where the activation bends
    got, sums = case.lanes(function=name), case.exact()
    assert_close(got, function(sums), ACTIVATED[kind] * float(case.magnitudes().max() if kind != "int8" else 1), name)
    assert_close(got, function(case.lanes()), ACTIVATED[kind], "of the same sums")


@some_kinds("float32", "bfloat16", "int8")
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


@pytest.mark.parametrize(("kind", "name"), [("bfloat16", "gelu"), ("int8", "identity")])  # as for `test_activations`
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


@some_kinds("float32", "bfloat16")
def test_rows_of_heads(kind):
    """By token, for heads that are smaller or larger than a tile, or as large."""
    tile = microkernel(kind).rows
    sizes = [(tile, 1, 1), (tile + 8, 2, 2), (2 * tile - 8, 3, 1), (3 * tile + 16, 5, 7)]
    for total, panels, steps in sizes:
        case = Case(kind, panels, total, steps)
        by_token = rows_of(stored(case.lanes(), kind))
        divisors = [size for size in range(8, case.total + 1, 8) if case.total % size == 0]
        for size in {divisors[0], divisors[len(divisors) // 2], divisors[-1]}:
            heads, tokens = case.total // size, (case.panels + 3) * LANES
            expected = np.full((heads, tokens, size), 7, by_token.dtype)
            out = expected.view(np.int32) if by_token.dtype == np.uint16 else expected
            out = case.run("rows", (1, tokens, size), out)
            for head in range(heads):
                expected[head, LANES : LANES + len(by_token)] = by_token[:, head * size : (head + 1) * size]
            if by_token.dtype == np.uint16:
                out, expected = normal(out), normal(expected)
            assert_identical(out, expected, f"{heads} heads of {size}")


@some_kinds("float64", "int8")
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
