"""Attention of whole rows through `Kernels`: global queries both ways, local ones, and their probabilities."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref.checkpoint.reduced import reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.kernels.attention import global_rows
from lf_ref.kernels.engine import Kernels
from lf_ref.kernels.threads import Threads
from lf_ref.model.plan import Row
from oracles.attention import attend
from oracles.band import band_layout
from oracles.compare import assert_close, assert_identical

NAMES = ("query", "key", "value", "query_global", "key_global", "value_global")
# A few sums of some dozen products, in another order.
TOLERANCE = {"float64": 1e-13, "float32": 5e-6}

both_ways = pytest.mark.parametrize("folded", [True, False], ids=["folded", "projected"])


def weights_of(width: int, seed: int, dtype: str) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    weights = {f"{name}.weight": rng.normal(size=(width, width)) / width**0.5 for name in NAMES}
    weights |= {f"{name}.bias": rng.normal(size=width) for name in NAMES}
    stored = {name: array.astype(np.float64 if dtype == "float64" else np.float32) for name, array in weights.items()}
    if dtype != "bfloat16":
        return stored
    matrices = [name for name in stored if name.endswith("weight")]
    return stored | {name: reduce(StoredTensor.of(stored[name]), "bfloat16") for name in matrices}


def rows_of(texts: list[list[int]], step: int) -> list[Row]:
    """Texts laid end to end; of each token 0 masked, 1 local, 2 global."""
    rows, start = [], 0
    for marks in texts:
        padded = np.zeros(-(-len(marks) // step) * step, int)
        padded[: len(marks)] = marks
        positions = np.flatnonzero(padded == 2)
        rows.append(Row(start, len(marks), padded > 0, padded == 1, slice(0, len(marks)), positions, positions))
        start += len(padded)
    return rows


def lanes_of(kernels: Kernels, texts: list[Any]) -> Any:
    """Rows of texts, each followed by copies of its last token."""
    padded = [np.concatenate([text, np.repeat(text[-1:], -len(text) % kernels.step, axis=0)]) for text in texts]
    return kernels.enter(np.concatenate(padded))


def attended(
    kernels: Kernels, texts: list[Any], rows: list[Row], weights: dict[str, Any], one_sided: int, heads: int
) -> list[Any]:
    """The context of each text.  # each [seq, width]"""
    hidden = lanes_of(kernels, texts)
    room = kernels.attention_room(len(hidden), texts[0].shape[1], heads)
    kernels.project(hidden, weights, room)
    context = kernels.context_rows(kernels.attend(hidden, room, rows, weights, one_sided), room)
    return [context[row.start : row.start + row.count] for row in rows]


def check(got: Any, expected: Any, values: Any, kind: str) -> None:
    """Values may cancel in an average, so errors are judged by the size of the values."""
    size = np.abs(expected).max(initial=0.0) or 1.0
    assert_close(got, expected, TOLERANCE[kind] * max(1.0, np.abs(values).max() / size), "averages")


@both_ways
@pytest.mark.parametrize("kind", ["float64", "float32"])
@settings(deadline=None, max_examples=25)
@given(
    others=st.lists(st.sampled_from([0, 1, 1, 2]), max_size=37),
    place=st.integers(0, 37),
    heads_and_size=st.sampled_from([(1, 5), (2, 3), (3, 7)]),
    one_sided=st.sampled_from([1, 4, 50]),
    seed=st.integers(0, 2**16),
    chunk=st.integers(1, 3),
)
def test_equals_scalar_loops(
    folded: bool,
    kind: str,
    others: list[int],
    place: int,
    heads_and_size: tuple[int, int],
    one_sided: int,
    seed: int,
    chunk: int,
) -> None:
    texts = [[*others[:place], 2, *others[place:]], [1, 0, 1]]
    heads, head_dim = heads_and_size
    kernels = Kernels(Threads(2), kind)
    weights = weights_of(heads * head_dim, seed, kind)
    rng = np.random.default_rng(seed)
    hidden = [rng.normal(size=(len(marks), heads * head_dim)).astype(kind) for marks in texts]
    rows = rows_of(texts, kernels.step)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(global_rows, "worth", lambda *sizes: folded)
        patch.setattr(global_rows, "CHUNK_PANELS", chunk)
        found = attended(kernels, hidden, rows, weights, one_sided, heads)
    for marks, vectors, got in zip(texts, hidden, found, strict=True):
        visible, is_global = np.array(marks) > 0, np.array(marks) == 2
        expected = np.array(attend(vectors, weights, visible.tolist(), is_global.tolist(), one_sided, heads).output)
        values = [vectors @ weights[f"{name}.weight"].T + weights[f"{name}.bias"] for name in ("value", "value_global")]
        check(got, expected, np.array(values), kind)


