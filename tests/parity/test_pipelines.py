"""Our pipelines give what those of transformers 4 give: the same structure, the same answers, scores to 1e-4."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lf_ref
from parity.pipeline_peers import (
    DEMO,
    DOCUMENT,
    LIMIT,
    NER,
    QUESTION,
    SCORE,
    SEEDS,
    TEXTS,
    assert_same,
)

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]


@pytest.mark.parametrize("seed", SEEDS)
def test_fill_mask(seed, both):
    theirs, ours = both("fill-mask", "LongformerForMaskedLM", seed)
    one, two = "The <mask> of the king.", "A <mask> for the <mask>, and <mask>."
    for inputs in (one, two, [one], [two], [one, two]):
        assert_same(ours(inputs), theirs(inputs))
    assert_same(list(ours(text for text in [two, one])), theirs(text for text in [two, one]))
    assert_same(ours(one, top_k=7), theirs(one, top_k=7))
    targets = [" door", " book", " house"]
    assert_same(ours(two, targets=targets), theirs(two, targets=targets))
    assert_same(ours(one, targets=" door"), theirs(one, targets=" door"))
    assert_same(ours(inputs=one), theirs(inputs=one))
    # Of a target of several tokens HF takes the first, which is the way out that our error names.
    with pytest.raises(lf_ref.InputError, match="targets='ĠK' scores the first of them"):
        ours(one, targets=" Konstantinopolis")
    assert_same(ours(one, targets="ĠK"), theirs(one, targets=" Konstantinopolis"))


@pytest.mark.parametrize("seed", SEEDS)
def test_feature_extraction(seed, both):
    theirs, ours = both("feature-extraction", "LongformerModel", seed)
    for inputs in (TEXTS[0], TEXTS[:1], TEXTS):
        assert_same(ours(inputs), theirs(inputs))
    expected = theirs(TEXTS[2], return_tensors=True)
    got = ours(TEXTS[2], return_tensors=True)
    assert got.shape == tuple(expected.shape)
    np.testing.assert_allclose(got, expected.numpy(), atol=SCORE)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "fields",
    [
        {"num_labels": 3},
        {"num_labels": 1},
        {"num_labels": 4, "problem_type": "multi_label_classification"},
        {"num_labels": 2, "problem_type": "regression"},
    ],
    ids=str,
)
def test_text_classification(fields, seed, both):
    theirs, ours = both("text-classification", "LongformerForSequenceClassification", seed, **fields)
    pair = {"text": TEXTS[0], "text_pair": TEXTS[1]}
    for inputs in (TEXTS[0], TEXTS[:1], TEXTS, pair, [pair], [pair, {"text": TEXTS[2]}]):
        for options in ({}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}):
            assert_same(ours(inputs, **options), theirs(inputs, **options))
    for function in ("sigmoid", "softmax", "none"):
        assert_same(
            ours(TEXTS, function_to_apply=function, top_k=None), theirs(TEXTS, function_to_apply=function, top_k=None)
        )


def test_text_classification_with_top_k_of_the_pipeline(both):
    theirs, ours = both("text-classification", "LongformerForSequenceClassification", 1, num_labels=3)
    theirs = theirs.built_with(top_k=2)
    ours = lf_ref.pipeline("sentiment-analysis", model=ours.model, tokenizer=ours.tokenizer, top_k=2)
    for inputs in (TEXTS[0], TEXTS):
        assert_same(ours(inputs), theirs(inputs))
    assert_same(ours(TEXTS[0], top_k=1), theirs(TEXTS[0], top_k=1))


def test_truncation(both):
    theirs, ours = both("text-classification", "LongformerForSequenceClassification", 2, num_labels=3)
    pairs = [{"text": DOCUMENT, "text_pair": QUESTION}, {"text": DOCUMENT, "text_pair": DOCUMENT}]
    for inputs in (DOCUMENT, *pairs):
        for length in (LIMIT, 31):
            options = {"truncation": True, "max_length": length, "top_k": None}
            assert_same(ours(inputs, **options), theirs(inputs, **options))


@pytest.mark.parametrize("labels", [["contradiction", "neutral", "entailment"], ["Entailed", "not"]], ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_zero_shot_classification(seed, labels, both):
    theirs, ours = both(
        "zero-shot-classification",
        "LongformerForSequenceClassification",
        seed,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    candidates = ["politics", "sport and games", "the river"]
    for inputs in (TEXTS[0], TEXTS[:1], TEXTS):
        for options in ({}, {"multi_label": True}, {"hypothesis_template": "It is about {}, surely."}):
            assert_same(ours(inputs, candidates, **options), theirs(inputs, candidates, **options))
    assert_same(ours(TEXTS[0], "a river, a house"), theirs(TEXTS[0], "a river, a house"))
    assert_same(ours(TEXTS[0], candidate_labels=["one"]), theirs(TEXTS[0], candidate_labels=["one"]))
    assert_same(ours(DOCUMENT, candidates, truncation=True), theirs(DOCUMENT, candidates))  # HF always cuts
    named = {
        "sequences": TEXTS[0],
        "candidate_labels": candidates,
        "hypothesis_template": "It is {}.",
        "multi_label": True,
    }
    assert_same(ours(**named), theirs(**named))


def test_inputs_by_the_names_of_hf(both):
    """Whatever HF's call of a task names, ours takes by that name."""
    for task, class_name, named in (
        ("feature-extraction", "LongformerModel", {"inputs": TEXTS}),
        ("text-classification", "LongformerForSequenceClassification", {"inputs": TEXTS}),
        ("token-classification", "LongformerForTokenClassification", {"inputs": TEXTS}),
        ("question-answering", "LongformerForQuestionAnswering", {"question": QUESTION, "context": DOCUMENT[:203]}),
    ):
        theirs, ours = both(task, class_name, 1)
        assert_same(ours(**named), theirs(**named))


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
@pytest.mark.parametrize("seed", SEEDS)
def test_token_classification(seed, strategy, both):
    theirs, ours = both(
        "token-classification",
        "LongformerForTokenClassification",
        seed,
        id2label=dict(enumerate(NER)),
        label2id={label: index for index, label in enumerate(NER)},
    )
    options = {"aggregation_strategy": strategy}
    for inputs in (TEXTS[0], TEXTS[:1], TEXTS):
        assert_same(ours(inputs, **options), theirs(inputs, **options))
    for ignored in ([], ["O", "PER", "B-PER"]):
        assert_same(
            ours(TEXTS[2], ignore_labels=ignored, **options), theirs(TEXTS[2], ignore_labels=ignored, **options)
        )
    if strategy != "none":
        for stride in (0, 5, 40):
            assert_same(ours(DOCUMENT, stride=stride, **options), theirs(DOCUMENT, stride=stride, **options))
    assert_same(ours(DOCUMENT, truncation=True, **options), theirs(DOCUMENT, **options))  # HF always cuts


