"""Live parity with HF transformers: the encoder and every head, every output field, every loss."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.building import ENGINES, TOLERANCE, assert_outputs_match, build
from oracles.compare import assert_close
from oracles.heads import HEADS, default_global
from oracles.longformer import ACTIVATIONS
from oracles.strategies import batches, configurations
from oracles.tolerances import FLOAT64
from oracles.weights import batch_of, fields_of, labelled_batch, ragged_batch, ragged_marks, state_of
from parity.peers import as_documented, build_peer, call_peer

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]

EVERYTHING = {"output_attentions": True, "output_hidden_states": True}
WINDOWS = [4, 8]
MANY = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def peer_answer(class_name, fields, state, inputs, dtype="float64", **options):
    """HF's output fields, its `global_attentions` as the documentation describes them."""
    answer = call_peer(build_peer(class_name, fields, state, dtype, **options), inputs, **EVERYTHING)
    given = inputs.get("input_ids", inputs.get("inputs_embeds"))
    dims = 3 if class_name == "LongformerForMultipleChoice" else 2
    flat = (-1, given.shape[dims - 1])
    ones = np.ones(given.shape[:dims], int).reshape(flat)
    visible = inputs.get("attention_mask", ones).reshape(flat) == 1
    marked = inputs.get("global_attention_mask")
    if marked is None and "input_ids" in inputs:
        marked = default_global(class_name, given.reshape(flat), fields["sep_token_id"])
    marked = np.zeros_like(visible) if marked is None else marked.reshape(flat) == 1
    return as_documented(answer, marked, visible)


def check(class_name, fields, state, inputs, backend="numba", dtype="float64", **options):
    """Every output field of ours equals HF's."""
    output = build(class_name, fields, state, backend, dtype, **options)(**inputs, **EVERYTHING)
    assert_outputs_match(output, peer_answer(class_name, fields, state, inputs, dtype, **options), TOLERANCE[dtype])


def fields_for(class_name):
    """A small config with five labels, but two for question answering, whose outputs HF counts by the labels."""
    return fields_of(attention_window=WINDOWS, num_labels=2 if "QuestionAnswering" in class_name else 5)


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
@pytest.mark.parametrize("class_name", HEADS)
def test_every_output_of_every_class(class_name, backend, dtype):
    fields = fields_for(class_name)
    state = state_of(class_name, fields, seed=201)
    check(class_name, fields, state, labelled_batch(class_name, fields, seed=202), backend, dtype)


@MANY
@given(st.data())
def test_any_small_encoder_on_any_batch(data):
    fields = data.draw(configurations(divides=True, activations=sorted(ACTIVATIONS)))
    inputs = data.draw(batches(fields))
    state = state_of("LongformerModel", fields, data.draw(st.integers(0, 99), label="seed of the weights"))
    backend = data.draw(st.sampled_from(["numba", "numba", "numpy"]), label="backend")
    check("LongformerModel", fields, state, inputs, backend)


@MANY
@given(st.data())
def test_any_small_head_on_any_batch(data):
    class_name = data.draw(st.sampled_from(HEADS[1:]), label="class")
    labels = 2 if class_name == "LongformerForQuestionAnswering" else data.draw(st.integers(2, 4), label="labels")
    fields = data.draw(configurations(divides=True, activations=sorted(ACTIVATIONS))) | {"num_labels": labels}
    inputs = data.draw(batches(fields, longest=17, most=4))
    rng = np.random.default_rng(data.draw(st.integers(0, 99), label="seed"))
    shape = inputs["input_ids"].shape
    if class_name == "LongformerForMultipleChoice":
        inputs = {name: value[None] for name, value in inputs.items()} | {"labels": np.array([shape[0] - 1])}
    elif class_name == "LongformerForQuestionAnswering":
        inputs["start_positions"], inputs["end_positions"] = rng.integers(0, shape[1] + 3, size=(2, shape[0]))
    elif class_name == "LongformerForSequenceClassification":
        inputs["labels"] = rng.integers(0, fields["num_labels"], size=shape[0])
    else:
        classes = fields["vocab_size" if class_name == "LongformerForMaskedLM" else "num_labels"]
        inputs["labels"] = np.where(rng.random(shape) < 0.3, -100, rng.integers(0, classes, size=shape))
    check(class_name, fields, state_of(class_name, fields, seed=203), inputs)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 16, 24, 61])
