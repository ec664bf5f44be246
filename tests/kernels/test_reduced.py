"""Products in bfloat16 and int8 against their definitions, on the processor's own instructions and without them."""

from __future__ import annotations

import importlib
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernels.processes import run

from lf_ref.checkpoint.reduced import Bfloat16Weight, Int8Weight, reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.kernels import reduced
from lf_ref.kernels.rounding import round_to_bfloat16, round_to_int8
from lf_ref.kernels.threads import Threads
from oracles.compare import assert_close, assert_identical
from oracles.reduced import bfloat16, bfloat16_product, int8_row, whole_product

# Sums of at most a few thousand float32 products of bfloat16 numbers, which are exact: their additions round.
BFLOAT16_SUMS = 2e-6
# Reciprocals of scales are rounded in the kernel, so a number that lies this near to a half may round to either side.
TIE = 1e-4
x86 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names are those of x86 processors")

# Rows, columns of the result, terms: primes, whole tiles, one more and one less than a tile, a block and a word.
SIZES = [
    (1, 1, 1),
    (1, 67, 31),
    (2, 3, 2),
    (5, 15, 3),
    (6, 16, 4),
    (7, 17, 5),
    (13, 63, 37),
    (12, 64, 64),
    (29, 65, 127),
    (11, 129, 131),
    (513, 31, 61),
    (1021, 257, 17),
    (3, 523, 1033),
]
sizes = pytest.mark.parametrize(("rows", "columns", "terms"), SIZES)


@pytest.fixture(params=["instructions", "portable"])
def way(request, monkeypatch):
    """Both ways of a product, the second by force."""
    if request.param == "portable":
        monkeypatch.setattr(reduced, "dots_here", lambda kind: False)
    return request.param


def arrays_of(rows: int, columns: int, terms: int, seed: int = 0) -> tuple[Any, Any]:
    """x and weight; rows of different magnitudes, so that a scale of another row cannot pass."""
    rng = np.random.default_rng([seed, rows, columns, terms])
    x = rng.standard_normal((rows, terms)) * 2.0 ** rng.integers(-9, 9, (rows, 1))
    weight = rng.standard_normal((columns, terms)) * 2.0 ** rng.integers(-9, 9, (columns, 1))
    return x.astype(np.float32), weight.astype(np.float32)


def weight_of(values: Any, kind: str) -> Any:
    return reduce(StoredTensor.of(values), kind)


def product(x: Any, weight: Any, threads: int = 2) -> Any:
    return reduced.reduced_product(x, weight, Threads(threads))


@sizes
def test_bfloat16_product_equals_its_definition(way, rows, columns, terms):
    x, weight = arrays_of(rows, columns, terms)
    got = product(x, weight_of(weight, "bfloat16"))
    assert got.dtype == np.float32
    scale = np.abs(bfloat16(x)) @ np.abs(bfloat16(weight)).T
    assert_close(got / scale, bfloat16_product(x, weight) / scale, BFLOAT16_SUMS, "product")


@sizes
def test_int8_product_is_exact_in_whole_numbers(way, rows, columns, terms):
    x, values = arrays_of(rows, columns, terms, seed=1)
    weight = weight_of(values, "int8")
    whole, scales = rounded_rows(x)
    expected = whole_product(whole, weight.elements).astype(np.float32) * scales[:, None] * weight.scales
    assert_identical(product(x, weight), expected, "product")


def rounded_rows(x: Any) -> tuple[Any, Any]:
    """Rows as the kernel rounds them, which is tested by itself."""
    numbers, scales = np.zeros(x.shape, np.uint8), np.empty(len(x), np.float32)
    round_to_int8(0, len(x), x, numbers, scales)
    return numbers.astype(np.int64) - 128, scales


@pytest.mark.jit
@pytest.mark.parametrize("sign", [1, -1])
def test_int8_sums_may_go_beyond_32_bits_on_the_way(way, sign):
    """The left numbers are raised by 128: the raised sum of 70001 largest products does not fit, the true one does."""
    terms = 70001
    assert 255 * 127 * terms > 2**31 > 127 * 127 * terms
    x = np.ones((1, terms), np.float32)
    weight = Int8Weight(np.full((3, terms), sign * 127, np.int8), np.ones(3, np.float32))
    expected = np.full((1, 3), np.float32(sign * 127 * 127 * terms) * (np.float32(1) / np.float32(127)), np.float32)
    assert_identical(product(x, weight), expected, "product")


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_any_number_of_threads_gives_the_same_bits(way, kind):
    x, values = arrays_of(1031, 389, 97, seed=2)
    weight = weight_of(values, kind)
    one = product(x, weight, 1)
    for count in (2, 3, 7):
        assert_identical(product(x, weight, count), one, f"{count} threads")


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_a_row_is_the_same_in_any_batch(kind):
    x, values = arrays_of(41, 83, 59, seed=3)
    weight = weight_of(values, kind)
    whole = product(x, weight)
    for row in (0, 5, 6, 40):
        assert_close(product(x[row : row + 1], weight)[0], whole[row], 1e-6, f"row {row}")


def test_arguments_may_be_views_and_are_not_changed(way):
    x, values = arrays_of(23, 19, 34, seed=4)
    wide = np.zeros((46, 68), np.float32)
    wide[::2, ::2] = x
    before = wide.copy()
    for kind in ("bfloat16", "int8"):
        weight = weight_of(values, kind)
        assert_identical(product(wide[::2, ::2], weight), product(x, weight), kind)
    assert_identical(wide, before, "x")


