"""What HF's pipelines refuse, and what they take in older words and types, as ours do."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import lf_ref
from parity.peers import peer_modules
from parity.pipeline_peers import (
    DEMO,
    DOCUMENT,
    INFERENCE,
    NER,
    QUESTION,
    TEXTS,
    Peer,
    assert_same,
)

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]


def test_inputs_that_hf_refuses_too(both):
    theirs, ours = both("zero-shot-classification", "LongformerForSequenceClassification", 1, **INFERENCE)
    for inputs, candidates in (("", ["a"]), (["a", ""], ["a"]), ("a", []), ("a", None), ("a", ""), ("a", " , ")):
        with pytest.raises((ValueError, TypeError)):
            theirs(inputs, candidate_labels=candidates)
        with pytest.raises(lf_ref.InputError, match=r"empty|label"):
            ours(inputs, candidate_labels=candidates)
    for inputs, candidates in ((" ", ["a", "b"]), ([], ["a"]), ("a", ("b", "c")), ("a", "b,c")):
        assert_same(ours(inputs, candidate_labels=candidates), theirs(inputs, candidate_labels=candidates))
    theirs, ours = both("fill-mask", "LongformerForMaskedLM", 1)
    _, transformers = peer_modules()
    with pytest.raises(transformers.pipelines.PipelineException) as error:
        theirs("No mask.")
    with pytest.raises(lf_ref.pipelines.PipelineException) as ours_too:
        ours("No mask.")
    assert ours_too.value.task == error.value.task


def test_options_of_hf_in_its_older_words_and_types(both):
    from transformers.pipelines.text_classification import ClassificationFunction
    from transformers.pipelines.token_classification import AggregationStrategy

    theirs, ours = both("text-classification", "LongformerForSequenceClassification", 1, num_labels=3)
    for inputs in (TEXTS[0], TEXTS):
        for options in (
            {"return_all_scores": True}, {"return_all_scores": False}, {"return_all_scores": True, "top_k": 2},
            {"function_to_apply": "SoftMax"}, {"function_to_apply": "NONE", "top_k": None}, {"padding": True},
            {"batch_size": 2, "num_workers": 0},
        ):  # fmt: skip
            assert_same(ours(inputs, **options), theirs(inputs, **options))
        function = ClassificationFunction.SIGMOID
        assert_same(ours(inputs, function_to_apply=function), theirs(inputs, function_to_apply=function))
    built = theirs.built_with(return_all_scores=True)
    ours_built = lf_ref.pipeline("text-classification", ours.model, tokenizer=ours.tokenizer, return_all_scores=True)
    for options in ({}, {"top_k": 1}):
        assert_same(ours_built(TEXTS[0], **options), built(TEXTS[0], **options))

    named = {"id2label": dict(enumerate(NER)), "label2id": {label: index for index, label in enumerate(NER)}}
    theirs, ours = both("ner", "LongformerForTokenClassification", 1, **named)
    for options in (
        {"grouped_entities": True}, {"grouped_entities": True, "ignore_subwords": True}, {"grouped_entities": False},
        {"ignore_subwords": True}, {"aggregation_strategy": "SIMPLE"}, {"aggregation_strategy": "Max"},
        {"ignore_labels": {"O", "PER"}}, {"ignore_labels": None}, {"aggregation_strategy": AggregationStrategy.FIRST},
    ):  # fmt: skip
        assert_same(ours(TEXTS[2], **options), theirs(TEXTS[2], **options))

    theirs, ours = both("question-answering", "LongformerForQuestionAnswering", 1)
    asked = {"question": QUESTION, "context": DOCUMENT[:203]}
    for options in ({"topk": 3}, {"top_k": None}, {"top_k": np.int64(2)}, {"padding": "max_length"}):
        assert_same(ours(**asked, **options), theirs(**asked, **options))
    assert_same(ours(data=asked), theirs(data=asked))
    assert_same(ours(X=[asked]), theirs(X=[asked]))

    theirs, ours = both("fill-mask", "LongformerForMaskedLM", 1)
    one = "The <mask> of the king."
    assert_same(ours(one, top_k=None), theirs(one, top_k=None))
    assert_same(ours(one, top_k=np.int64(3)), theirs(one, top_k=3))
    assert_same(ours(one, targets={" door", " book"}), theirs(one, targets={" door", " book"}))
    assert_same(ours.predict(one), theirs.pipeline.predict(one))


def test_candidates_of_a_vocabulary_with_holes(both, tmp_path):
    torch, transformers = peer_modules()
    moved = {
        token: number if number < 300 else number + 200
        for token, number in json.loads((DEMO / "vocab.json").read_text(encoding="utf-8")).items()
    }
    (tmp_path / "vocab.json").write_text(json.dumps(moved), encoding="utf-8")
    (tmp_path / "merges.txt").write_bytes((DEMO / "merges.txt").read_bytes())
    _, ours = both("fill-mask", "LongformerForMaskedLM", 1)
    fields = json.loads(ours.model.config.to_json_string()) | {"vocab_size": 8392}
    torch.manual_seed(7)
    model = transformers.LongformerForMaskedLM(transformers.LongformerConfig(**fields)).eval()
    model.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = transformers.LongformerTokenizerFast(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    theirs = Peer(transformers, "fill-mask", model, tokenizer)
    ours = lf_ref.pipeline("fill-mask", tmp_path)
    text, known = "The <mask> of the king.", set(moved.values())
    expected = [answer for answer in theirs(text, top_k=8392) if answer["token"] in known]
    got = ours(text, top_k=8392)
    assert {answer["token"] for answer in got} == {answer["token"] for answer in expected} == known
    assert_same(got[:20], expected[:20])
    assert_same(ours(text), expected[:5])