def test_lengths_around_the_window(length, dtype):
    fields = fields_of(attention_window=WINDOWS)
    state = state_of("LongformerModel", fields, seed=204)
    marks = ragged_marks(
        (length, (length + 1) // 2, length),
        ({0: 2, length - 1: 2, length // 3: 0}, {length // 4: 2}, {length // 2: 0, length // 2 + 1: 0}),
    )
    check("LongformerModel", fields, state, batch_of(fields, marks, seed=length), dtype=dtype)


@pytest.mark.parametrize("window", [32, 512])
def test_the_default_window_and_a_text_shorter_than_it(window):
    """HF pads to the window, we do not: its position ids, masks and softmax must come out the same."""
    fields = fields_of(attention_window=window, max_position_embeddings=600)
    state = state_of("LongformerForMaskedLM", fields, seed=205)
    marks = ragged_marks((77, 31), ({0: 2, 40: 0}, {}))
    check("LongformerForMaskedLM", fields, state, batch_of(fields, marks, seed=206))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_every_activation(activation):
    fields = fields_of(attention_window=WINDOWS, hidden_act=activation)
    state = state_of("LongformerModel", fields, seed=207)
    for backend in ("numpy", "numba"):
        check("LongformerModel", fields, state, ragged_batch(fields, seed=208), backend)
    check("LongformerModel", fields, state, ragged_batch(fields, seed=208), "numba", "float32")


@pytest.mark.parametrize("given", ["position_ids", "inputs_embeds", "nothing but ids"])
def test_other_arguments(given):
    fields = fields_of(attention_window=WINDOWS)
    state = state_of("LongformerModel", fields, seed=209)
    inputs = ragged_batch(fields, seed=210)
    rng = np.random.default_rng(211)
    if given == "position_ids":
        inputs["position_ids"] = rng.integers(0, 83, size=inputs["input_ids"].shape)
    elif given == "inputs_embeds":
        inputs["inputs_embeds"] = rng.standard_normal((*inputs.pop("input_ids").shape, 21))
    else:
        inputs = {"input_ids": inputs["input_ids"]}
    check("LongformerModel", fields, state, inputs)


def test_without_pooler():
    fields = fields_of(attention_window=WINDOWS)
    state = state_of("LongformerModel", fields, seed=212, pooled=False)
    check("LongformerModel", fields, state, ragged_batch(fields, seed=213), add_pooling_layer=False)


FLOATS = np.random.default_rng(214).standard_normal((3, 5))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({"num_labels": 1}, FLOATS[:, 0]),
        ({"num_labels": 1}, FLOATS[:, :1]),
        ({"num_labels": 5, "problem_type": "regression"}, FLOATS),
        ({"num_labels": 5}, np.array([4, 0, 2])),
        ({"num_labels": 5}, np.array([4, -100, 2])),
        ({"num_labels": 5}, np.array([-100, -100, -100])),
        ({"num_labels": 1, "problem_type": "single_label_classification"}, np.array([0, 0, 0])),
        ({"num_labels": 5, "problem_type": "single_label_classification"}, np.array([[4], [0], [2]])),
        ({"num_labels": 5}, (FLOATS > 0).astype(np.float64)),
        ({"num_labels": 5, "problem_type": "multi_label_classification"}, 1 / (1 + np.exp(-FLOATS))),
        ({"num_labels": 1, "problem_type": "multi_label_classification"}, (FLOATS[:, :1] > 0).astype(np.float64)),
    ],
)
def test_sequence_classification_losses(changes, labels, dtype):
    class_name = "LongformerForSequenceClassification"
    fields = fields_of(attention_window=WINDOWS, **changes)
    state = state_of(class_name, fields, seed=215)
    inputs = ragged_batch(fields, seed=216) | {"labels": labels}
    check(class_name, fields, state, inputs, dtype=dtype)


@pytest.mark.parametrize(
    ("starts", "ends"),
    [
        ([9, 5, 3], [12, 7, 3]),
        ([0, 22, 3], [23, 99, 2]),
        ([-7, 1, 2], [3, -1, 2]),
        ([23, 23, 99], [1, 2, 3]),
        ([[9], [5], [3]], [[1], [2], [3]]),
    ],
)
def test_answer_losses(starts, ends):
    class_name = "LongformerForQuestionAnswering"
    fields = fields_of(attention_window=WINDOWS)
    inputs = labelled_batch(class_name, fields, seed=217)
    inputs |= {"start_positions": np.array(starts), "end_positions": np.array(ends)}
    check(class_name, fields, state_of(class_name, fields, seed=218), inputs)


@pytest.mark.parametrize("class_name", ["LongformerForMaskedLM", "LongformerForTokenClassification"])
def test_everything_ignored(class_name):
    fields = fields_of(attention_window=WINDOWS, num_labels=5)
    inputs = labelled_batch(class_name, fields, seed=219)
    inputs["labels"][:] = -100
    assert np.isnan(call_peer(build_peer(class_name, fields, state_of(class_name, fields, 220)), inputs)["loss"])
    check(class_name, fields, state_of(class_name, fields, seed=220), inputs)


@pytest.mark.parametrize("class_name", HEADS)
def test_tuples_in_hf_order(class_name):
    fields = fields_for(class_name)
    state = state_of(class_name, fields, seed=221)
    inputs = labelled_batch(class_name, fields, seed=222)
    theirs = call_peer(build_peer(class_name, fields, state), inputs, output_hidden_states=True, return_dict=False)
    ours = build(class_name, fields, state)(**inputs, output_hidden_states=True, return_dict=False)
    assert_close(ours, theirs["tuple"], FLOAT64, "tuple")


@pytest.mark.parametrize("class_name", HEADS)
def test_arguments_and_records_have_hf_names_in_hf_order(class_name):
    import inspect

    import transformers

    import lf_ref

    theirs = list(inspect.signature(getattr(transformers, class_name).forward).parameters)[1:]
    ours = list(inspect.signature(getattr(lf_ref, class_name).__call__).parameters)[1:]
    theirs.remove("head_mask")  # a tool for pruning studies
    assert ours[: len(theirs)] == theirs, "what only we have comes last"
    fields = fields_of(attention_window=WINDOWS)
    model = build(class_name, fields, state_of(class_name, fields, seed=223), backend="numpy")
    ids = ragged_batch(fields, seed=224)
    given = {name: value[None] for name, value in ids.items()} if "Choice" in class_name else ids
    record = type(model(**given))
    module = importlib.import_module("transformers.models.longformer.modeling_longformer")
    assert list(record.__dataclass_fields__) == list(getattr(module, record.__name__).__dataclass_fields__)


def test_records_behave_as_hf_ones():
    """The same questions to both records: keys, indices, what is in it, what iterating gives."""
    fields = fields_of(attention_window=WINDOWS)
    class_name = "LongformerForMaskedLM"
    state = state_of(class_name, fields, seed=225)
    inputs = ragged_batch(fields, seed=226)
    import torch

    with torch.no_grad():
        tensors = {name: torch.tensor(value) for name, value in inputs.items()}
        theirs = build_peer(class_name, fields, state)(**tensors, output_hidden_states=True)
    ours = build(class_name, fields, state)(**inputs, output_hidden_states=True)
    for question in (
        lambda output: list(output.keys()),
        lambda output: list(output),
        lambda output: len(output),
        lambda output: [name for name, _ in output.items()],
        lambda output: ["loss" in output, "logits" in output, "nonsense" in output],
        lambda output: len(output.to_tuple()),
        lambda output: output.loss,
        lambda output: output.get("loss", 7),
        lambda output: tuple(output[0].shape),
        lambda output: len(output[1]),
        lambda output: len(output[:2]),
        lambda output: output[-1] is output.hidden_states,
        lambda output: sorted(dict(output)),
        lambda output: isinstance(output, dict),
    ):
        assert question(ours) == question(theirs)


@pytest.mark.parametrize("class_name", HEADS)
def test_weights_have_hf_names_and_are_counted_as_hf_counts(class_name):
    fields = fields_for(class_name)
    state = state_of(class_name, fields, seed=231)
    theirs, ours = build_peer(class_name, fields, state), build(class_name, fields, state)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for name, values in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name], values.numpy(), err_msg=name)
    assert {name for name, _ in ours.named_parameters()} == {name for name, _ in theirs.named_parameters()}
    for options in ({}, {"exclude_embeddings": True}, {"only_trainable": True}):
        assert ours.num_parameters(**options) == theirs.num_parameters(**options)
    assert ours.base_model_prefix == theirs.base_model_prefix
    assert ours.main_input_name == theirs.main_input_name
    assert set(ours.base_model.state_dict()) == set(theirs.base_model.state_dict())
    shape = theirs.get_input_embeddings().weight.shape
    assert ours.get_input_embeddings().weight.shape == tuple(shape)


