"""Tiles of every kind, of the CPU's own way and of all others that it can run, against sums over k spelled out."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
from kernels.amx_process import on_unit
from kernels.lanes_cases import LANES, bits_of, words_of

from lf_ref.kernels.cpu.features import dot_instruction
from lf_ref.kernels.matmul import microkernel_vectors
from lf_ref.kernels.matmul.dispatch import microkernel
from lf_ref.kernels.matmul.microkernel import plain_tile, values_per_word
from lf_ref.kernels.matmul.microkernel_vectors import vector_microkernel
from oracles.compare import assert_close, assert_identical

KINDS = ["float32", "float64", "bfloat16", "int8"]
SUMS = {"float32": np.float32, "float64": np.float64, "bfloat16": np.float32, "int8": np.int32}
# Each addition may round: a few dozen terms of about 1, relative to the sum of magnitudes.
ROUNDING = {"float32": 2e-6, "float64": 4e-15, "bfloat16": 2e-6}
# How tiles are computed: the CPU's own instructions on vectors, none of those for short values, what `microkernel`
# takes, and NumPy.
WAYS = ["vectors", "portable", "chosen", "plain"]


@pytest.fixture(scope="module")
def tile_of():
    """tile_of(kind, way) -> the micro-kernel and a function that runs it, compiled once."""
    made: dict[tuple[str, str], Any] = {}

    def get(kind: str, way: str) -> tuple[Any, Any]:
        if (kind, way) not in made:
            made[kind, way] = _made(kind, way)
        return made[kind, way]

    return get


def _made(kind: str, way: str) -> tuple[Any, Any]:
    with pytest.MonkeyPatch.context() as patch:
        if way == "portable":
            if dot_instruction(kind) is None:
                pytest.skip("this is what the CPU's own way is")
            patch.setattr(microkernel_vectors, "dot_instruction", lambda kind, context: None)
        if way == "chosen" and not (kind in ("bfloat16", "int8") and on_unit()):
            pytest.skip("this is what vectors are")
        micro = microkernel(kind) if way == "chosen" else vector_microkernel(kind)
        if way == "plain":
            return micro, _runner(micro, plain_tile(kind, micro.rows), lambda: None, lambda: None)
        run = numba.njit(_runner(micro, micro.tile, micro.begin, micro.end))
        words = {"float32": np.float32, "float64": np.float64}.get(kind, np.int32)
        run(np.zeros(micro.rows * micro.step, words), (0, micro.step), np.zeros(micro.step * LANES, words), (0, 0), 1,
            micro.step, False, np.zeros(micro.rows * LANES, SUMS[kind]), (0, 0))  # fmt: skip
        return micro, run


def _runner(micro: Any, tile: Any, begin: Any, end: Any) -> Any:
    def run(left, rows, right, panels, count, depth, accumulate, out, places):
        """rows, panels, places: where each operand begins, and how far apart its rows or panels are."""
        begin()
        tile(left, rows[0], rows[1], rows[0], 3, right, panels[0], panels[1], count, depth, accumulate, out, places[0],
             places[1])  # fmt: skip
        end()

    return run


def operands(micro: Any, depth: int, panels: int, seed: int, whole: bool) -> tuple[Any, Any, Any, Any]:
    """left [rows, depth] and right [panels, depth, 16] as elements, and the values they stand for along k.

    whole: small integers, whose products and sums are exact in every kind.
    """
    rng, per_word, kind = np.random.default_rng([seed, depth, panels]), values_per_word(micro.kind), micro.kind
    shapes = (micro.rows, depth * per_word), (panels, LANES, depth * per_word)
    if kind == "int8":
        lefts, rights = rng.integers(-127, 128, shapes[0], np.int8), rng.integers(0, 256, shapes[1], np.uint8)
        lefts[0], lefts[1], rights[0, 0], rights[0, 1] = 127, -127, 255, 0
    elif whole:
        lefts, rights = (rng.integers(-9, 10, shape).astype(SUMS[kind]) for shape in shapes)
    else:
        lefts, rights = (rng.normal(size=shape).astype(SUMS[kind]) for shape in shapes)
    left, right = lefts, rights
    if kind == "bfloat16":
        bits = bits_of(lefts), bits_of(rights)
        left, right = (words_of(side) for side in bits)
        lefts, rights = ((side.astype(np.uint32) << np.uint32(16)).view(np.float32) for side in bits)
    elif kind == "int8":
        left, right = words_of(lefts), words_of(rights)
    return left, np.ascontiguousarray(right.swapaxes(1, 2)), lefts, rights


def spread(matrix: Any, before: int, distance: int, filling: float) -> Any:
    """Rows of a matrix, the first after so many other elements, so far from each other, with others after the last."""
    flat = np.full(before + len(matrix) * distance + 16 * LANES * 20, filling, matrix.dtype)
    for index, row in enumerate(matrix.reshape(len(matrix), -1)):
        flat[before + index * distance :][: row.size] = row
    return flat


def expected_sums(lefts: Any, rights: Any) -> Any:
    """-> float64 or int64 [panels, rows, 16]"""
    exact = np.int64 if lefts.dtype.kind == "i" else np.float64
    return np.einsum("rk,plk->prl", lefts.astype(exact), rights.astype(exact))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 33])
def test_whole_numbers_are_exact_and_other_places_stay(tile_of, kind, way, steps):
    micro, run = tile_of(kind, way)
    depth, size = steps * micro.step, micro.rows * LANES
    for panels in range(1, micro.panels + 1):
        left, right, lefts, rights = operands(micro, depth, panels, 1, whole=True)
        expected = expected_sums(lefts, rights)
        for apart in (
            0,
            16,
        ):  # elements between rows of the left side, panels of the right one, and those of the result
            lefts_at, rights_at = spread(left, apart, depth + apart, 3), spread(right, apart, depth * LANES + apart, 3)
            out = np.full(apart + panels * (size + apart) + LANES, 7, SUMS[kind])
            where = [slice(apart + p * (size + apart), apart + p * (size + apart) + size) for p in range(panels)]
            for times in (1, 2):
                sizes = panels, depth, times > 1
                run(lefts_at, (apart, depth + apart), rights_at, (apart, depth * LANES + apart), *sizes,
                    out, (apart, size + apart))  # fmt: skip
                got = np.stack([out[part].reshape(micro.rows, LANES) for part in where])
                assert_identical(got, (times * expected).astype(SUMS[kind]), f"{panels} panels, {times} times")
            assert (np.delete(out, np.r_[tuple(where)]) == 7).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16"])
def test_real_numbers(tile_of, kind, way):
    micro, run = tile_of(kind, way)
    depth = 7 * micro.step
    for panels in range(1, micro.panels + 1):
        left, right, lefts, rights = operands(micro, depth, panels, 2, whole=False)
        out = np.full((panels, micro.rows, LANES), np.nan, SUMS[kind])
        run(left.reshape(-1), (0, depth), spread(right, 0, depth * LANES, 0), (0, depth * LANES), panels, depth, False,
            out.reshape(-1), (0, micro.rows * LANES))  # fmt: skip
        magnitudes = expected_sums(np.abs(lefts), np.abs(rights))
        assert_close(out / magnitudes, expected_sums(lefts, rights) / magnitudes, ROUNDING[kind], f"{panels} panels")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_panel_is_the_same_to_the_bit_at_any_place_and_beside_any_other(tile_of, kind, way):
    """Also each of its lanes among other lanes."""
    micro, run = tile_of(kind, way)
    depth, shape = 7 * micro.step, (micro.rows, LANES)
    left, right, _, _ = operands(micro, depth, micro.panels, 3, whole=False)

    def sums_of(panels: Any) -> Any:
        out = np.empty((len(panels), *shape), SUMS[kind])
        run(left.reshape(-1), (0, depth), spread(panels, 0, depth * LANES, 0), (0, depth * LANES), len(panels), depth,
            False, out.reshape(-1), (0, shape[0] * LANES))  # fmt: skip
        return out

    alone = np.concatenate([sums_of(right[i : i + 1]) for i in range(micro.panels)])
    for count in range(2, micro.panels + 1):
        for first in range(micro.panels - count + 1):
            part = slice(first, first + count)
            assert_identical(sums_of(right[part]), alone[part], f"{count} panels from {first}")
    assert_identical(sums_of(right[::-1]), alone[::-1], "reversed")
    if way == "plain" and kind != "int8":
        return  # NumPy's matmul does not promise that
    order = np.random.default_rng(5).permutation(LANES)
    assert_identical(sums_of(right[:, :, order]), alone[:, :, order], "other lanes")


@pytest.mark.jit
@pytest.mark.parametrize("kind", ["float32", "float64", "bfloat16"])
def test_what_is_not_finite_stays_in_its_row_and_lane(tile_of, kind):
    micro, run = tile_of(kind, "vectors")
    left, right, _, _ = operands(micro, 3, 1, 4, whole=False)
    nan = {"bfloat16": np.int32(0x7FC0), "float32": np.float32(np.nan), "float64": np.nan}[kind]
    outs = []
    for _ in range(2):
        out = np.empty((micro.rows, LANES), SUMS[kind])
        run(left.reshape(-1), (0, 3), spread(right, 0, 3 * LANES, 0), (0, 3 * LANES), 1, 3, False, out.reshape(-1),
            (0, 0))  # fmt: skip
        outs.append(out)
        left[5, 1], right[0, 2, 9] = nan, nan
    clean, spoiled = outs
    assert np.isnan(spoiled[5]).all()
    assert np.isnan(spoiled[:, 9]).all()
    left_over = np.delete(np.delete(spoiled, 5, axis=0), 9, axis=1)
    assert_identical(left_over, np.delete(np.delete(clean, 5, axis=0), 9, axis=1), "the others")


def test_sizes_that_the_matrix_kernel_relies_on():
    for kind in KINDS:
        for micro in (microkernel(kind), vector_microkernel(kind)):
            assert micro.kind == kind
            assert micro.rows % 2 == 0  # two rows become one word
            assert micro.rows <= 32  # as many as every weight has
            assert micro.panels >= 1
