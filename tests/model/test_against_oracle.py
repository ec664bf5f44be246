"""Every class on every engine against the naive oracle: all output fields, ragged batches, any small config."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.building import BACKENDS, ENGINES, FEW, TOLERANCE, assert_outputs_match, build
from oracles.compare import assert_close
from oracles.heads import HEADS, run
from oracles.longformer import ACTIVATIONS
from oracles.strategies import COMPILED, batches, configurations
from oracles.tolerances import FLOAT32_AGAINST_FLOAT64, FLOAT64, FLOAT64_OTHER_SHAPE
from oracles.weights import batch_of, fields_of, labelled_batch, ragged_batch, ragged_marks, state_of

CLASSIFIERS = ["LongformerForSequenceClassification", "LongformerForMultipleChoice"]
EVERYTHING = {"output_attentions": True, "output_hidden_states": True}


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
@pytest.mark.parametrize("class_name", HEADS)
def test_every_output_of_every_class(class_name, backend, dtype):
    fields = fields_of(num_labels=5)
    state = state_of(class_name, fields, seed=21)
    inputs = labelled_batch(class_name, fields, seed=22)
    expected = run(class_name, fields, state, inputs)
    output = build(class_name, fields, state, backend, dtype)(**inputs, **EVERYTHING)
    assert_outputs_match(output, expected, TOLERANCE[dtype])
    for name, value in output.items():
        arrays = value if isinstance(value, tuple) else (value,)
        assert {array.dtype for array in arrays} == {np.dtype(dtype)}, name


@pytest.mark.parametrize("backend", BACKENDS)
@FEW
@given(st.data())
def test_any_small_model_on_any_batch(backend, data):
    fields = data.draw(configurations())
    inputs = data.draw(batches(fields))
    state = state_of("LongformerModel", fields, seed=23)
    output = build("LongformerModel", fields, state, backend)(**inputs, **EVERYTHING)
    assert_outputs_match(output, run("LongformerModel", fields, state, inputs), FLOAT64)


@pytest.mark.parametrize("backend", BACKENDS)
@settings(FEW, max_examples=60)
@given(st.data())
def test_heads_that_look_at_some_tokens_only(backend, data):
    """A classifier reads one token and `logits_at` names a few: what may then be left out must not have mattered."""
    fields = data.draw(configurations()) | {"num_labels": 5}
    inputs = data.draw(batches(fields, longest=61))
    class_name = data.draw(st.sampled_from(["LongformerForMaskedLM", *CLASSIFIERS]), label="class")
    state = state_of(class_name, fields, seed=42)
    if class_name == "LongformerForMultipleChoice":
        inputs = {name: value[:, None] for name, value in inputs.items()}
    logits = run(class_name, fields, state, inputs)["logits"]
    model = build(class_name, fields, state, backend)
    if class_name == "LongformerForMaskedLM":
        rows, seq = inputs["input_ids"].shape
        pair = st.tuples(st.integers(0, rows - 1), st.integers(0, seq - 1)).map(list)
        places = np.array(data.draw(st.lists(pair, min_size=1, max_size=4), label="logits_at"))
        some = model(**inputs, logits_at=places).logits
        assert_close(some, logits[places[:, 0], places[:, 1]], FLOAT64, "logits")
    else:
        assert_close(model(**inputs).logits, logits, FLOAT64, "logits")


@pytest.mark.parametrize("class_name", ["LongformerForMaskedLM", *CLASSIFIERS])
def test_asking_for_more_outputs_does_not_change_the_logits(class_name):
    fields = fields_of(num_labels=5, num_hidden_layers=3, attention_window=[2, 4, 6])
    inputs = labelled_batch(class_name, fields, seed=43)
    model = build(class_name, fields, state_of(class_name, fields, seed=44))
    alone = model(**inputs).logits
    for asked in ("output_hidden_states", "output_attentions"):
        assert_close(model(**inputs, **{asked: True}).logits, alone, FLOAT64_OTHER_SHAPE, asked)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("activation", "backend"),
    [(name, "numpy") for name in sorted(ACTIVATIONS)] + [(name, "numba") for name in COMPILED],
)
def test_every_activation(activation, backend, dtype):
    # Wide first biases take the activation far into its tails, where exp could overflow.
    fields = fields_of(hidden_act=activation, num_hidden_layers=1, attention_window=4)
    state = state_of("LongformerModel", fields, seed=24)
    state["encoder.layer.0.intermediate.dense.bias"] *= 60
    inputs = ragged_batch(fields, seed=25)
    output = build("LongformerModel", fields, state, backend, dtype)(**inputs)
    expected = run("LongformerModel", fields, state, inputs)
    assert_close(output.last_hidden_state, expected["last_hidden_state"], TOLERANCE[dtype], "last_hidden_state")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("length", [1, 2, 5, 6, 7, 12, 13, 59])
@pytest.mark.parametrize("window", [2, 6, 64, 1000])
def test_lengths_around_the_window(window, length, backend):
    fields = fields_of(attention_window=window)
    marks = ragged_marks((length, (length + 1) // 2), ({0: 2, length - 1: 2, length // 3: 0}, {length // 4: 2}))
    inputs = batch_of(fields, marks, seed=length)
    state = state_of("LongformerModel", fields, seed=26)
    output = build("LongformerModel", fields, state, backend)(**inputs, **EVERYTHING)
    assert_outputs_match(output, run("LongformerModel", fields, state, inputs), FLOAT64)


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_several_query_blocks(backend, dtype):
    """Longer than the blocks kernels work in, windows that end inside a block, globals on both sides of an edge."""
    fields = fields_of(attention_window=[46, 150], max_position_embeddings=600)
    changes = {0: 2, 63: 2, 64: 2, 127: 0, 128: 0, 129: 2, 255: 2, 256: 0, 300: 3, 389: 2}
    marks = ragged_marks((397, 211), (changes, {210: 2}))
    inputs = batch_of(fields, marks, seed=27)
    state = state_of("LongformerForMaskedLM", fields, seed=28)
    output = build("LongformerForMaskedLM", fields, state, backend, dtype)(**inputs, **EVERYTHING)
    expected = run("LongformerForMaskedLM", fields, state, inputs)
    assert_outputs_match(output, expected, FLOAT64 if dtype == "float64" else FLOAT32_AGAINST_FLOAT64)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("length", [31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257])
def test_lengths_around_powers_of_two(length, dtype):
    """Where a block or a vector of the kernels ends with the text, one before it or one after it."""
    fields = fields_of(num_hidden_layers=1, attention_window=16, max_position_embeddings=300)
    inputs = batch_of(fields, ragged_marks((length,), ({length // 2: 2},)), seed=40)
    state = state_of("LongformerModel", fields, seed=41)
    output = build("LongformerModel", fields, state, "numba", dtype)(**inputs, **EVERYTHING)
    assert_outputs_match(output, run("LongformerModel", fields, state, inputs), TOLERANCE[dtype])


@pytest.mark.parametrize("backend", BACKENDS)
def test_head_dim_of_real_checkpoints(backend):
    """64 columns a head, where vector code has no remainder to hide behind."""
    fields = fields_of(hidden_size=128, num_attention_heads=2, intermediate_size=160, attention_window=[32, 16])
    marks = ragged_marks((71, 40), ({0: 2, 33: 2, 50: 0}, {1: 2}))
    inputs = batch_of(fields, marks, seed=29)
    state = state_of("LongformerModel", fields, seed=30)
    for dtype in ("float64", "float32"):
        output = build("LongformerModel", fields, state, backend, dtype)(**inputs, **EVERYTHING)
        assert_outputs_match(output, run("LongformerModel", fields, state, inputs), TOLERANCE[dtype])


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_global_tokens(backend):
    """More global tokens than hidden / heads: whatever shortcut few of them allow ends here."""
    fields = fields_of()
    everything = dict.fromkeys(range(31), 2)
    marks = ragged_marks((31, 31, 23), (everything, dict.fromkeys(range(0, 31, 2), 2), {22: 2}))
    inputs = batch_of(fields, marks, seed=31)
    state = state_of("LongformerModel", fields, seed=32)
    output = build("LongformerModel", fields, state, backend)(**inputs, **EVERYTHING)
    assert_outputs_match(output, run("LongformerModel", fields, state, inputs), FLOAT64)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("pad", [0, 1, 3])
@pytest.mark.parametrize("given", ["position_ids", "inputs_embeds"])
def test_given_positions_and_embeddings(given, pad, backend):
    fields = fields_of(pad_token_id=pad)
    state = state_of("LongformerModel", fields, seed=33)
    inputs = ragged_batch(fields, seed=34)
    rng = np.random.default_rng(35)
    if given == "position_ids":
        inputs["position_ids"] = rng.integers(0, 83, size=inputs["input_ids"].shape)
    else:
        inputs["inputs_embeds"] = rng.standard_normal((*inputs.pop("input_ids").shape, 21))
    output = build("LongformerModel", fields, state, backend)(**inputs, **EVERYTHING)
    assert_outputs_match(output, run("LongformerModel", fields, state, inputs), FLOAT64)


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_pooler(backend):
    fields = fields_of()
    state = state_of("LongformerModel", fields, seed=36, pooled=False)
    inputs = ragged_batch(fields, seed=37)
    output = build("LongformerModel", fields, state, backend, add_pooling_layer=False)(**inputs)
    expected = run("LongformerModel", fields, state, inputs, pooled=False)
    assert output.pooler_output is None
    assert_close(output.last_hidden_state, expected["last_hidden_state"], FLOAT64, "last_hidden_state")


@pytest.mark.parametrize("backend", BACKENDS)
def test_sharp_attention_stays_exact_in_float64_and_finite_in_float32(backend):
    """Scores in the hundreds: a softmax without its maximum overflows, a short exponential fails far below 0."""
    fields = fields_of(num_hidden_layers=1, attention_window=6)
    state = state_of("LongformerModel", fields, seed=38)
    for name in ("query", "query_global"):
        state[f"encoder.layer.0.attention.self.{name}.weight"] *= 100
    inputs = ragged_batch(fields, seed=39)
    expected = run("LongformerModel", fields, state, inputs)
    output = build("LongformerModel", fields, state, backend)(**inputs, **EVERYTHING)
    assert_outputs_match(output, expected, FLOAT64)
    single = build("LongformerModel", fields, state, backend, "float32")(**inputs, **EVERYTHING)
    assert np.isfinite(single.last_hidden_state).all()
    sums = single.attentions[0].sum(-1) + np.where(expected["attentions"][0].sum(-1) == 0, 1.0, 0.0)
    np.testing.assert_allclose(sums, 1.0, atol=1e-6)
