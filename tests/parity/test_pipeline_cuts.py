"""Our pipelines cut texts, pairs and documents where HF's do."""

from __future__ import annotations

import warnings

import pytest

import lf_ref
from parity.pipeline_peers import (
    DEMO,
    DOCUMENT,
    INFERENCE,
    LIMIT,
    QUESTION,
    assert_same,
)

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]


PAIR = {"text": DOCUMENT, "text_pair": DOCUMENT[30:390]}


def cut_by(both, task, class_name, **settings):
    """HF's pipeline and ours with a tokenizer of these settings."""
    fields = {"token-classification": {"num_labels": 4}, "zero-shot-classification": INFERENCE}.get(task, {})
    theirs, ours = both(task, class_name, 3, **fields)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = type(theirs.tokenizer).from_pretrained(DEMO, **settings)
    ours_too = lf_ref.LongformerTokenizer.from_pretrained(DEMO, **settings)
    return theirs.built_with(tokenizer=tokenizer), lf_ref.pipeline(task, model=ours.model, tokenizer=ours_too)


SIDES = pytest.mark.parametrize("side", ["right", "left"])
LENGTHS = pytest.mark.parametrize("length", [17, 40, LIMIT])


@SIDES
@LENGTHS
def test_texts_and_pairs_are_cut_where_the_tokenizer_says(side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "text-classification", "LongformerForSequenceClassification", **settings)
    for inputs in (DOCUMENT, PAIR):
        for options in ({"truncation": True}, {"max_length": 23}, {"truncation": True, "max_length": 50}):
            assert_same(ours(inputs, top_k=None, **options), theirs(inputs, top_k=None, **options))
    for strategy in ("longest_first", "only_first", "only_second"):
        options = {"truncation": strategy, "max_length": 50, "top_k": None}
        halves = {"text": DOCUMENT[:150], "text_pair": DOCUMENT[150:290]}
        assert_same(ours(halves, **options), theirs(halves, **options))
    short = DOCUMENT[:203]  # longer than two of the lengths, and not than the model
    for options in ({}, {"truncation": False}, {"truncation": False, "max_length": LIMIT}, {"max_length": 5000}):
        assert_same(ours(short, top_k=None, **options), theirs(short, top_k=None, **options))


@SIDES
@LENGTHS
def test_features_and_masks_are_cut_where_the_tokenizer_says(side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "feature-extraction", "LongformerModel", **settings)
    for options in ({"truncation": True}, {"tokenize_kwargs": {"max_length": 11, "truncation": True}}):
        assert_same(ours(DOCUMENT, **options), theirs(DOCUMENT, **options))
    theirs, ours = cut_by(both, "fill-mask", "LongformerForMaskedLM", **settings)
    masked = f"A <mask> {DOCUMENT} for the <mask>"
    for kwargs in ({"truncation": True}, {"max_length": 12}, {"truncation": True, "max_length": 9, "padding": True}):
        assert_same(ours(masked, tokenizer_kwargs=kwargs), theirs(masked, tokenizer_kwargs=kwargs))


@SIDES
@LENGTHS
@pytest.mark.parametrize("strategy", ["none", "simple", "first"])
def test_tokens_are_cut_and_put_in_windows_where_the_tokenizer_says(strategy, side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "token-classification", "LongformerForTokenClassification", **settings)
    options = {"aggregation_strategy": strategy, "ignore_labels": []}
    assert_same(ours(DOCUMENT, truncation=True, **options), theirs(DOCUMENT, **options))
    if strategy != "none":
        for stride in (0, 5, 14):
            assert_same(ours(DOCUMENT, stride=stride, **options), theirs(DOCUMENT, stride=stride, **options))


@SIDES
@LENGTHS
def test_windows_of_a_document_are_where_the_tokenizer_says(side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "question-answering", "LongformerForQuestionAnswering", **settings)
    for options in ({"doc_stride": 3}, {"doc_stride": 3, "max_seq_len": 30}, {"doc_stride": 0, "max_seq_len": LIMIT}):
        asked = {"question": QUESTION, "context": DOCUMENT, "top_k": 4, "align_to_words": False, **options}
        assert_same(ours(**asked), theirs(**asked))


@SIDES
@LENGTHS
def test_zero_shot_cuts_the_text_alone(side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "zero-shot-classification", "LongformerForSequenceClassification", **settings)
    candidates = ["politics", "sport and games"]
    assert_same(ours(DOCUMENT, candidates, truncation=True), theirs(DOCUMENT, candidates))
