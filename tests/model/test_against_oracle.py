"""Every class on every engine against the naive oracle: all output fields, ragged batches, any small config."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model.building import BACKENDS, ENGINES, FEW, TOLERANCE, assert_outputs_match, build

from oracles.compare import assert_close
from oracles.heads import HEADS, run
from oracles.longformer import ACTIVATIONS
from oracles.strategies import batches, configurations
from oracles.tolerances import FLOAT32_AGAINST_FLOAT64, FLOAT64
from oracles.weights import batch_of, fields_of, labelled_batch, ragged_batch, ragged_marks, state_of

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


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
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
@pytest.mark.parametrize("given", ["position_ids", "inputs_embeds"])
def test_given_positions_and_embeddings(given, backend):
    fields = fields_of()
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
