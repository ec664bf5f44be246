"""The paper's other windows in the reference implementation: dilated, head by head, and causal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lf_ref.reference.attention import global_keys, local_keys, self_attention
from lf_ref.reference.forward import banded
from model.building import FEW
from oracles.attention import attend
from oracles.compare import assert_close
from oracles.tolerances import SCALARS

HEADS, WIDTH = 3, 15
NAMES = ("query", "key", "value", "query_global", "key_global", "value_global")


def weights_of(rng):
    return {
        f"{name}.{part}": rng.standard_normal((WIDTH, WIDTH) if part == "weight" else WIDTH)
        for name in NAMES
        for part in ("weight", "bias")
    }


@st.composite
def texts(draw):
    """Marks of a text (0 masked, 1 local, 2 global), a window, the dilation of each head, and whether it is causal."""
    marks = np.array(draw(st.lists(st.sampled_from([0, 1, 1, 1, 2]), min_size=1, max_size=17)))
    dilations = draw(st.lists(st.integers(1, 5), min_size=HEADS, max_size=HEADS))
    return marks, draw(st.integers(1, 4)), dilations, draw(st.booleans())


@FEW
@given(texts(), st.integers(0, 99))
def test_any_text_against_scalar_loops(text, seed):
    marks, one_sided, dilations, causal = text
    rng = np.random.default_rng(seed)
    hidden, weights = rng.standard_normal((len(marks), WIDTH)), weights_of(rng)
    visible, is_global = marks > 0, marks == 2
    context, probabilities = self_attention(
        hidden, weights, HEADS, visible, is_global, one_sided, True, dilations=dilations, causal=causal
    )
    expected = attend(
        hidden.tolist(), weights, visible.tolist(), is_global.tolist(), one_sided, HEADS, dilations, causal
    )
    assert_close(context, np.array(expected.output), SCALARS, "context")
    dense = np.zeros((HEADS, len(marks), len(marks)))
    for head, queries in enumerate(expected.probabilities):
        for query, shares in enumerate(queries):
            dense[head, query, list(shares)] = list(shares.values())
    assert_close(probabilities, dense, SCALARS, "probabilities")


@FEW
@given(st.integers(1, 23), st.integers(1, 4), st.integers(1, 6), st.booleans(), st.integers(0, 99))
def test_a_dilated_window_is_the_plain_band_on_each_interleaved_text(length, one_sided, dilation, causal, seed):
    rng = np.random.default_rng(seed)
    hidden, weights = rng.standard_normal((length, WIDTH)), weights_of(rng)
    visible, nothing = rng.random(length) < 0.8, np.zeros(length, bool)
    got, _ = self_attention(hidden, weights, HEADS, visible, nothing, one_sided, dilations=dilation, causal=causal)
    for start in range(min(dilation, length)):
        part = slice(start, None, dilation)
        expected, _ = self_attention(
            hidden[part], weights, HEADS, visible[part], nothing[part], one_sided, causal=causal
        )
        assert_close(got[part], expected, SCALARS, f"part {start}")


@pytest.mark.parametrize("dilation", [1, 2, 3, 7])
@pytest.mark.parametrize("causal", [False, True])
def test_the_keys_are_those_of_allenais_rule(dilation, causal):
    """`diagonaled_mm`: query i and diagonal k mean the key i + d (k - w), for k to 2 w, or to w if autoregressive."""
    length, w = 29, 3
    wanted = np.zeros((length, length), bool)
    for i in range(length):
        for k in range(w + 1 if causal else 2 * w + 1):
            if 0 <= i + dilation * (k - w) < length:
                wanted[i, i + dilation * (k - w)] = True
    everything, nothing = np.ones(length, bool), np.zeros(length, bool)
    np.testing.assert_array_equal(local_keys(everything, nothing, w, dilation, causal), wanted)


def test_no_query_of_a_causal_model_sees_what_is_after_it():
    marks = np.array([1, 2, 1, 0, 1, 2, 1, 1])
    for keys in (local_keys(marks > 0, marks == 2, 2, 3, True), global_keys(marks > 0, marks == 2, True)):
        assert not np.triu(keys, 1).any()
    seen = local_keys(marks > 0, marks == 2, 1, 1, True) | global_keys(marks > 0, marks == 2, True)
    assert np.diag(seen).tolist() == (marks > 0).tolist()
    assert seen[7].tolist() == [False, True, False, False, False, True, True, True]
    assert seen[5].tolist() == [True, True, True, False, True, True, False, False]


@FEW
@given(texts(), st.integers(0, 99))
def test_hfs_layout_holds_the_neighbours_that_a_dilated_query_sees(text, seed):
    marks, one_sided, dilations, causal = text
    visible, is_global = marks > 0, marks == 2
    rng = np.random.default_rng(seed)
    _, dense = self_attention(
        rng.standard_normal((len(marks), WIDTH)), weights_of(rng), HEADS, visible, is_global, one_sided, True,
        dilations=dilations, causal=causal,
    )  # fmt: skip
    columns = int(is_global.sum()) + 1
    local, global_ = banded(dense, is_global, columns, one_sided, dilations=dilations)
    again = np.zeros_like(dense)
    for column, key in enumerate(np.flatnonzero(is_global)):
        again[:, :, key] += local[:, :, column]
        again[:, key] += global_[:, :, column]
    for head, dilation in enumerate(dilations):
        for step in range(-one_sided, one_sided + 1):
            for query in range(len(marks)):
                value = local[head, query, columns + one_sided + step]
                if 0 <= query + dilation * step < len(marks):
                    again[head, query, query + dilation * step] += value
                else:
                    assert value == 0
    np.testing.assert_array_equal(again, dense)