@pytest.mark.parametrize("seed", SEEDS)
def test_token_classification_of_words(seed, both):
    theirs, ours = both("ner", "LongformerForTokenClassification", seed, num_labels=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        their_tokenizer = type(theirs.tokenizer).from_pretrained(DEMO, add_prefix_space=True)
    theirs = theirs.built_with(tokenizer=their_tokenizer)
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained("demo", add_prefix_space=True)
    ours = lf_ref.pipeline("ner", model=ours.model, tokenizer=tokenizer)
    words = [text.split() for text in TEXTS]
    for inputs in (words[0], words):
        for delimiter in (" ", " / "):
            options = {"is_split_into_words": True, "aggregation_strategy": "simple", "delimiter": delimiter}
            assert_same(ours(inputs, **options), theirs(inputs, **options))


@pytest.mark.parametrize("seed", SEEDS)
def test_question_answering(seed, both):
    theirs, ours = both("question-answering", "LongformerForQuestionAnswering", seed)
    short = DOCUMENT[:203]
    asked = {"question": QUESTION, "context": short}
    again = {"question": "Who was a doctor?", "context": short[30:]}
    assert_same(ours(**asked), theirs(**asked))
    for inputs in (asked, [asked], [asked, again]):
        assert_same(ours(inputs), theirs(inputs))
    assert_same(ours(QUESTION, short), theirs(QUESTION, short))
    questions = [QUESTION, again["question"]]
    for contexts in (short, [short, DOCUMENT[:150]]):
        assert_same(ours(question=questions, context=contexts), theirs(question=questions, context=contexts))
    assert_same(list(ours(item for item in [asked, again])), theirs(item for item in [asked, again]))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_k": 4},
        {"top_k": 3, "align_to_words": False},
        {"top_k": 5, "max_answer_len": 3},
        {"top_k": 2, "handle_impossible_answer": True},
        {"handle_impossible_answer": True, "max_answer_len": 1},
        {"top_k": 3, "max_seq_len": 40, "doc_stride": 11},
        {"top_k": 3, "max_seq_len": 33},
    ],
    ids=str,
)
def test_question_answering_over_windows(options, seed, both):
    theirs, ours = both("question-answering", "LongformerForQuestionAnswering", seed)
    assert len(ours.tokenizer(DOCUMENT)["input_ids"]) > LIMIT
    # Windows begin and end between words here, where HF and we align alike.
    assert_same(
        ours(question=QUESTION, context=DOCUMENT, **options), theirs(question=QUESTION, context=DOCUMENT, **options)
    )
