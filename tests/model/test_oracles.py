"""The oracles judge all else, so they are judged here: scalar loops against the dense form, and the comparison."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.building import FEW
from oracles import attention, longformer
from oracles.compare import assert_close, assert_identical
from oracles.strategies import batches, configurations
from oracles.tolerances import FLOAT64
from oracles.weights import fields_of, ragged_batch, state_of


@FEW
@given(st.data())
def test_dense_attention_equals_scalar_loops(data):
    fields = data.draw(configurations())
    inputs = data.draw(batches(fields, longest=13, most=1))
    weights = longformer.Weights(state_of("LongformerModel", fields, seed=11))
    layer = weights.under("encoder.layer.0.attention.self")
    maps = ("query", "key", "value", "query_global", "key_global", "value_global")
    named = {f"{name}.{part}": layer[f"{name}.{part}"] for name in maps for part in ("weight", "bias")}
    visible = inputs["attention_mask"][0] == 1
    is_global = visible & (inputs["global_attention_mask"][0] == 1)
    hidden = np.random.default_rng(5).standard_normal((visible.size, fields["hidden_size"]))
    heads, one_sided = fields["num_attention_heads"], longformer.windows_of(fields)[0]
    scalar = attention.attend(hidden.tolist(), named, visible.tolist(), is_global.tolist(), one_sided, heads)
    output, dense = longformer.attention(layer, hidden, visible, is_global, one_sided, heads)
    assert_close(output, np.array(scalar.output), FLOAT64, "output")
    expected = np.zeros_like(dense)
    for head, queries in enumerate(scalar.probabilities):
        for query, shares in enumerate(queries):
            for key, share in shares.items():
                expected[head, query, key] = share
    assert_close(dense, expected, FLOAT64, "probabilities")


def test_keys_seen_by_hand():
    visible = [True, True, False, True, True, True, True]
    is_global = [True, False, False, False, False, False, False]
    assert attention.keys_seen(4, visible, is_global, 1) == [0, 3, 4, 5]
    assert attention.keys_seen(3, visible, is_global, 1) == [0, 3, 4]
    assert attention.keys_seen(1, visible, is_global, 1) == [0, 1]
    assert attention.keys_seen(0, visible, is_global, 1) == [0, 1, 3, 4, 5, 6]
    assert attention.keys_seen(2, visible, is_global, 1) == []


def test_ragged_batch_is_ragged():
    inputs = ragged_batch(fields_of(), seed=1)
    seen = inputs["attention_mask"] == 1
    assert len(set(seen.sum(1).tolist())) == 3
    assert (seen & (inputs["global_attention_mask"] == 1)).sum(1).tolist() == [3, 1, 0]
    assert (~seen & (inputs["global_attention_mask"] == 1)).any(), "a masked token is marked global"
    assert (~seen & (inputs["input_ids"] != 1)).any(), "a token in the middle is masked"


def test_assert_close_names_the_worst_element():
    expected = np.arange(12.0).reshape(3, 4)
    got = expected.copy()
    got[1, 2] += 0.5
    with pytest.raises(AssertionError, match=r"scores\[1, 2\]: got 6.5, expected 6.0"):
        assert_close(got, expected, 1e-2, "scores")
    assert_close(got, expected, 0.5 / 11, "scores")


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(3, np.int64), np.zeros(3)),
        (None, np.zeros(3)),
        (np.zeros(3), None),
        ((np.zeros(3),), (np.zeros(3), np.zeros(3))),
        ([0.0, 0.0], np.zeros(2)),
        (np.array([1.0, math.nan]), np.array([1.0, 2.0])),
        (np.array([1.0, 2.0]), np.array([1.0, math.nan])),
        (np.array([1.0, math.inf]), np.array([1.0, -math.inf])),
        (np.array([1e-300]), np.array([0.0])),
    ],
)
def test_assert_close_refuses(got, expected):
    with pytest.raises(AssertionError):
        assert_close(got, expected, 1e-5, "x")


def test_assert_close_accepts_what_is_equal():
    for value in (np.array([math.nan, math.inf, -1.0]), np.zeros((0, 3)), np.float64(2.0), (np.ones(2), None)):
        assert_close(value, value, 0.0, "x")


def test_assert_identical_sees_one_bit():
    one = np.ones(3)
    assert_identical(one, one.copy(), "x")
    with pytest.raises(AssertionError):
        assert_identical(np.nextafter(one, 2), one, "x")
    with pytest.raises(AssertionError):
        assert_identical(np.array([0.0]), np.array([-0.0]), "x")
    with pytest.raises(AssertionError):
        assert_identical(one.astype(np.float32), one, "x")
