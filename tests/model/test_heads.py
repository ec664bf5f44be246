"""The heads: where global attention goes by default, and every loss."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lf_ref
from lf_ref.errors import InputError
from model.building import ENGINES, TOLERANCE, build
from oracles.compare import assert_close, assert_identical
from oracles.heads import cross_entropy, default_global, question_loss, run
from oracles.weights import fields_of, labelled_batch, ragged_batch, state_of

DEFAULTS = {
    "LongformerForSequenceClassification": "the first token",
    "LongformerForMultipleChoice": "everything after the first pair of separators",
    "LongformerForQuestionAnswering": "everything before the first separator",
}
NO_DEFAULT = ["LongformerModel", "LongformerForMaskedLM", "LongformerForTokenClassification"]


def first_values(output):
    """What a head computed, without its loss."""
    return next(value for name, value in output.items() if name != "loss")


@pytest.mark.parametrize("class_name", DEFAULTS)
def test_default_global_attention(class_name):
    fields = fields_of(num_labels=5)
    model = build(class_name, fields, state_of(class_name, fields, seed=71))
    inputs = labelled_batch(class_name, fields, seed=72)
    ids = inputs["input_ids"]
    by_hand = default_global(class_name, ids.reshape(-1, ids.shape[-1]), 2).reshape(ids.shape)
    chosen = model(**inputs)
    assert_identical(first_values(chosen), first_values(model(**inputs, global_attention_mask=by_hand)), "by hand")
    none = first_values(model(**inputs, global_attention_mask=np.zeros_like(ids)))
    assert not np.allclose(first_values(chosen), none), "global attention makes a difference"


@pytest.mark.parametrize("class_name", NO_DEFAULT)
def test_no_global_attention_by_default(class_name):
    fields = fields_of(num_labels=5)
    model = build(class_name, fields, state_of(class_name, fields, seed=73))
    inputs = ragged_batch(fields, seed=74)
    del inputs["global_attention_mask"]
    output = model(**inputs, output_attentions=True)
    assert output.global_attentions is None
    none = model(**inputs, global_attention_mask=np.zeros_like(inputs["input_ids"]))
    assert_identical(first_values(output), first_values(none), "by hand")


def test_default_global_attention_by_hand():
    ids = np.array([[0, 7, 2, 2, 8, 9, 2, 1]])
    assert default_global("LongformerForQuestionAnswering", ids, 2).tolist() == [[1, 1, 0, 0, 0, 0, 0, 0]]
    assert default_global("LongformerForMultipleChoice", ids, 2).tolist() == [[0, 0, 0, 0, 1, 1, 1, 1]]
    assert default_global("LongformerForSequenceClassification", ids, 2).tolist() == [[1, 0, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize("class_name", ["LongformerForQuestionAnswering", "LongformerForMultipleChoice"])
def test_each_row_needs_its_three_separators(class_name):
    """HF counts over the whole batch, where one too many here and one too few there cancel out."""
    fields = fields_of()
    model = build(class_name, fields, state_of(class_name, fields, seed=75))
    inputs = labelled_batch(class_name, fields, seed=76)
    ids = inputs["input_ids"].reshape(-1, inputs["input_ids"].shape[-1])
    ids[0, 0], ids[1, np.flatnonzero(ids[1] == 2)[-1]] = 2, 4
    assert (ids == 2).sum() == 3 * len(ids)
    with pytest.raises(InputError, match=r"row 0 .*4 separators.*3"):
        model(**inputs)
    ids[0, 0] = 4
    second = r"row 0 \(choice 1\)" if class_name == "LongformerForMultipleChoice" else "row 1"
    with pytest.raises(InputError, match=rf"{second} .*2 separators.*3"):
        model(**inputs)
    model(**inputs, global_attention_mask=np.zeros_like(inputs["input_ids"]))


def test_another_separator_is_respected():
    fields = fields_of(sep_token_id=5)
    model = build("LongformerForQuestionAnswering", fields, state_of("LongformerForQuestionAnswering", fields, seed=77))
    ids = np.array([[0, 7, 9, 5, 5, 8, 5]])
    given = model(ids, global_attention_mask=[[1, 1, 1, 0, 0, 0, 0]])
    assert_identical(model(ids).start_logits, given.start_logits, "start_logits")


def test_embeddings_have_no_separators_to_look_for():
    """As in HF: question answering and multiple choice get no global token, classification its first one."""
    embeds = np.random.default_rng(78).standard_normal((1, 3, 11, 21))
    for class_name, marked in (
        ("LongformerForQuestionAnswering", 0),
        ("LongformerForMultipleChoice", 0),
        ("LongformerForSequenceClassification", 1),
    ):
        fields = fields_of()
        model = build(class_name, fields, state_of(class_name, fields, seed=79))
        given = embeds if class_name == "LongformerForMultipleChoice" else embeds[0]
        mask = np.zeros(given.shape[:-1], int)
        mask[..., 0] = marked
        chosen = first_values(model(inputs_embeds=given))
        by_hand = first_values(model(inputs_embeds=given, global_attention_mask=mask))
        assert_identical(chosen, by_hand, class_name)


# --- losses -----------------------------------------------------------------------------------------------------------

FLOATS = np.random.default_rng(80).standard_normal((3, 5))
CLASSIFICATION = {
    "regression, one label": ({"num_labels": 1}, FLOATS[:, 0]),
    "regression, one label in a column": ({"num_labels": 1}, FLOATS[:, :1]),
    "regression, one label from integers": ({"num_labels": 1}, np.array([3, -1, 2])),
    "regression, named": ({"num_labels": 5, "problem_type": "regression"}, FLOATS),
    "one class": ({"num_labels": 5}, np.array([4, 0, 2])),
    "one class, int32": ({"num_labels": 5}, np.array([4, 0, 2], np.int32)),
    "one class, some ignored": ({"num_labels": 5}, np.array([4, -100, 2])),
    "one class, named": ({"num_labels": 5, "problem_type": "single_label_classification"}, np.array([1, 1, 3])),
    "any classes": ({"num_labels": 5}, (FLOATS > 0).astype(np.float64)),
    "any classes, soft": ({"num_labels": 5}, 1 / (1 + np.exp(-FLOATS))),
    "any classes, named": (
        {"num_labels": 5, "problem_type": "multi_label_classification"},
        (FLOATS > 0).astype(np.float64),
    ),
}


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
@pytest.mark.parametrize("kind", CLASSIFICATION)
def test_sequence_classification_losses(kind, backend, dtype):
    changes, labels = CLASSIFICATION[kind]
    fields = fields_of(**changes)
    class_name = "LongformerForSequenceClassification"
    state = state_of(class_name, fields, seed=81)
    state["classifier.out_proj.weight"] *= 2000  # logits in the thousands: a naive sigmoid or softmax overflows
    inputs = ragged_batch(fields, seed=82) | {"labels": labels}
    model = build(class_name, fields, state, backend, dtype)
    before = model.config.to_dict()
    output = model(**inputs)
    expected = run(class_name, fields, state, inputs)["loss"]
    assert_close(output.loss, np.asarray(expected), TOLERANCE[dtype], "loss")
    assert output.loss.dtype == dtype
    assert model.config.to_dict() == before, "HF writes the problem type into the config; we do not"


@pytest.mark.parametrize("class_name", ["LongformerForMaskedLM", "LongformerForTokenClassification"])
def test_token_losses_ignore_minus_100(class_name):
    fields = fields_of(num_labels=5)
    model = build(class_name, fields, state_of(class_name, fields, seed=83))
    inputs = labelled_batch(class_name, fields, seed=84)
    output = model(**inputs)
    assert_close(output.loss, np.asarray(cross_entropy(output.logits, inputs["labels"])), 1e-13, "loss")
    one = np.full_like(inputs["labels"], -100)
    one[1, 3] = 4
    scores = output.logits[1, 3]
    alone = np.log(np.exp(scores - scores[4]).sum())
    assert_close(model(**inputs | {"labels": one}).loss, np.asarray(alone), 1e-13, "one label")


@pytest.mark.parametrize(
    "class_name",
    [
        "LongformerForMaskedLM",
        "LongformerForTokenClassification",
        "LongformerForSequenceClassification",
        "LongformerForMultipleChoice",
        "LongformerForQuestionAnswering",
    ],
)
def test_everything_ignored_gives_nan(class_name):
    fields = fields_of(num_labels=5)
    model = build(class_name, fields, state_of(class_name, fields, seed=85))
    inputs = labelled_batch(class_name, fields, seed=86)
    if class_name == "LongformerForQuestionAnswering":
        length = inputs["input_ids"].shape[1]
        inputs |= {"start_positions": np.array([length] * 3), "end_positions": np.array([1, 2, 3])}
    else:
        inputs["labels"] = np.full_like(inputs["labels"], -100)
    assert math.isnan(model(**inputs).loss)


def test_answer_positions_are_clamped_and_the_end_is_ignored():
    fields = fields_of()
    class_name = "LongformerForQuestionAnswering"
    model = build(class_name, fields, state_of(class_name, fields, seed=87))
    inputs = labelled_batch(class_name, fields, seed=88)
    length = inputs["input_ids"].shape[1]

    def loss(starts, ends):
        return model(**inputs | {"start_positions": np.array(starts), "end_positions": np.array(ends)}).loss

    output = model(**inputs)
    both = np.stack([output.start_logits, output.end_logits], -1)
    for starts, ends in (
        ([9, 5, 3], [12, 7, 3]),
        ([0, length - 1, 3], [length, length + 40, 2]),
        ([-7, 1, 2], [3, -1, 2]),
    ):
        expected = np.asarray(question_loss(both, starts, ends))
        assert_close(loss(starts, ends), expected, 1e-13, f"loss for {starts}, {ends}")
    assert loss([-7, 1, 2], [3, 4, 2]) == loss([0, 1, 2], [3, 4, 2])
    assert loss([0, length, 2], [3, 4, 2]) == loss([0, length + 99, 2], [3, 4, 2])
    column = loss([[9], [5], [3]], [[12], [7], [3]])
    assert column == loss([9, 5, 3], [12, 7, 3])


def test_one_position_alone_gives_no_loss():
    fields = fields_of()
    class_name = "LongformerForQuestionAnswering"
    model = build(class_name, fields, state_of(class_name, fields, seed=89))
    inputs = labelled_batch(class_name, fields, seed=90)
    del inputs["end_positions"]
    assert model(**inputs).loss is None


@pytest.mark.parametrize(
    ("class_name", "labels", "message"),
    [
        ("LongformerForMaskedLM", [[3, 53, 1]], r"labels\[0, 1\] is 53"),
        ("LongformerForMaskedLM", [[3, 1, -1]], r"labels\[0, 2\] is -1"),
        ("LongformerForMaskedLM", [[3, 1]], r"labels.*\(1, 3\).*\(1, 2\)"),
        ("LongformerForMaskedLM", [[3, 1, 1], [1]], r"labels.*rectangular"),
        ("LongformerForSequenceClassification", [[3], 1], r"labels.*rectangular"),
        ("LongformerForMaskedLM", [[0.5, 1.0, 2.0]], r"labels.*integers.*float"),
        ("LongformerForTokenClassification", [[0, 5, 0]], r"labels\[0, 1\] is 5"),
        ("LongformerForTokenClassification", [0, 1, 2], r"labels.*\(1, 3\)"),
        ("LongformerForSequenceClassification", [5], r"labels\[0\] is 5"),
        ("LongformerForSequenceClassification", [[1, 0, 1]], r"labels.*shape"),
        ("LongformerForSequenceClassification", [[0.5, 1.0]], r"labels.*\(1, 5\).*\(1, 2\)"),
        ("LongformerForSequenceClassification", ["yes"], r"labels.*numbers|labels.*integers|labels.*str|labels.*<U"),
    ],
)
def test_labels_that_do_not_fit(class_name, labels, message):
    fields = fields_of(num_labels=5)
    model = build(class_name, fields, state_of(class_name, fields, seed=91))
    with pytest.raises(InputError, match=message):
        model([[0, 7, 2]], labels=labels)


@pytest.mark.parametrize("positions", [[1, 2], [0.5], [[1, 2]]])
def test_positions_that_do_not_fit(positions):
    class_name = "LongformerForQuestionAnswering"
    fields = fields_of()
    model = build(class_name, fields, state_of(class_name, fields, seed=92))
    with pytest.raises(InputError, match="start_positions"):
        model([[0, 7, 2, 2, 8, 2]], start_positions=positions, end_positions=[3])
    with pytest.raises(InputError, match="end_positions"):
        model([[0, 7, 2, 2, 8, 2]], start_positions=[3], end_positions=positions)


# --- logits where they are wanted -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
def test_logits_at_chosen_tokens_equal_those_of_all(backend, dtype):
    class_name = "LongformerForMaskedLM"
    fields = fields_of()
    model = build(class_name, fields, state_of(class_name, fields, seed=93), backend, dtype)
    inputs = ragged_batch(fields, seed=94)
    places = np.array([[2, 4], [0, 22], [0, 0], [1, 16], [0, 22], [2, 19]])
    every = model(**inputs).logits
    some = model(**inputs, logits_at=places, labels=[5, -100, 52, 0, 1, -100])
    assert some.logits.shape == (6, 53)
    assert_close(some.logits, every[places[:, 0], places[:, 1]], TOLERANCE[dtype], "logits")
    expected = np.asarray(cross_entropy(some.logits.astype(np.float64), [5, -100, 52, 0, 1, -100]))
    assert_close(some.loss, expected, TOLERANCE[dtype], "loss")
    assert model(**inputs, logits_at=np.zeros((0, 2), int)).logits.shape == (0, 53)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([[0, 1], [1, 0]], r"logits_at\[1\] is \[1, 0\].*\(1, 3\)"),
        ([[0, 3]], r"logits_at\[0\] is \[0, 3\]"),
        ([[0, -1]], r"logits_at\[0\] is \[0, -1\]"),
        ([0, 1], r"logits_at.*\(n, 2\).*\(2,\)"),
        ([[0, 1, 2]], r"logits_at.*\(n, 2\).*\(1, 3\)"),
        ([[0.0, 1.0]], r"logits_at.*integers.*float64"),
    ],
)
def test_logits_at_no_token(places, message):
    class_name = "LongformerForMaskedLM"
    fields = fields_of()
    model = build(class_name, fields, state_of(class_name, fields, seed=95))
    with pytest.raises(InputError, match=message):
        model([[0, 7, 2]], logits_at=places)


def test_labels_are_checked_before_the_model_runs(monkeypatch):
    fields = fields_of()
    model = build("LongformerForMaskedLM", fields, state_of("LongformerForMaskedLM", fields, seed=99))
    monkeypatch.setattr(type(model), "_encode", lambda *_: pytest.fail("the model ran"))
    with pytest.raises(InputError, match="labels"):
        model([[0, 5, 2]], labels=[[0, 5, 10**6]])


def test_a_representation_that_fits_a_line():
    demo = lf_ref.LongformerModel.from_pretrained(dtype="bfloat16")
    millions = demo.num_parameters() / 1e6
    assert repr(demo) == f"<LongformerModel demo: {millions:.1f}M parameters, bfloat16>"
    assert repr(lf_ref.LongformerModel(demo.config, demo.state_dict())) == repr(demo).replace("bfloat16", "float32")
    pipe = lf_ref.pipeline("feature-extraction", demo, tokenizer="demo")
    assert repr(pipe) == f"<FeatureExtractionPipeline of {repr(demo)[1:]}"