@pytest.mark.parametrize("class_name", HEADS)
def test_torch_names_of_dtype_and_device_are_understood(class_name):
    import torch

    import lf_ref

    fields = fields_for(class_name)
    state = state_of(class_name, fields, seed=232)
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        model = getattr(lf_ref, class_name)(lf_ref.LongformerConfig(**fields), state, dtype=dtype)
        assert str(dtype) == f"torch.{model.weight_dtype}"
        assert model.to(torch.device("cpu")) is model.to(dtype=dtype) is model
    with pytest.raises(lf_ref.InputError, match="CPUs do not compute in float16"):
        getattr(lf_ref, class_name)(lf_ref.LongformerConfig(**fields), state, dtype=torch.float16)


def test_every_attribute_of_hf_models_exists_or_raises_with_the_way_out():
    """Whatever a user of HF's models asks ours for: a value, or an error of ours, never a bare one."""
    import lf_ref

    fields = fields_of(attention_window=WINDOWS)
    state = state_of("LongformerForMaskedLM", fields, seed=233)
    theirs, ours = build_peer("LongformerForMaskedLM", fields, state), build("LongformerForMaskedLM", fields, state)
    for owner, peer in ((ours, theirs), (ours.config, theirs.config)):
        for name in [name for name in dir(peer) if not name.startswith("_") and not hasattr(owner, name)]:
            with pytest.raises(lf_ref.InputError, match=name):
                getattr(owner, name)


