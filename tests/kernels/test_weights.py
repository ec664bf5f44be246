"""Weights ready for the micro-kernels: as they are stored where their sizes are whole steps, else filled up once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels.lanes_cases import words_of

from lf_ref.checkpoint.reduced import Bfloat16Weight, Int8Weight
from lf_ref.kernels.matmul.dispatch import microkernel
from lf_ref.kernels.matmul.microkernel import values_per_word
from lf_ref.kernels.matmul.weights import Weights, filled, kind_of
from oracles.compare import assert_identical

KINDS = ["float32", "float64", "bfloat16", "int8"]
every_kind = pytest.mark.parametrize("kind", KINDS)


def elements_of(kind: str, rows: int, columns: int) -> Any:
    """What a weight is made of."""
    rng = np.random.default_rng([rows, columns])
    if kind == "bfloat16":
        return rng.integers(0, 2**16, (rows, columns)).astype(np.uint16)
    if kind == "int8":
        return rng.integers(-127, 128, (rows, columns)).astype(np.int8)
    return rng.normal(size=(rows, columns)).astype(kind)


def weight_of(kind: str, elements: Any) -> Any:
    if kind == "bfloat16":
        return Bfloat16Weight(elements)
    if kind == "int8":
        return Int8Weight(elements, np.arange(len(elements), dtype=np.float32) + 1)
    return elements


def bias_of(kind: str, rows: int) -> Any:
    return (np.arange(rows) - 7.5).astype(np.float64 if kind == "float64" else np.float32)


def room_of(size: int, groups: int) -> int:
    """How many rows or columns come of so many: each group a multiple of 32, or all together even and at least 32."""
    if groups:
        return groups * (-(-size // groups // 32) * 32)
    return max(32, size + size % 2)


def place_of(index: int, size: int, groups: int) -> int:
    if not groups:
        return index
    group, within = divmod(index, size // groups)
    return group * room_of(size, groups) // groups + within


def as_stored(kind: str, rows: Any) -> Any:
    """Elements of a micro-kernel as those that the weight is made of."""
    return rows.view({"bfloat16": np.uint16, "int8": np.int8}.get(kind, rows.dtype))


# Rows, columns, groups of rows, groups of columns: tiny and odd ones, whole steps, heads of 1, 12, 32 and 37 channels.
SIZES = [
    (1, 1, 0, 0),
    (3, 31, 0, 0),
    (31, 33, 0, 0),
    (32, 64, 0, 0),
    (33, 65, 0, 0),
    (67, 129, 0, 0),
    (3, 5, 3, 0),
    (24, 31, 2, 0),
    (64, 64, 2, 0),
    (74, 67, 2, 0),
    (31, 36, 0, 3),
    (33, 74, 0, 2),
    (64, 128, 0, 4),
]


@every_kind
@pytest.mark.parametrize(("rows", "columns", "row_groups", "column_groups"), SIZES)
def test_everything_is_in_its_place_and_zeros_between(kind, rows, columns, row_groups, column_groups):
    elements = elements_of(kind, rows, columns)
    weight, bias = weight_of(kind, elements), bias_of(kind, rows)
    ready = Weights()(weight, bias, row_groups, column_groups)
    step = values_per_word(kind) * microkernel(kind).step
    height, width = room_of(rows, row_groups), -(-room_of(columns, column_groups) // step) * step
    expected = np.zeros((height, width), elements.dtype)
    expected_bias = np.zeros(height, bias.dtype)
    scales, offsets = np.zeros(height, np.float32), np.zeros(height, np.int32)
    for row in range(rows):
        to = place_of(row, rows, row_groups)
        expected_bias[to] = bias[row]
        for column in range(columns):
            expected[to, place_of(column, columns, column_groups)] = elements[row, column]
        if kind == "int8":
            scales[to], offsets[to] = row + 1, 128 * sum(map(int, elements[row]))
    assert_identical(as_stored(kind, ready.rows), expected, "rows")
    assert_identical(ready.bias, expected_bias, "bias")
    assert_identical(ready.scales, scales if kind == "int8" else np.empty(0, np.float32), "scales")
    assert_identical(ready.offsets, offsets if kind == "int8" else np.empty(0, np.int32), "offsets")
    assert not any(array.flags.writeable for array in ready)
    if kind in ("bfloat16", "int8"):
        assert_identical(ready.rows, words_of(expected), "words")


@every_kind
def test_whole_sizes_are_not_copied(kind, tmp_path):
    """Also those of a file that is mapped and cannot be written to, which processes share."""
    path = tmp_path / "weight"
    elements = elements_of(kind, 66, 192)
    elements.tofile(path)
    mapped = np.memmap(path, elements.dtype, "r", shape=elements.shape)
    bias = bias_of(kind, 66)
    for stored in (elements, np.asarray(mapped)):
        weight = weight_of(kind, stored)
        ready = Weights()(weight, bias)
        assert np.shares_memory(ready.rows, stored)
        assert np.shares_memory(ready.bias, bias)
        assert_identical(as_stored(kind, ready.rows), elements, "rows")
    heads = weight_of(kind, elements_of(kind, 64, 192)), bias_of(kind, 64)
    assert np.shares_memory(Weights()(*heads, rows=2).rows, as_stored(kind, held(heads[0])))
    assert bias.flags.writeable


def held(weight: Any) -> Any:
    return weight if isinstance(weight, np.ndarray) else weight.elements


@every_kind
def test_what_is_no_row_after_the_other_is_copied(kind):
    wide = elements_of(kind, 64, 384)
    for view in (wide[:, ::2], wide[::2, :192]):
        if isinstance(weight_of(kind, view), np.ndarray):
            ready = Weights()(view, bias_of(kind, len(view)))
            assert not np.shares_memory(ready.rows, wide)
            assert_identical(ready.rows, np.ascontiguousarray(view), "rows")
        else:
            ready = Weights()(weight_of(kind, view), bias_of(kind, len(view)))
            assert_identical(as_stored(kind, ready.rows), np.ascontiguousarray(view), "rows")


@every_kind
def test_a_copy_is_made_once(kind):
    weight, bias, weights = weight_of(kind, elements_of(kind, 5, 7)), bias_of(kind, 5), Weights()
    first = weights(weight, bias)
    assert weights(weight, bias) is first
    other = weights(weight, bias, rows=1)
    assert other is not first
    assert weights(weight, bias, rows=1) is other
    assert Weights()(weight, bias).rows is not first.rows


@every_kind
def test_a_kind_by_its_weight(kind):
    assert kind_of(weight_of(kind, elements_of(kind, 3, 5))) == kind


def test_channels_are_even_and_at_least_those_of_a_tile():
    assert [filled(channels) for channels in (1, 2, 31, 32, 33, 34, 767, 768)] == [32, 32, 32, 32, 34, 34, 768, 768]
