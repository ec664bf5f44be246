"""Each task's answers, recomputed from the model's own output."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.building import LIMIT, TEXTS, assert_alike, demo_tokenizer, model_for, pipe_for

import lf_ref
from lf_ref import InputError, LongformerForSequenceClassification
from lf_ref.pipelines.scores import best, sigmoid

TOLERANCE = 1e-10


def softmax(scores):
    weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def ids_of(*texts):
    return np.array([demo_tokenizer()(*texts)["input_ids"]])


# --- fill-mask --------------------------------------------------------------------------------------------------------


def test_fill_mask_scores_are_those_of_all_logits():
    text = "The <mask> of the river was <mask>."
    ids = ids_of(text)
    logits = model_for("fill-mask")(ids).logits[0]
    places = np.flatnonzero(ids[0] == demo_tokenizer().mask_token_id)
    for answers, place in zip(pipe_for("fill-mask")(text, top_k=11), places, strict=True):
        probabilities = softmax(logits[place])
        assert [answer["token"] for answer in answers] == np.argsort(-probabilities)[:11].tolist()
        for answer in answers:
            assert answer["score"] == pytest.approx(probabilities[answer["token"]], abs=TOLERANCE)
            assert answer["token_str"] == demo_tokenizer().decode([answer["token"]])
            assert demo_tokenizer().mask_token in answer["sequence"]


def test_fill_mask_targets_keep_their_scores_among_all_words():
    pipe = pipe_for("fill-mask")
    everything = softmax(model_for("fill-mask")(ids_of("A <mask>.")).logits[0, 2])
    found = pipe("A <mask>.", targets=[" door", " book", " door"], top_k=9)
    assert sorted(answer["token_str"] for answer in found) == [" book", " door"]
    for answer in found:
        assert answer["score"] == pytest.approx(everything[answer["token"]], abs=TOLERANCE)
        assert answer["sequence"] == f"A{answer['token_str']}."
    assert [answer["token_str"] for answer in pipe("A <mask>.", targets=" door")] == [" door"]


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([], "at least one word"),
        ([" door", 3], r"each of targets must be a text \(str\), got int"),
        (5, "targets must be a list of texts, got int"),
        ((word for word in [" door"]), "targets must be a list of texts, got generator"),
        (
            ["Konstantinopolis"],
            r"is not one token of the vocabulary but \d: \['K', .*; targets='K' scores the first of them",
        ),
        (["river"], r"but \d: \[.*\]; with a space before it, targets=' river', it is one$"),
        ([""], r"is not one token of the vocabulary but 0: \[\]$"),
    ],
)
def test_fill_mask_refuses_targets_that_are_no_tokens(targets, message):
    with pytest.raises(InputError, match=message):
        pipe_for("fill-mask")("A <mask>.", targets=targets)
    with pytest.raises(InputError, match=message):
        pipe_for("fill-mask", targets=targets)


def test_the_way_out_for_a_target_of_several_tokens_is_what_hf_does():
    pipe = pipe_for("fill-mask")
    for word in ("Konstantinopolis", " Konstantinopolis"):
        with pytest.raises(InputError) as caught:
            pipe("A <mask>.", targets=word)
        first = demo_tokenizer().tokenize(word)[0]
        assert f"targets={first!r}" in str(caught.value)
        [answer] = pipe("A <mask>.", targets=first)
        assert answer["token"] == demo_tokenizer().encode(word, add_special_tokens=False)[0]


def test_fill_mask_needs_a_mask():
    with pytest.raises(InputError, match="text 1 has no <mask>: write it where a word is to be found"):
        pipe_for("fill-mask")(["A <mask>.", "no mask here"])
    with pytest.raises(InputError, match="or none is left after truncation"):
        pipe_for("fill-mask")("word " * 100 + "<mask>", truncation=True)


def test_fill_mask_list_of_one_is_its_result():
    pipe = pipe_for("fill-mask")
    assert pipe(["A <mask>."]) == pipe("A <mask>.")
    assert_alike(pipe(("A <mask>.", "A <mask>.")), [pipe("A <mask>.")] * 2, TOLERANCE)


# --- feature-extraction -----------------------------------------------------------------------------------------------


def test_features_and_their_poolings():
    pipe = pipe_for("feature-extraction")
    states = [model_for("feature-extraction")(ids_of(text)).last_hidden_state for text in TEXTS]
    for text, expected in zip(TEXTS, states, strict=True):
        assert_alike(pipe(text), expected.tolist(), TOLERANCE)
    for pooling, expected in (("cls", [state[0, 0] for state in states]), ("mean", [s[0].mean(0) for s in states])):
        assert_alike(pipe(TEXTS, pooling=pooling), [vector.tolist() for vector in expected], TOLERANCE)
    arrays = pipe(TEXTS, return_tensors=True)
    assert [array.shape for array in arrays] == [state.shape for state in states]


# --- text-classification ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "labels", "function"),
    [
        ("single_label_classification", 3, softmax),
        ("multi_label_classification", 3, lambda logits: 1 / (1 + np.exp(-logits))),
        ("regression", 3, lambda logits: logits),
        (None, 3, softmax),
        (None, 1, lambda logits: 1 / (1 + np.exp(-logits))),
    ],
)
def test_the_config_decides_the_function_of_scores(problem, labels, function):
    base = model_for("text-classification")
    config = lf_ref.LongformerConfig.from_dict({**base.config.to_dict(), "problem_type": problem})
    config.id2label = {index: f"label {index}" for index in range(labels)}
    state = {
        name: value[:labels] if name.startswith("classifier.out_proj") else value
        for name, value in base.weights.items()
    }
    model = LongformerForSequenceClassification(config, state, dtype="float64", backend="numpy")
    expected = function(model(ids_of(TEXTS[0])).logits[0])
    answers = lf_ref.pipeline("text-classification", model=model, tokenizer=demo_tokenizer())(TEXTS[0], top_k=None)
    assert {a["label"]: pytest.approx(a["score"]) for a in answers} == {
        f"label {index}": score for index, score in enumerate(expected)
    }
    assert [a["score"] for a in answers] == sorted((a["score"] for a in answers), reverse=True)


def test_how_classification_results_nest():
    pipe, pair = pipe_for("text-classification"), {"text": "One.", "text_pair": "Two."}
    best = pipe("One.", top_k=1)[0]
    assert sorted(best) == ["label", "score"]
    assert pipe("One.") == [best]
    assert pipe(["One."]) == [best]
    assert pipe(["One."], top_k=1) == [[best]]
    assert [len(labels) for labels in pipe(["One.", "Two."], top_k=2)] == [2, 2]
    assert sorted(pipe(pair)) == ["label", "score"]
    assert pipe([pair], top_k=None) == [pipe(pair, top_k=None)]
    assert pipe_for("text-classification", top_k=1)("One.") == [[best]]
    assert next(pipe(iter(["One."]))) == best


def test_sigmoid_of_large_scores_does_not_overflow():
    assert sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.3, 5.0, -1.0]), min_size=1, max_size=13), st.integers(1, 15))
def test_the_best_are_those_of_a_sort(scores, most):
    expected = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    assert best(np.array(scores), most).tolist() == expected[:most]
    assert best(np.array(scores)).tolist() == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"text_pair": "x"}, "must have the key text, and may have text_pair, got text_pair"),
        ({"text": "x", "other": "y"}, "got text, other"),
        ({"text": 3}, "text of the text must be a text"),
        ([["one", "two"]], "a pair is given as"),
    ],
)
def test_classification_refuses_other_inputs(given, message):
    with pytest.raises(InputError, match=message):
        pipe_for("text-classification")(given)


# --- zero-shot-classification -----------------------------------------------------------------------------------------


def test_zero_shot_by_hand():
    pipe, model = pipe_for("zero-shot-classification"), model_for("zero-shot-classification")
    labels = ["sport", "the news", "you"]
    logits = np.concatenate([model(ids_of(TEXTS[0], f"Is this {label}?")).logits for label in labels])
    for several, expected in ((False, softmax(logits[:, 2])), (True, softmax(logits[:, [0, 2]])[:, 1])):
        result = pipe(TEXTS[0], labels, hypothesis_template="Is this {}?", multi_label=several)
        assert list(result) == ["sequence", "labels", "scores"]
        assert result["sequence"] == TEXTS[0]
        assert result["labels"] == [labels[place] for place in np.argsort(-expected)]
        np.testing.assert_allclose(result["scores"], np.sort(expected)[::-1], atol=TOLERANCE)


def test_zero_shot_takes_the_last_label_for_entailment_with_a_warning():
    model = model_for("text-classification")
    with pytest.warns(UserWarning, match=r"\(bad, so so, good\) begins with 'entail', so the last is taken"):
        pipe = lf_ref.pipeline("zero-shot-classification", model=model, tokenizer=demo_tokenizer())
    assert (pipe.entailment_id, pipe.contradiction_id) == (2, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pipe_for("zero-shot-classification").entailment_id == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "candidate_labels are missing"),
        ({"candidate_labels": []}, "at least one label"),
        ({"candidate_labels": " , "}, "at least one label"),
        ({"candidate_labels": ["a", 2]}, r"each of candidate_labels must be a text \(str\), got int"),
        ({"candidate_labels": 5}, "candidate_labels must be a list of texts, got int"),
        ({"candidate_labels": (label for label in "ab")}, "candidate_labels must be a list of texts, got generator"),
        ({"candidate_labels": "a", "hypothesis_template": "This is it."}, "must have {} for the label"),
        ({"candidate_labels": "a", "hypothesis_template": "This is {label}."}, "must have {} for the label and no"),
        ({"candidate_labels": "a", "hypothesis_template": "This is {"}, "must have {} for the label and no"),
        ({"candidate_labels": "a", "hypothesis_template": 3}, "must be a text, got int"),
    ],
)
def test_zero_shot_refuses_labels_and_templates_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=message):
        pipe_for("zero-shot-classification")(TEXTS[0], **options)


def test_zero_shot_truncation_never_cuts_the_label():
    for long_text, template in (("word " * 300, "It is {}."), ("word " * 40, "so " * 45 + "it is {}.")):
        options = {"candidate_labels": ["sport", "politics"], "hypothesis_template": template, "truncation": True}
        pipe = pipe_for("zero-shot-classification", **options)
        chosen = pipe._choose({})
        rows = pipe._rows("the text", pipe._item("the text", long_text, chosen), chosen)
        for row, label in zip(rows, ["sport", "politics"], strict=True):
            assert len(row) == LIMIT
            assert demo_tokenizer().decode(row.ids.tolist()).endswith(f"</s></s>{template.format(label)}</s>")
            assert row.global_at == (0, 1)


def test_truncation_that_would_leave_nothing_is_an_error():
    pipe = pipe_for("zero-shot-classification", candidate_labels="sport", hypothesis_template="so " * 90 + "it is {}.")
    with pytest.raises(
        InputError, match=rf"the text has \d+ tokens and cannot be cut to {LIMIT}: that would leave nothing"
    ):
        pipe(TEXTS[0], truncation=True)


# --- multiple-choice --------------------------------------------------------------------------------------------------


def test_multiple_choice_is_the_model_with_its_own_global_attention():
    choices = ["blue as ever.", "made of bread.", "far away, and made of gas and of dust."]
    batch = demo_tokenizer()([TEXTS[0]] * 3, choices, padding=True, return_tensors="np")
    output = model_for("multiple-choice")(batch["input_ids"][None], attention_mask=batch["attention_mask"][None])
    expected = softmax(output.logits[0])
    answers = pipe_for("multiple-choice")(TEXTS[0], choices)
    assert [answer["choice"] for answer in answers] == np.argsort(-expected).tolist()
    assert [answer["text"] for answer in answers] == [choices[answer["choice"]] for answer in answers]
    np.testing.assert_allclose([answer["score"] for answer in answers], np.sort(expected)[::-1], atol=TOLERANCE)
    assert pipe_for("multiple-choice", top_k=1)({"question": TEXTS[0], "choices": choices}) == answers[:1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("a question", "choices are missing"),
        (None, "give either a question and choices=, or a dict"),
        ({}, "must have the keys question and choices, got none"),
        ({"question": "a"}, "must have the keys question and choices, got question"),
        ({"question": "a", "choices": "b"}, "must be a list of at least one text, got str"),
        ({"question": "a", "choices": []}, "must be a list of at least one text"),
        ({"question": "a", "choices": ["b", 3]}, "choice 1 of the text must be a text"),
        ({"question": "a", "choices": ["b", ""]}, "choice 1 of the text is empty"),
        ({"question": 1, "choices": ["b"]}, "the question of the text must be a text"),
        ([{"question": "a", "choices": ["b"]}, 3], "item 1 must be a dict"),
    ],
)
def test_multiple_choice_refuses_other_inputs(given, message):
    with pytest.raises(InputError, match=message):
        pipe_for("multiple-choice")(given)