@pytest.mark.parametrize("kind", ["float64", "float32"])
@settings(deadline=None, max_examples=25)
@given(
    others=st.lists(st.sampled_from([0, 1, 1, 2]), max_size=37),
    place=st.integers(0, 37),
    heads_and_size=st.sampled_from([(1, 5), (2, 3), (3, 7)]),
    seed=st.integers(0, 2**16),
)
def test_probabilities_equal_scalar_loops(
    kind: str, others: list[int], place: int, heads_and_size: tuple[int, int], seed: int
) -> None:
    """Of a row that is not the first."""
    marks, (heads, head_dim), one_sided = [*others[:place], 2, *others[place:]], heads_and_size, 3
    kernels = Kernels(Threads(2), kind)
    weights = weights_of(heads * head_dim, seed, kind)
    hidden = np.random.default_rng(seed).normal(size=(len(marks), heads * head_dim)).astype(kind)
    _, row = rows_of([[1, 1], marks], kernels.step)
    lanes = lanes_of(kernels, [np.full_like(hidden[:1], np.nan).repeat(2, 0), hidden])
    visible, is_global = np.array(marks) > 0, np.array(marks) == 2
    expected = attend(hidden, weights, visible.tolist(), is_global.tolist(), one_sided, heads).probabilities
    got = kernels.global_probabilities(lanes, row, weights, heads)
    shares = [[[of_head[i].get(j, 0.0) for j in range(len(marks))] for i in row.globals] for of_head in expected]
    assert_close(got, np.array(shares), TOLERANCE[kind], "global probabilities")
    query, key = (kernels.linear(hidden, weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in NAMES[:2])
    out = np.full((heads, len(marks), len(row.globals) + 2 * one_sided + 1), np.nan, kind)
    kernels.band_probabilities(query, key, row, one_sided, out)
    positions = row.globals.tolist()
    for of_head, found in zip(expected, out, strict=True):
        local = [{} if is_global[i] else shares for i, shares in enumerate(of_head)]
        assert_close(found, band_layout(local, positions, len(positions), one_sided), TOLERANCE[kind], "probabilities")


@pytest.mark.parametrize("kind", ["float64", "float32", "bfloat16"])
@both_ways
def test_the_parts_of_a_row_that_are_asked_for(folded: bool, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Panels without such queries become 0, and of the global queries one alone is computed."""
    monkeypatch.setattr(global_rows, "worth", lambda *sizes: folded)
    kernels = Kernels(Threads(2), kind)
    rng = np.random.default_rng(53)
    texts = [rng.choice([0, 1, 1, 1], size=97), rng.choice([0, 1, 1, 1], size=41)]
    for marks in texts:
        marks[[3, 35]] = 2
    hidden = [rng.normal(size=(len(marks), 6)).astype(kernels.dtype) for marks in texts]
    weights = weights_of(6, 54, kind)
    rows = rows_of([marks.tolist() for marks in texts], kernels.step)
    whole = attended(kernels, hidden, rows, weights, 5, 2)
    some = [
        Row(row.start, row.count, row.visible, row.local, queries, row.globals, row.globals[1:])
        for row, queries in zip(rows, (slice(37, 61), slice(0, 0)), strict=True)
    ]
    first, second = attended(kernels, hidden, some, weights, 5, 2)
    assert_identical(first[36:61], whole[0][36:61], "the first text")
    assert_identical(first[35], whole[0][35], "its global query")
    assert_identical(second[35], whole[1][35], "the global query of the second")
    assert not first[:32].any()
    assert not first[64:].any()
    assert not np.delete(second, 35, axis=0).any()


@pytest.mark.parametrize("kind", ["float64", "float32", "bfloat16"])
def test_masked_tokens_may_hold_anything(kind: str) -> None:
    """Also NaN, within a text and beside it: none of that reaches what local queries gather."""
    kernels = Kernels(Threads(2), kind)
    rng = np.random.default_rng(57)
    texts = [rng.choice([0, 1, 1], size=size) for size in (83, 37)]
    for marks in texts:
        marks[0] = marks[-1] = 1
    hidden = [rng.normal(size=(len(marks), 6)).astype(kernels.dtype) for marks in texts]
    weights, rows = weights_of(6, 58, kind), rows_of([marks.tolist() for marks in texts], kernels.step)
    clean = attended(kernels, hidden, rows, weights, 7, 2)
    for marks, vectors in zip(texts, hidden, strict=True):
        vectors[marks == 0] = np.nan
    for marks, got, before in zip(texts, attended(kernels, hidden, rows, weights, 7, 2), clean, strict=True):
        assert_identical(got[marks == 1], before[marks == 1], "averages")


@pytest.mark.parametrize(("globals_", "folded"), [(1, True), (64, True), (69, True), (70, False), (4096, False)])
def test_the_cheaper_way(globals_: int, folded: bool) -> None:
    """Multiplications for each token, 12 heads of 64: 2 x 768 x 12 g folded, else 2 x 768 x (768 + g)."""
    assert global_rows.worth(768, globals_, 12) is folded
    assert (12 * globals_ < 768 + globals_) is folded


@pytest.mark.jit
def test_memory_does_not_grow_with_the_square() -> None:
    """With every token global the scores of all would take heads x seq x seq elements."""
    heads, width, seq = 3, 21, 4801
    kernels, weights = Kernels(Threads(2), "float32"), weights_of(width, 3, "float32")
    hidden = np.random.default_rng(5).normal(size=(seq, width)).astype(np.float32)
    rows = rows_of([[2] * seq], kernels.step)
    attended(kernels, [hidden[:64]], rows_of([[2, 1] * 32], kernels.step), weights, 3, heads)  # compiles
    tracemalloc.start()
    try:
        attended(kernels, [hidden], rows, weights, 3, heads)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < heads * seq * seq * 4 / 10
