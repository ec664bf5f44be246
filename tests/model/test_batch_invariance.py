"""A text has the same results to the bit alone and in any batch, padded on either side, on any number of threads.

Matrix products and sums that depend on the shape of a batch round differently; a tolerance would hide it.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.building import build
from oracles.compare import assert_identical
from oracles.strategies import SEEDS
from oracles.weights import batch_of, fields_of, state_of

pytestmark = pytest.mark.jit  # plain Python has bits of its own, and takes minutes

DTYPES = ["float32", "float64", "bfloat16", "int8"]
BY_TOKEN = [
    "LongformerModel",
    "LongformerForMaskedLM",
    "LongformerForTokenClassification",
    "LongformerForQuestionAnswering",
]
# These read the first column, where a text that is padded on the left has padding.
POOLED = ["LongformerModel", "LongformerForSequenceClassification", "LongformerForMultipleChoice"]
SOME = settings(
    max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
THREADS = st.integers(1, 5)
FILL = {"attention_mask": 0, "global_attention_mask": 0, "token_type_ids": 0}


@st.composite
def configurations(draw, causal=False):
    layers = draw(st.integers(2, 3), label="layers")
    heads, head_dim = draw(st.sampled_from([(3, 8), (5, 7), (2, 16), (3, 21), (4, 16), (1, 29)]), label="heads, dim")
    windows = st.lists(st.sampled_from([4, 6, 10, 16]), min_size=layers, max_size=layers)
    by_head = st.lists(st.sampled_from([1, 1, 2, 5]), min_size=heads, max_size=heads)
    dilations = st.one_of(st.just(1), st.sampled_from([2, 3, 20]), st.lists(by_head, min_size=layers, max_size=layers))
    return fields_of(
        attention_dilation=draw(dilations, label="dilations"),
        autoregressive=causal and draw(st.booleans(), label="causal"),
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_size=heads * head_dim,
        intermediate_size=draw(st.sampled_from([31, 64, 101]), label="intermediate"),
        attention_window=draw(windows, label="windows"),
        max_position_embeddings=200,
        num_labels=5,
    )


@st.composite
def texts(draw, fields):
    """One to five texts without padding, each a batch of its own: shorter and longer than the windows."""
    lengths = st.one_of(st.integers(1, 40), st.sampled_from([16, 17, 64, 97, 149]))
    found = []
    for length in draw(st.lists(lengths, min_size=1, max_size=5), label="lengths"):
        special = st.dictionaries(st.integers(0, length - 1), st.sampled_from([2, 2, 2, 0, 3]), max_size=7)
        changed = draw(special, label="global and masked tokens")
        marks = [changed.get(place, 1) for place in range(length)]
        found.append(batch_of(fields, [marks], draw(SEEDS, label="seed of the ids")))
    return found


def batched(chosen, before, width, fields):
    """The texts as rows of one batch, each after `before[row]` tokens of padding, `width` in all."""
    return {
        name: np.concatenate(
            [
                np.pad(
                    text[name],
                    ((0, 0), (left, width - left - text[name].shape[1])),
                    constant_values=FILL.get(name, fields["pad_token_id"]),
                )
                for text, left in zip(chosen, before, strict=True)
            ]
        )
        for name in chosen[0]
    }


def length_of(text):
    return text["input_ids"].shape[1]


def draw_batch(data, given):
    """The texts that are the rows, in any order and some of them twice, and the length that all are padded to."""
    rows = st.lists(st.integers(0, len(given) - 1), min_size=1, max_size=6)
    chosen = [given[index] for index in data.draw(rows, label="rows")]
    longest = max(map(length_of, chosen))
    return chosen, longest + data.draw(st.sampled_from([0, 0, 1, 5, 23]), label="further padding")


def by_token(output, row, columns):
    """What there is for each token of a row: hidden states, logits, the start and end of answers."""
    return {
        name: [np.ascontiguousarray(layer[row, columns]) for layer in (value if isinstance(value, tuple) else [value])]
        for name, value in output.items()
        if name != "pooler_output"
    }


@pytest.mark.parametrize("class_name", BY_TOKEN)
@pytest.mark.parametrize("dtype", DTYPES)
@SOME
@given(st.data())
def test_tokens(dtype, class_name, data):
    fields = data.draw(configurations(causal=True))
    state = state_of(class_name, fields, seed=71)
    alone, together = (
        build(class_name, fields, state, dtype=dtype, num_threads=data.draw(THREADS, label="threads")) for _ in range(2)
    )
    chosen, width = draw_batch(data, data.draw(texts(fields)))
    before = [data.draw(st.sampled_from([0, width - length_of(text)]), label="padding before") for text in chosen]
    output = together(**batched(chosen, before, width, fields), output_hidden_states=True)
    for row, (text, left) in enumerate(zip(chosen, before, strict=True)):
        expected = by_token(alone(**text, output_hidden_states=True), 0, slice(None))
        got = by_token(output, row, slice(left, left + length_of(text)))
        assert got.keys() == expected.keys()
        for name, values in expected.items():
            assert_identical(got[name], values, f"{name} of row {row}")


@pytest.mark.parametrize("class_name", POOLED)
@pytest.mark.parametrize("dtype", DTYPES)
@SOME
@given(st.data())
def test_texts(dtype, class_name, data):
    fields = data.draw(configurations())
    state = state_of(class_name, fields, seed=72)
    alone, together = (
        build(class_name, fields, state, dtype=dtype, num_threads=data.draw(THREADS, label="threads")) for _ in range(2)
    )
    chosen, width = draw_batch(data, data.draw(texts(fields)))
    inputs = batched(chosen, [0] * len(chosen), width, fields)
    name = "pooler_output" if class_name == "LongformerModel" else "logits"
    if class_name == "LongformerForMultipleChoice":  # the texts are the choices of one question
        got = together(**{key: value[None] for key, value in inputs.items()})[name][0]
        expected = [alone(**{key: value[None] for key, value in text.items()})[name][0, 0] for text in chosen]
    else:
        got = together(**inputs)[name]
        expected = [alone(**text)[name][0] for text in chosen]
    for row, values in enumerate(expected):
        assert_identical(got[row], values, f"{name} of row {row}")
