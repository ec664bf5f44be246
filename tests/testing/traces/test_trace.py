"""What a trace holds: names, order, values, on both engines, in memory and in a file."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np
import pytest
from testing.building import case_of, model_of, trace_of

import lf_ref
from lf_ref import InputError, testing
from lf_ref.testing.traces import tensor_names as tables
from model.building import build
from oracles import longformer
from oracles.compare import assert_close, assert_identical
from oracles.fault_cases import LABELS
from oracles.heads import HEADS, run
from oracles.longformer import Weights
from oracles.tolerances import FLOAT64
from oracles.weights import fields_of, labelled_batch, ragged_batch, state_of


@pytest.mark.parametrize("class_name", HEADS)
def test_outputs_are_those_of_the_model(class_name):
    trace = trace_of(class_name)
    record = model_of(class_name, backend="numpy")(**case_of(class_name)[2])
    assert list(trace.run.outputs) == list(record)
    for name, value in record.items():
        assert_identical(trace[name], value, name)
    assert trace.canonical_names[-len(trace.run.outputs) :] == trace.run.outputs


@pytest.mark.parametrize("class_name", HEADS)
def test_every_tensor_occurs_once_in_order_of_computation(class_name):
    trace = trace_of(class_name)
    layers = range(trace.run.config.num_hidden_layers)
    expected = [place.name for place in tables.EMBEDDINGS]
    expected += [f"encoder.layer.{layer}.{place.name}" for layer in layers for place in tables.LAYER]
    heads = {
        "LongformerModel": ["pooler.dense", "pooler.activation"],
        "LongformerForMaskedLM": ["lm_head.dense", "lm_head.activation", "lm_head.layer_norm", "lm_head.decoder"],
        "LongformerForSequenceClassification": ["classifier.dense", "classifier.activation", "classifier.out_proj"],
        "LongformerForTokenClassification": ["classifier"],
        "LongformerForMultipleChoice": ["pooler.dense", "pooler.activation", "classifier"],
        "LongformerForQuestionAnswering": ["qa_outputs"],
    }
    assert list(trace.canonical_names) == [*expected, *heads[class_name], *trace.run.outputs]
    assert len(trace) == len(list(trace)) == len(set(trace))
    assert [name for name in trace if name in trace.canonical_names] == list(trace.canonical_names)


def test_the_values_are_those_of_the_oracle():
    """Each linear map, norm and activation from the tensor before it; probabilities, context and output as a whole."""
    fields, state, inputs = case_of("LongformerForMaskedLM")
    trace = trace_of()
    weights = Weights(state, "longformer.")
    truth = run("LongformerForMaskedLM", fields, state, inputs)
    x = trace["embeddings"]
    for layer in range(fields["num_hidden_layers"]):
        own, name = weights.under(f"encoder.layer.{layer}"), f"encoder.layer.{layer}"
        for part in ("query", "key", "value", "key_global", "value_global"):
            wanted = own.linear(x, f"attention.self.{part}")
            if part.endswith("_global"):
                wanted[2] = 0  # the row has no global token
            assert_close(trace[f"{name}.attention.self.{part}"], wanted, FLOAT64, part)
        chosen = own.linear(x, "attention.self.query_global")
        marks = trace.run.is_global
        for row in range(3):
            found = trace[f"{name}.attention.self.query_global"][row]
            assert_close(found[: marks[row].sum()], chosen[row, marks[row]], FLOAT64, "query_global")
            assert not found[marks[row].sum() :].any()
        for kind, key in (("", "attentions"), ("_global", "global_attentions")):
            assert_close(trace[f"{name}.attention.self.probabilities{kind}"], truth[key][layer], FLOAT64, key)
        context = trace[f"{name}.attention.self"]
        y = own.linear(context, "attention.output.dense")
        assert_close(trace[f"{name}.attention.output.dense"], y, FLOAT64, "attention.output.dense")
        assert_close(trace[f"{name}.attention.output.sum"], x + y, FLOAT64, "attention.output.sum")
        y = own.norm(x + y, "attention.output.LayerNorm", fields["layer_norm_eps"])
        assert_close(trace[f"{name}.attention"], y, FLOAT64, "attention.output")
        wide = longformer.ACTIVATIONS[fields["hidden_act"]](own.linear(y, "intermediate.dense"))
        assert_close(trace[f"{name}.intermediate"], wide, FLOAT64, "intermediate")
        x = truth["hidden_states"][layer + 1]
        assert_close(trace[name], x, FLOAT64, name)


def test_scores_and_contexts_belong_to_the_probabilities():
    trace, heads = trace_of(), 3
    for layer in range(2):
        name = f"encoder.layer.{layer}.attention.self"
        for kind, axis in (("", 3), ("_global", 2)):
            scores, probabilities = trace[f"{name}.scores{kind}"], trace[f"{name}.probabilities{kind}"]
            powers = np.exp(
                scores - np.where(np.isinf(scores.max(axis, keepdims=True)), 0, scores.max(axis, keepdims=True))
            )
            total = powers.sum(axis, keepdims=True)
            assert_close(powers / np.where(total == 0, 1, total), probabilities, FLOAT64, f"{name}{kind}")
            assert ((scores == -np.inf) == (probabilities == 0)).all()
        local, wide = trace[f"{name}.context"], trace[f"{name}.context_global"]
        both = local.copy()
        for row, marks in enumerate(trace.run.is_global):
            assert not local[row, marks].any()
            both[row, marks] = wide[row, : marks.sum()]
        assert_identical(trace[name], both, name)
        by_head = trace[f"{name}.value_global"].reshape(3, 23, heads, -1)
        probabilities = trace[f"{name}.probabilities_global"]  # [B, H, S, x]
        gathered = np.einsum("bhsx,bshd->bxhd", probabilities, by_head).reshape(wide.shape)
        assert_close(wide, gathered, FLOAT64, "context_global")


def test_a_trace_knows_its_run():
    fields, _, inputs = case_of("LongformerForQuestionAnswering")
    trace = trace_of("LongformerForQuestionAnswering")
    facts = trace.run
    assert (facts.class_name, facts.dtype, facts.backend) == ("LongformerForQuestionAnswering", "float64", "numpy")
    assert facts.config == lf_ref.LongformerConfig(**fields)
    assert_identical(facts.visible, inputs["attention_mask"] == 1, "visible")
    expected = lf_ref.global_attention.on_question(inputs["input_ids"]) * inputs["attention_mask"] == 1
    assert_identical(facts.is_global, expected, "the default of the head")
    for name, values in inputs.items():
        assert_identical(facts.inputs[name], values, name)
        assert facts.inputs[name] is not values
    rows, seq = inputs["input_ids"].shape
    assert repr(trace) == (
        f"<Trace of LongformerForQuestionAnswering, float64 by numpy: {len(trace.canonical_names)} tensors "
        f"({len(trace)} names) of {rows} x {seq} tokens>"
    )


def test_choices_count_as_rows():
    trace = trace_of("LongformerForMultipleChoice")
    assert trace.run.visible.shape == (6, 19)
    assert trace["embeddings"].shape == (6, 19, 21)
    assert trace["classifier"].shape == (6, 1)
    assert trace["logits"].shape == (2, 3)


def test_an_alias_is_the_same_tensor():
    trace = trace_of("LongformerForSequenceClassification")
    assert trace["encoder.layer.1"] is trace["encoder.layer.1.output.LayerNorm"]
    assert trace["classifier"] is trace["classifier.out_proj"]
    assert trace["logits"] is trace["classifier"]
    assert trace.canonical_name("encoder.layer.0.attention") == "encoder.layer.0.attention.output.LayerNorm"
    assert "encoder.layer.2" not in trace
    with pytest.raises(KeyError, match=r"encoder\.layer\.7"):
        _ = trace["encoder.layer.7"]


def test_names_choose():
    model, inputs = model_of(), case_of("LongformerForMaskedLM")[2]
    some = testing.trace(model, names=["encoder.layer.1.attention.self.*", "logits"], **inputs)
    assert {name.rpartition(".")[0] for name in some.canonical_names if name != "logits"} == {
        "encoder.layer.1.attention.self"
    }
    whole = trace_of()
    for name in some:
        assert_identical(some[name], whole[name], name)
    by_alias = testing.trace(model, names="encoder.layer.0", **inputs)
    assert by_alias.canonical_names == ("encoder.layer.0.output.LayerNorm",)
    with pytest.raises(InputError, match=r"no tensor of this trace matches names='encoder\.layer\.9'"):
        testing.trace(model, names="encoder.layer.9", **inputs)


@pytest.mark.parametrize("class_name", HEADS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_kernels_report_the_tensors_that_they_compute(class_name, dtype):
    inputs = case_of(class_name)[2]
    trace = testing.trace(model_of(class_name, dtype=dtype), backend="numba", output_attentions=True, **inputs)
    whole = trace_of(class_name)
    assert trace.run.dtype == dtype
    assert {name.partition("encoder.layer.0.")[2] for name in trace.canonical_names} - {""} == {
        *(f"attention.self.{part}" for part in ("query", "key", "value", "context", "probabilities")),
        *("attention.self.probabilities_global", "attention.self", "attention.output.LayerNorm", "output.LayerNorm"),
    }
    assert trace.run.outputs == whole.run.outputs
    for name in trace.canonical_names:
        assert trace[name].dtype == np.dtype(dtype)
        assert_close(trace[name], whole[name], FLOAT64 if dtype == "float64" else 2e-5, name)


def test_kernels_without_local_or_global_tokens():
    fields, state, inputs = case_of("LongformerForMaskedLM")
    nothing = {**inputs, "global_attention_mask": np.zeros_like(inputs["input_ids"])}
    everything = {**inputs, "global_attention_mask": inputs["attention_mask"]}
    model = build("LongformerForMaskedLM", fields, state)
    local = testing.trace(model, backend="numba", output_attentions=True, **nothing)
    assert not [name for name in local if "_global" in name]
    assert not [name for name in testing.trace(model, **nothing) if "_global" in name]
    wide = testing.trace(model, backend="numba", **everything)
    whole = testing.trace(model, **everything)
    for name in wide:
        assert_close(wide[name], whole[name], FLOAT64, name)


def test_observing_changes_nothing():
    """No effect on values and model; a classifier that needs one token alone computes all of them when observed."""
    class_name = "LongformerForSequenceClassification"
    model, inputs = model_of(class_name), case_of(class_name)[2]
    before = model(**inputs).logits
    trace = testing.trace(model, backend="numba", **inputs)
    assert trace["encoder.layer.1"].shape == (3, 23, 21)
    assert_close(trace["logits"], before, 1e-13, "logits")
    assert_identical(model(**inputs).logits, before, "logits")
    assert (model.backend, model._observer) == ("numba", None)


def test_other_arguments():
    fields, state, inputs = case_of("LongformerForMaskedLM")
    model = build("LongformerForMaskedLM", fields, state)
    embeds = np.random.default_rng(1).standard_normal((2, 7, 21))
    trace = testing.trace(model, inputs_embeds=embeds)
    assert "embeddings.word_embeddings" not in trace
    assert_identical(
        trace["logits"], build("LongformerForMaskedLM", fields, state, "numpy")(inputs_embeds=embeds).logits, ""
    )
    assert "embeddings.word_embeddings" not in testing.trace(model, inputs_embeds=embeds, backend="numba")
    places = [[0, 3], [2, 1]]
    some = testing.trace(model, **inputs, logits_at=places)
    assert some["lm_head.dense"].shape == (2, 21)
    assert_close(some["logits"], trace_of()["logits"][[0, 2], [3, 1]], FLOAT64, "logits")
    labelled = testing.trace(model, **inputs, labels=inputs["input_ids"], return_dict=False)
    assert labelled.run.outputs == ("logits", "loss")
    assert labelled["loss"].shape == ()


def test_reduced_weights_run_on_the_kernels_only():
    model, inputs = model_of(dtype="bfloat16"), case_of("LongformerForMaskedLM")[2]
    with pytest.raises(InputError, match="backend 'numpy', the reference implementation"):
        testing.trace(model, **inputs)
    trace = testing.trace(model, backend="numba", **inputs)
    assert_identical(trace["logits"], model(**inputs).logits, "logits")


def test_wrong_arguments():
    inputs = case_of("LongformerForMaskedLM")[2]
    with pytest.raises(InputError, match="model must be a model of lf_ref, got int"):
        testing.trace(3, **inputs)
    with pytest.raises(InputError, match="backend must be one of numba, numpy, got 'cuda'"):
        testing.trace(model_of(), backend="cuda", **inputs)
    with pytest.raises(InputError, match="give either input_ids or inputs_embeds"):
        testing.trace(model_of())


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_name", HEADS)
@pytest.mark.parametrize("way", ["stream", "save"])
def test_a_file_holds_the_same(class_name, way, tmp_path):
    path, model, whole = tmp_path / "trace.safetensors", model_of(class_name), trace_of(class_name)
    if way == "stream":
        streamed = testing.trace(model, stream=path, **case_of(class_name)[2])
        assert streamed.model is model
    else:
        whole.save(path)
    loaded = testing.Trace.load(path, model)
    assert list(loaded) == list(whole)
    assert loaded.run.outputs == whole.run.outputs
    assert loaded.run.config == whole.run.config
    assert repr(loaded) == repr(whole)
    for name in whole:
        assert_identical(loaded[name], whole[name], name)
        assert not loaded[name].flags.writeable
    for mask in ("visible", "is_global"):
        assert_identical(getattr(loaded.run, mask), getattr(whole.run, mask), mask)
    assert list(loaded.run.inputs) == list(whole.run.inputs)
    for name, values in whole.run.inputs.items():
        assert_identical(loaded.run.inputs[name], values, name)
    assert [path.name for path in tmp_path.iterdir()] == ["trace.safetensors"]


def test_the_file_is_plain_safetensors(tmp_path):
    from safetensors.numpy import load_file

    path = tmp_path / "trace.safetensors"
    trace = testing.trace(model_of(dtype="float32"), stream=str(path), **case_of("LongformerForMaskedLM")[2])
    tensors = load_file(path)
    for name in trace.canonical_names:
        if name != "logits":  # the decoder's
            assert_identical(tensors[name], np.asarray(trace[name]), name)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"]["format"] == "lf_ref.trace 1"
    starts = [entry["data_offsets"][0] for name, entry in header.items() if name != "__metadata__"]
    widths = {"F32": 4, "I64": 8, "U8": 1}
    for entry, start in zip(list(header.values())[1:], starts, strict=True):
        assert start % widths[entry["dtype"]] == 0, "aligned"


def test_a_stream_keeps_one_layer_in_memory(tmp_path):
    fields = fields_of(num_hidden_layers=8, attention_window=4, hidden_size=48, intermediate_size=512, vocab_size=20)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=1))
    inputs = {"input_ids": np.full((1, 80), 3)}
    peaks = []
    for stream in (None, tmp_path / "trace.safetensors"):
        tracemalloc.start()
        trace = testing.trace(model, stream=stream, **inputs)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    total = sum(np.asarray(trace[name]).nbytes for name in trace.canonical_names)
    assert peaks[0] > total
    assert peaks[1] < total / 3


def test_a_failed_stream_leaves_nothing(tmp_path):
    with pytest.raises(InputError):
        testing.trace(model_of(), stream=tmp_path / "trace.safetensors", input_ids=[[99999]])
    assert list(tmp_path.iterdir()) == []


def test_a_stream_to_a_missing_folder(tmp_path):
    with pytest.raises(InputError, match=r"the folder .*nowhere does not exist; create it to write trace.safetensors"):
        testing.trace(model_of(), stream=tmp_path / "nowhere" / "trace.safetensors", input_ids=[[0, 2]])


def test_other_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "other.safetensors"
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(InputError, match="is not a trace: its metadata lacks the format"):
        testing.Trace.load(path)
    path.write_bytes(b"\x10")
    with pytest.raises(lf_ref.CheckpointError, match="not a whole safetensors file"):
        testing.Trace.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("class", None), ("config", None), ("config", "{["), ("outputs", None), ("outputs", "7"), ("visible", None)],
)
def test_a_trace_that_lacks_something_is_refused(tmp_path, name, value):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    path = tmp_path / "trace.safetensors"
    testing.trace(model_of(), names="embeddings.*", stream=path, input_ids=[[0, 5, 2]])
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    place = tensors if name in tensors else metadata
    del place[name]
    if value is not None:
        place[name] = value
    save_file(tensors, path, metadata)
    with pytest.raises(lf_ref.CheckpointError, match=r"trace.safetensors is a damaged trace"):
        testing.Trace.load(path)


def test_labels_and_floats_in_a_file(tmp_path):
    class_name = "LongformerForMaskedLM"
    fields = fields_of(attention_window=[4, 8])
    model = build(class_name, fields, state_of(class_name, fields, seed=2))
    given = ragged_batch(fields, seed=3)
    embeds = np.random.default_rng(4).standard_normal((*given.pop("input_ids").shape, 21)).astype(np.float32)
    labels = labelled_batch(class_name, fields, seed=3)["labels"]
    trace = testing.trace(model, stream=tmp_path / "t.safetensors", inputs_embeds=embeds, labels=labels, **given)
    assert trace["loss"].shape == ()
    assert_identical(trace.run.inputs["inputs_embeds"], embeds.astype(np.float64), "widened exactly")
    assert set(LABELS) & set(trace.run.inputs) == {"labels"}
