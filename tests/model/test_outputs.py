"""What a call returns: records that answer as HF's do, tuples, and the layout of the attentions."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import lf_ref
from lf_ref.errors import InputError
from model.building import ENGINES, TOLERANCE, build
from oracles import attention, longformer
from oracles.compare import assert_close, assert_identical
from oracles.heads import HEADS, run
from oracles.tolerances import FLOAT64, FLOAT64_SUM
from oracles.weights import batch_of, fields_of, labelled_batch, ragged_batch, ragged_marks, state_of

EVERYTHING = {"output_attentions": True, "output_hidden_states": True}
# HF's output class of each model, and its fields in HF's order.
REST = ["hidden_states", "attentions", "global_attentions"]
RECORDS = {
    "LongformerModel": ("LongformerBaseModelOutputWithPooling", ["last_hidden_state", "pooler_output", *REST]),
    "LongformerForMaskedLM": ("LongformerMaskedLMOutput", ["loss", "logits", *REST]),
    "LongformerForSequenceClassification": ("LongformerSequenceClassifierOutput", ["loss", "logits", *REST]),
    "LongformerForTokenClassification": ("LongformerTokenClassifierOutput", ["loss", "logits", *REST]),
    "LongformerForMultipleChoice": ("LongformerMultipleChoiceModelOutput", ["loss", "logits", *REST]),
    "LongformerForQuestionAnswering": (
        "LongformerQuestionAnsweringModelOutput",
        ["loss", "start_logits", "end_logits", *REST],
    ),
}


@pytest.fixture(scope="module", params=HEADS)
def called(request):
    """A model of each class with its inputs."""
    fields = fields_of(num_labels=5)
    model = build(request.param, fields, state_of(request.param, fields, seed=101), backend="numpy")
    return request.param, model, labelled_batch(request.param, fields, seed=102)


def test_record_has_hf_class_and_fields(called):
    class_name, model, inputs = called
    kind, names = RECORDS[class_name]
    output = model(**inputs, **EVERYTHING)
    assert type(output).__name__ == kind
    assert type(output) is getattr(lf_ref, kind)
    assert list(output.keys()) == names
    for place, name in enumerate(names):
        assert output[name] is getattr(output, name)
        assert output[place] is output[name]
    assert output[-1] is output.global_attentions
    assert output[1:3] == output.to_tuple()[1:3]
    assert len(output) == len(names)
    assert list(output) == names, "HF's record iterates over its names"
    assert dict(output).keys() == set(names)
    assert dict(**output).keys() == set(names)
    assert [value for _, value in output.items()] == list(output.values())


def test_fields_that_are_none_do_not_count(called):
    class_name, model, inputs = called
    inputs = {name: value for name, value in inputs.items() if name not in ("labels", "start_positions")}
    output = model(**inputs)
    names = [name for name in RECORDS[class_name][1] if name not in ("loss", *REST)]
    assert list(output.keys()) == names
    assert output.hidden_states is output.attentions is output.global_attentions is None
    assert len(output.to_tuple()) == len(output) == len(names)
    assert output[0] is output[names[0]]
    assert "attentions" not in output
    assert names[0] in output
    with pytest.raises(KeyError):
        output["attentions"]
    with pytest.raises(IndexError):
        output[len(names)]
    with pytest.raises(AttributeError):
        output.no_such_field  # noqa: B018


def test_unpacking_as_hf_users_write_it(called):
    class_name, model, inputs = called
    if class_name != "LongformerModel":
        loss, first = model(**inputs).to_tuple()[:2]
        assert loss.shape == ()
        assert float(loss) == loss.item()
        assert first.ndim >= 2
    first, *_ = model(**inputs, return_dict=False)
    assert isinstance(first, np.ndarray)


def test_return_dict_false_gives_the_tuple(called):
    _, model, inputs = called
    record = model(**inputs, **EVERYTHING)
    plain = model(**inputs, **EVERYTHING, return_dict=False)
    assert type(plain) is tuple
    assert_identical(plain, record.to_tuple(), "tuple")


def test_config_decides_where_the_call_does_not():
    fields = fields_of(output_attentions=True, output_hidden_states=True, return_dict=False)
    inputs = ragged_batch(fields, seed=103)
    model = build("LongformerForMaskedLM", fields, state_of("LongformerForMaskedLM", fields, seed=104))
    assert [len(part) for part in model(**inputs)[1:]] == [3, 2, 2]
    record = model(**inputs, output_attentions=False, output_hidden_states=False, return_dict=True)
    assert list(record.keys()) == ["logits"]


def test_records_survive_copies_and_pickles(called):
    _, model, inputs = called
    output = model(**inputs, **EVERYTHING)
    for again in (copy.copy(output), copy.deepcopy(output), pickle.loads(pickle.dumps(output))):
        assert type(again) is type(output)
        assert_identical(again.to_tuple(), output.to_tuple(), "copy")


def test_hidden_states_are_embeddings_and_layers(called):
    class_name, model, inputs = called
    states = model(**inputs, output_hidden_states=True).hidden_states
    assert len(states) == 3
    rows = int(np.prod(inputs["input_ids"].shape[:-1]))
    assert {state.shape for state in states} == {(rows, inputs["input_ids"].shape[-1], 21)}
    if class_name == "LongformerModel":
        assert_identical(states[-1], model(**inputs).last_hidden_state, "last layer")


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_results_are_the_callers_own(backend, dtype):
    """Writing into one result changes neither another one nor the next call."""
    fields = fields_of()
    inputs = ragged_batch(fields, seed=105)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=106), backend, dtype)
    first = model(**inputs, **EVERYTHING)
    kept = copy.deepcopy(first)
    for array in (first.last_hidden_state, first.pooler_output, *first.attentions, *first.global_attentions):
        array[:] = 7
    assert_identical(model(**inputs, **EVERYTHING).to_tuple(), kept.to_tuple(), "second call")


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_attentions_by_scalar_loops(backend, dtype):
    """Each probability in its column, from the loops that know nothing of columns, for rows with 3, 1 and 0 globals."""
    fields = fields_of()
    state = state_of("LongformerModel", fields, seed=107)
    inputs = ragged_batch(fields, seed=108)
    output = build("LongformerModel", fields, state, backend, dtype)(**inputs, **EVERYTHING)
    visible = inputs["attention_mask"] == 1
    is_global = visible & (inputs["global_attention_mask"] == 1)
    batch, seq = visible.shape
    most = 3
    for layer, one_sided in enumerate((2, 3)):
        local = np.zeros((batch, 3, seq, most + 2 * one_sided + 1))
        wide = np.zeros((batch, 3, seq, most))
        weights = longformer.Weights(state, f"encoder.layer.{layer}.attention.self.")
        maps = ("query", "key", "value", "query_global", "key_global", "value_global")
        named = {f"{name}.{part}": weights[f"{name}.{part}"] for name in maps for part in ("weight", "bias")}
        for row in range(batch):
            # Judged from our own hidden states, so that only this layer's attention is in question.
            hidden = output.hidden_states[layer][row].tolist()
            scalar = attention.attend(hidden, named, visible[row].tolist(), is_global[row].tolist(), one_sided, 3)
            places = np.flatnonzero(is_global[row]).tolist()
            for head, queries in enumerate(scalar.probabilities):
                for query, shares in enumerate(queries):
                    for key, share in shares.items():
                        if query in places:
                            wide[row, head, key, places.index(query)] = share
                        elif key in places:
                            local[row, head, query, places.index(key)] = share
                        else:
                            local[row, head, query, most + one_sided + key - query] = share
        assert_close(output.attentions[layer], local, TOLERANCE[dtype], f"attentions[{layer}]")
        assert_close(output.global_attentions[layer], wide, TOLERANCE[dtype], f"global_attentions[{layer}]")


def test_attentions_without_global_tokens():
    fields = fields_of(attention_window=[4, 64])
    inputs = batch_of(fields, ragged_marks((7, 4), ({}, {2: 3})), seed=109)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=110))
    output = model(**inputs, output_attentions=True)
    assert [array.shape for array in output.attentions] == [(2, 3, 7, 5), (2, 3, 7, 65)]
    assert output.global_attentions is None
    assert "global_attentions" not in output


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_dense_view(backend):
    fields = fields_of()
    state = state_of("LongformerModel", fields, seed=111)
    inputs = ragged_batch(fields, seed=112)
    output = build("LongformerModel", fields, state, backend)(**inputs, output_attentions=True)
    expected = run("LongformerModel", fields, state, inputs)["dense"]
    masks = inputs["global_attention_mask"], inputs["attention_mask"]
    for layer in range(2):
        dense = lf_ref.dense_attentions(output.attentions[layer], output.global_attentions[layer], *masks)
        assert_close(dense, expected[layer], FLOAT64, f"layer {layer}")
        sums = dense.sum(-1)
        seen = np.broadcast_to((inputs["attention_mask"] == 1)[:, None], sums.shape)
        np.testing.assert_allclose(sums[seen], 1.0, rtol=FLOAT64_SUM)
        assert not sums[~seen].any()
    lists = [mask.tolist() for mask in masks]
    again = lf_ref.dense_attentions(output.attentions[1], output.global_attentions[1], *lists)
    assert_identical(again, dense, "masks as lists")


def test_dense_view_without_global_tokens():
    fields = fields_of(attention_window=[2, 64])
    state = state_of("LongformerModel", fields, seed=113)
    inputs = batch_of(fields, ragged_marks((7, 4), ({3: 0}, {})), seed=114)
    output = build("LongformerModel", fields, state)(**inputs, output_attentions=True)
    expected = run("LongformerModel", fields, state, inputs)["dense"]
    for layer in range(2):
        assert_close(lf_ref.dense_attentions(output.attentions[layer]), expected[layer], FLOAT64, f"layer {layer}")


def test_dense_view_refuses_what_does_not_belong_together():
    fields = fields_of()
    inputs = ragged_batch(fields, seed=115)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=116))
    output = model(**inputs, output_attentions=True)
    local, wide = output.attentions[0], output.global_attentions[0]
    marked, visible = inputs["global_attention_mask"], inputs["attention_mask"]
    for arguments in (
        (local, wide),
        (local, None, marked, visible),
        (local, wide, np.zeros_like(marked), visible),
        (local, wide, marked[:, :-1], visible[:, :-1]),
        (local[..., :-1], wide, marked, visible),
        (local[..., :-2], wide, marked, visible),
        (local, wide, np.roll(marked, 1, axis=1), np.ones_like(visible)),
        (output.attentions, wide, marked, visible),
        (None, wide, marked, visible),
        (local, wide[:, :, :-1], marked, visible),
        (local, wide, marked[0], visible[0]),
    ):
        with pytest.raises(InputError, match="attention"):
            lf_ref.dense_attentions(*arguments)