@pytest.mark.jit  # without it, NumPy warns of what is asked for here
def test_what_is_not_finite_stays_in_its_row(way):
    x, values = arrays_of(9, 21, 13, seed=5)
    clean = {kind: product(x, weight_of(values, kind)) for kind in ("bfloat16", "int8")}
    x[2, 3], x[7, 12] = np.nan, np.inf
    others = np.delete(np.arange(9), [2, 7])
    for kind, expected in clean.items():
        got = product(x, weight_of(values, kind))
        assert not np.isfinite(got[[2, 7]]).any(), kind
        assert_identical(got[others], expected[others], kind)


def test_a_row_of_zeros_gives_zeros(way):
    _, values = arrays_of(4, 21, 13, seed=6)
    for kind in ("bfloat16", "int8"):
        assert not product(np.zeros((4, 13), np.float32), weight_of(values, kind)).any(), kind


# --- rounding ---------------------------------------------------------------------------------------------------------


def test_bfloat16_rounds_to_the_nearest_and_ties_to_even():
    rng = np.random.default_rng(7)
    upper = rng.integers(0, 2**16, 3000).astype(np.uint32) << np.uint32(16)
    patterns = upper[:, None] | np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    x = patterns.view(np.float32)
    x = np.where(np.isnan(x), np.float32(1), x)
    out = np.empty(x.shape, np.uint16)
    round_to_bfloat16(0, len(x), x, out)
    assert_identical(Bfloat16Weight(out)[:].astype(np.float64), bfloat16(x), "rounded")


@pytest.mark.jit
def test_bfloat16_keeps_every_nan():
    x = np.array([[0x7F800001, 0xFFFFFFFF, 0x7FC00000, 0xFF800001]], np.uint32).view(np.float32)
    out = np.empty(x.shape, np.uint16)
    round_to_bfloat16(0, 1, x, out)
    assert np.isnan(Bfloat16Weight(out)[:]).all()


def test_int8_rows_are_rounded_by_their_largest_magnitude():
    x, _ = arrays_of(53, 1, 31, seed=8)
    x[3], x[4, :], x[5, 7] = 0, 1e-42, -3e38
    whole, scales = rounded_rows(x)
    for row, values in enumerate(x):
        expected, scale = int8_row(values)
        assert scales[row] == scale
        off = np.abs(whole[row] - values.astype(np.float64) / float(scale))
        assert off.max() <= 0.5 + TIE
        assert np.abs(whole[row] - expected).max() <= 1
        assert np.abs(whole[row]).max() == (127 if np.abs(values).max() > 1e-30 else np.abs(expected).max())


def test_rounding_leaves_other_rows_alone():
    x, _ = arrays_of(7, 1, 11, seed=9)
    out, scales = np.full((7, 13), 77, np.uint8), np.full(7, 5, np.float32)
    round_to_int8(2, 4, x, out, scales)
    assert (out[[0, 1, 4, 5, 6]] == 77).all()
    assert (out[:, 11:] == 77).all()
    assert (scales[[0, 1, 4, 5, 6]] == 5).all()
    bits = np.full((7, 13), 77, np.uint16)
    round_to_bfloat16(2, 4, x, bits)
    assert (bits[[0, 1, 4, 5, 6]] == 77).all()
    assert (bits[:, 11:] == 77).all()


# --- other processors -------------------------------------------------------------------------------------------------

COMPILE = """
import re
from lf_ref.kernels import int8_tiles, vectors

assert vectors.dots_here("int8")
assert not vectors.dots_here("bfloat16")
(assembly,) = int8_tiles.int8_block.inspect_asm().values()
print(sorted(set(re.findall(r"(vpdpbusd)[^\\n]*%(.mm)", assembly))))
"""

ALDERLAKE = "+64bit,+cx8,+cmov,+fxsr,+mmx,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+fma,+avxvnni"


@pytest.mark.jit
@x86
def test_shorter_vectors_have_an_instruction_of_their_own(tmp_path):
    """Compiled, not run: the processor that does this need not be here."""
    printed = run(COMPILE, tmp_path, NUMBA_CPU_NAME="alderlake", NUMBA_CPU_FEATURES=ALDERLAKE)
    assert printed.strip() == "[('vpdpbusd', 'ymm')]"


@pytest.mark.jit
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int8"])
def test_the_cache_notices_a_change_of_the_tiles(kind, monkeypatch):
    """Numba's key holds what a kernel closes over: here a hash of the sources of all that it calls."""
    from lf_ref.kernels import dot_tiles, short_tiles, tile, vectors

    modules = dot_tiles, short_tiles, tile, vectors
    fingerprint = dot_tiles.fingerprint()
    if kind == "float32" or vectors.dots_here(kind):
        module = importlib.import_module(f"lf_ref.kernels.{kind}_tiles")
        closure = getattr(module, f"{kind}_block").py_func.__closure__
        assert [cell.cell_contents for cell in closure] == [fingerprint]
    for changed in modules:
        sources = {module.__name__: Path(module.__file__).read_text() for module in modules}
        sources[changed.__name__] += "# a change\n"
        with monkeypatch.context() as patch:
            patch.setattr("inspect.getsource", lambda module, sources=sources: sources[module.__name__])
            assert dot_tiles.fingerprint() != fingerprint
