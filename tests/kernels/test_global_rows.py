"""The rows of global queries: both ways against scalar loops, and the rule that chooses between them."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref.kernels import global_rows as module
from lf_ref.kernels.global_rows import Folded, Projected, cheaper, global_rows
from lf_ref.kernels.rowwise import masked_softmax
from lf_ref.kernels.threads import Threads
from oracles.attention import attend
from oracles.compare import assert_close

NAMES = ("query", "key", "value", "query_global", "key_global", "value_global")
# A few sums of some dozen products, in another order.
TOLERANCE = {np.float64: 1e-13, np.float32: 5e-6}

both_ways = pytest.mark.parametrize("way", [Folded, Projected])


def weights_of(width: int, seed: int, dtype: Any) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    weights = {f"{name}.weight": rng.normal(size=(width, width)) / width**0.5 for name in NAMES}
    weights |= {f"{name}.bias": rng.normal(size=width) for name in NAMES}
    return {name: array.astype(dtype) for name, array in weights.items()}


def _values(hidden: Any, weights: dict[str, Any]) -> Any:
    return hidden @ weights["value_global.weight"].T + weights["value_global.bias"]


def softmax_of(visible: Any) -> Any:
    return lambda scores: masked_softmax(0, len(scores), scores, visible)


@both_ways
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@settings(deadline=None, max_examples=40)
@given(
    others=st.lists(st.sampled_from([0, 1, 1, 2]), max_size=16),
    place=st.integers(0, 16),
    heads_and_size=st.sampled_from([(1, 5), (2, 3), (3, 7)]),
    seed=st.integers(0, 2**16),
    at_a_time=st.integers(1, 20),
)
def test_equals_scalar_loops(
    way: Any, dtype: Any, others: list[int], place: int, heads_and_size: tuple[int, int], seed: int, at_a_time: int
) -> None:
    marks = [*others[:place], 2, *others[place:]]
    heads, head_dim = heads_and_size
    width, seq = heads * head_dim, len(marks)
    weights = weights_of(width, seed, dtype)
    hidden = np.random.default_rng(seed).normal(size=(seq, width)).astype(dtype)
    visible, is_global = np.array(marks) > 0, np.array(marks) == 2
    expected = attend(hidden, weights, visible.tolist(), is_global.tolist(), 1, heads)
    positions = np.flatnonzero(is_global)
    probabilities = np.full((heads, len(positions), seq), np.nan, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BYTES", at_a_time * heads * seq * hidden.itemsize)
        got = global_rows(hidden, positions, weights, heads, softmax_of(visible), Threads(2), probabilities, way)
    # Values may cancel in an average, so errors are judged by the size of the values.
    averages, values = np.array(expected.output)[positions], _values(hidden, weights)
    assert_close(got, averages, TOLERANCE[dtype] * np.abs(values).max() / np.abs(averages).max(), "averages")
    shares = [[[row[i].get(j, 0.0) for j in range(seq)] for i in positions] for row in expected.probabilities]
    assert_close(probabilities, np.array(shares), TOLERANCE[dtype], "probabilities")


@pytest.mark.parametrize(
    ("globals_", "way"), [(1, Folded), (64, Folded), (69, Folded), (70, Projected), (4096, Projected)]
)
def test_the_cheaper_way(globals_: int, way: Any) -> None:
    """Multiplications for each token, 12 heads of 64: 2 x 768 x 12 g folded, else 2 x 768 x (768 + g)."""
    assert cheaper(768, globals_, 12) is way
    assert (12 * globals_ < 768 + globals_) is (way is Folded)


@pytest.mark.jit
def test_memory_does_not_grow_with_the_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every token global the scores of all would take heads x seq x seq numbers."""
    monkeypatch.setattr(module, "_BYTES", 1 << 18)
    heads, width, seq = 3, 21, 1201
    weights = weights_of(width, 3, np.float32)
    hidden = np.random.default_rng(5).normal(size=(seq, width)).astype(np.float32)
    visible = np.ones(seq, np.bool_)
    global_rows(hidden, np.arange(3), weights, heads, softmax_of(visible), Threads(2))  # compiles
    tracemalloc.start()
    try:
        global_rows(hidden, np.arange(seq), weights, heads, softmax_of(visible), Threads(2))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * hidden.nbytes + 3 * (1 << 18) < heads * seq * seq * 4 / 10
