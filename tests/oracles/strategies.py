"""Hypothesis strategies for small Longformers and for batches with any pattern of masked, local and global tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numba
from hypothesis import strategies as st

from oracles.longformer import ACTIVATIONS
from oracles.weights import batch_of, fields_of

SEEDS = st.integers(0, 2**16)
# The activations of models that run on the kernels. The kernel of a layer takes some seconds to compile for each
# activation and dtype: for the others `pytest -m parity` does it. Without the JIT all are run, and
# `tests/kernels/test_rows.py` compiles each activation by itself.
COMPILED = sorted(ACTIVATIONS) if numba.config.DISABLE_JIT else ["gelu", "gelu_new"]


@st.composite
def configurations(draw: st.DrawFn, divides: bool = False, activations: Sequence[str] = COMPILED) -> dict[str, Any]:
    """Fields of a small config; with `divides`, windows as HF can do them.

    HF needs every window to divide the largest one, and its chunking fails on a window of 2; we need neither.
    """
    layers = draw(st.integers(1, 3), label="layers")
    heads, head_dim = draw(st.sampled_from([(1, 5), (2, 3), (3, 7), (5, 2), (3, 1)]), label="heads, head_dim")
    if divides:
        largest = draw(st.sampled_from([4, 6, 8, 12, 16]), label="largest window")
        choices = [window for window in range(4, largest + 1, 2) if largest % window == 0]
    else:
        choices = [2, 4, 6, 10, 14, 64]
    window: Any = draw(st.lists(st.sampled_from(choices), min_size=layers, max_size=layers), label="windows")
    if divides:
        window[draw(st.integers(0, layers - 1), label="layer of the largest")] = largest
    if len(set(window)) == 1 and draw(st.booleans(), label="one number for all layers"):
        window = window[0]
    pad = draw(st.sampled_from([1, 0, 3]), label="pad")
    return fields_of(
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_size=heads * head_dim,
        attention_window=window,
        hidden_act=draw(st.sampled_from(activations), label="activation"),
        pad_token_id=pad,
        type_vocab_size=draw(st.sampled_from([1, 2, 3]), label="types"),
        layer_norm_eps=draw(st.sampled_from([1e-5, 1e-12, 0.1]), label="eps"),
    )


def of_the_paper(fields: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The config with dilated windows, for all layers, by layer or by head, and maybe causal."""
    dilation = st.sampled_from([1, 2, 3, 5, 31])
    layers, heads = fields["num_hidden_layers"], fields["num_attention_heads"]
    by_head = st.lists(dilation, min_size=heads, max_size=heads)
    by_layer = st.lists(st.one_of(dilation, by_head), min_size=layers, max_size=layers)
    return st.builds(
        lambda dilations, causal: {**fields, "attention_dilation": dilations, "autoregressive": causal},
        st.one_of(dilation, by_layer),
        st.booleans(),
    )


@st.composite
def batches(draw: st.DrawFn, fields: Mapping[str, Any], longest: int = 29, most: int = 3) -> dict[str, Any]:
    """Inputs of 1 to `most` rows and 1 to `longest` tokens; padding, masked and global tokens anywhere.

    A row is either mixed, or mostly local, or a text with padding around it and a few other tokens in it.
    """
    seq = draw(st.integers(1, longest), label="seq")
    mixed = st.lists(st.sampled_from([1, 2, 0, 3, -1]), min_size=seq, max_size=seq)
    local = st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 0]), min_size=seq, max_size=seq)
    place = st.integers(0, seq - 1)
    few = st.dictionaries(place, st.sampled_from([2, 0, 3]), max_size=3)
    text = st.tuples(place, place, few).map(lambda drawn: _text(seq, *drawn))
    marks = draw(st.lists(st.one_of(local, mixed, text), min_size=1, max_size=most), label="marks")
    return batch_of(fields, marks, draw(SEEDS, label="seed of the ids"))


def _text(seq: int, one: int, other: int, few: Mapping[int, int]) -> list[int]:
    first, last = sorted((one, other))
    return [few.get(place, 1) if first <= place <= last else -1 for place in range(seq)]