def test_oddities_of_hf_that_lf_ref_does_not_have():
    """What `as_documented` removes is really there, and a window of 2 is beyond HF; here we learn if that changes."""
    fields = fields_of(attention_window=WINDOWS)
    state = state_of("LongformerModel", fields, seed=227)
    inputs = ragged_batch(fields, seed=228)  # 23 tokens, padded by HF to 24; 3, 1 and 0 global tokens
    raw = call_peer(build_peer("LongformerModel", fields, state), inputs, output_attentions=True)
    assert [array.shape for array in raw["global_attentions"]] == [(3, 3, 24, 3)] * 2
    left_over = raw["global_attentions"][0][1, :, :, 1:]
    np.testing.assert_allclose(left_over, 1 / 24)
    ours = build("LongformerModel", fields, state)(**inputs, output_attentions=True)
    assert [array.shape for array in ours.global_attentions] == [(3, 3, 23, 3)] * 2
    assert not ours.global_attentions[0][1, :, :, 1:].any()

    fields = fields_of(attention_window=2)
    with pytest.raises(RuntimeError, match="expanded size"):
        call_peer(build_peer("LongformerModel", fields, state), inputs)
    assert np.isfinite(build("LongformerModel", fields, state)(**inputs).last_hidden_state).all()


def test_config_is_written_into_by_hf_but_not_by_us():
    fields = fields_of(attention_window=4, num_labels=5)
    class_name = "LongformerForSequenceClassification"
    state = state_of(class_name, fields, seed=229)
    inputs = labelled_batch(class_name, fields, seed=230)
    theirs, ours = build_peer(class_name, fields, state), build(class_name, fields, state)
    call_peer(theirs, inputs)
    ours(**inputs)
    assert (theirs.config.attention_window, theirs.config.problem_type) == ([4, 4], "single_label_classification")
    assert (ours.config.attention_window, ours.config.problem_type) == (4, None)


@pytest.mark.parametrize(
    "name",
    ["model", "masked_lm", "sequence_classification", "token_classification", "multiple_choice", "question_answering"],
)
def test_golden_files_are_what_hf_answers_today(name):
    from golden.model.make import CASES, contents
    from model.test_golden import NAMES, read

    assert set(CASES) == set(NAMES)
    tensors, metadata = contents(name)
    state, inputs, outputs, stored = read(name)
    flat = {f"state.{key}": value for key, value in state.items()} | {f"input.{key}": v for key, v in inputs.items()}
    for key, value in outputs.items():
        if isinstance(value, tuple):
            flat |= {f"output.{key}.{layer}": array for layer, array in enumerate(value)}
        else:
            flat[f"output.{key}"] = value
    assert set(tensors) == set(flat)
    for key, value in flat.items():
        assert_close(tensors[key], value, FLOAT64 if key.startswith("output") else 0.0, key)
    for key in ("class", "config", "seed", "made_by"):
        assert metadata[key] == stored[key]
