"""Answers and their offsets in the document, in one window and in many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pipelines.building import LIMIT, TEXTS, assert_alike, demo_tokenizer, model_for, pipe_for

from lf_ref import InputError
from lf_ref.pipelines.rows import Prepared

QUESTION = "Where did he go?"
SHORT = "He came,  he saw - and he went\nhome to Königsberg 🙂 with Mr. Smith."
LONG = " ".join(f"On day {number} {text}" for number, text in enumerate(TEXTS * 5))


def pipe(**options):
    return pipe_for("question-answering", **options)


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def test_scores_by_hand():
    """Without alignment: products of start and end probabilities over the document's tokens and <s>."""
    encoded = demo_tokenizer()(QUESTION, SHORT, return_offsets_mapping=True)
    output = model_for("question-answering")(np.array([encoded["input_ids"]]))
    places = [place for place, text in enumerate(encoded.sequence_ids()) if text == 1]
    kept = [0, *places]
    start = dict(zip(kept, softmax(output.start_logits[0, kept]), strict=True))
    end = dict(zip(kept, softmax(output.end_logits[0, kept]), strict=True))
    best = sorted(((start[i] * end[j], i, j) for i in places for j in places if 0 <= j - i < 4), reverse=True)[:5]
    expected = []
    for score, first, last in best:
        begin, stop = encoded["offset_mapping"][first][0], encoded["offset_mapping"][last][1]
        expected.append({"score": float(score), "start": begin, "end": stop, "answer": SHORT[begin:stop]})
    options = {"top_k": 5, "max_answer_len": 4, "align_to_words": False}
    got = pipe()(QUESTION, SHORT, **options)
    assert_alike(got, expected, 1e-10)
    impossible = pipe()(QUESTION, SHORT, top_k=10**4, handle_impossible_answer=True, align_to_words=False)
    [none] = [answer for answer in impossible if (answer["start"], answer["end"]) == (0, 0)]
    assert none["answer"] == ""
    assert none["score"] == pytest.approx(start[0] * end[0], abs=1e-10)


@pytest.mark.parametrize("context", [SHORT, LONG])
@pytest.mark.parametrize("align", [True, False])
def test_offsets_of_answers_match_the_document(align, context):
    answers = pipe(top_k=9, align_to_words=align)(QUESTION, context)
    assert 5 < len(answers) <= 9  # fewer where spans begin or end with pieces of one character
    for answer in answers:
        assert list(answer) == ["score", "start", "end", "answer"]
        assert context[answer["start"] : answer["end"]] == answer["answer"]
    scores = [answer["score"] for answer in answers]
    assert scores == sorted(scores, reverse=True)


def test_answers_of_whole_words():
    encoded = demo_tokenizer()(SHORT, add_special_tokens=False, return_offsets_mapping=True)
    starts, ends = {}, {}
    for word, (start, end) in zip(encoded.word_ids(), encoded["offset_mapping"], strict=True):
        starts.setdefault(word, start)
        ends[word] = end
    answers = pipe(top_k=50)(QUESTION, SHORT)
    assert all(answer["start"] in starts.values() and answer["end"] in ends.values() for answer in answers)
    letters = [answer["answer"].lower() for answer in answers]
    assert len(set(letters)) == len(letters)


def test_windows_are_as_long_as_the_model_takes_and_overlap():
    built = pipe()
    item = built._item("it", {"question": QUESTION, "context": LONG}, built._choose({}))
    rows = built._rows("it", item, built._choose({}))
    asked = demo_tokenizer()(QUESTION)["input_ids"]
    assert len(rows) > 2
    assert {len(row) for row in rows[:-1]} == {LIMIT}
    assert all(row.ids[: len(asked)].tolist() == asked for row in rows)
    assert all(row.global_at == (0, len(asked) - 1) for row in rows)
    room = LIMIT - len(asked) - 2
    assert [part.start for part in item.parts] == [number * (room - LIMIT // 2) for number in range(len(rows))]


def test_a_window_alone_answers_as_its_text_would():
    """Each window is run as a document of its own: its logits are those of the same ids in the model."""
    built = pipe(max_seq_len=41, doc_stride=7, batch_tokens=100)
    options = built._choose({})
    prepared = built._prepare("it", {"question": QUESTION, "context": LONG}, options)
    rows = list(prepared.rows)
    findings = []
    finish = built._finish
    built._finish = lambda prepared, options: findings.extend(prepared.findings) or finish(prepared, options)
    built._answer_all([prepared], options)
    for row, (start, end) in zip(rows, findings, strict=True):
        output = model_for("question-answering")(row.ids[None])
        np.testing.assert_allclose(start, output.start_logits[0], atol=1e-9)
        np.testing.assert_allclose(end, output.end_logits[0], atol=1e-9)


def test_equal_answers_of_two_windows_are_added_up():
    built = pipe(top_k=1, align_to_words=False, max_answer_len=1)
    item = built._item("it", {"question": QUESTION, "context": "one two"}, built._choose({"max_seq_len": 11}))
    tokens = len(item.ids)
    scores = np.full(item.before + tokens + 1, -50.0)
    scores[item.before] = 0.0
    whole = slice(0, tokens)
    twice = Prepared("it", replace(item, parts=[whole, whole]), [], [(scores, scores)] * 2)
    assert built._finish(twice, built._choose({}))["score"] == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("arguments", "named", "count"),
    [
        ((QUESTION, SHORT), {}, None),
        (({"question": QUESTION, "context": SHORT},), {}, None),
        (([{"question": QUESTION, "context": SHORT}],), {}, None),
        ((), {"question": QUESTION, "context": SHORT}, None),
        ((), {"question": [QUESTION], "context": SHORT}, None),
        ((), {"question": [QUESTION, QUESTION], "context": SHORT}, 2),
        ((), {"question": [QUESTION, "Who?"], "context": [SHORT, SHORT]}, 2),
        (([{"question": QUESTION, "context": SHORT}] * 3,), {}, 3),
    ],
)
def test_ways_to_ask(arguments, named, count):
    answers = pipe()(*arguments, **named)
    first = answers if count is None else answers[0]
    assert_alike(first, pipe()(QUESTION, SHORT), 1e-10)
    assert count is None or len(answers) == count


def test_one_answer_is_a_dict_and_several_are_a_list():
    assert isinstance(pipe()(QUESTION, SHORT), dict)
    assert isinstance(pipe(top_k=2)(QUESTION, SHORT), list)
    assert isinstance(pipe(top_k=2)(QUESTION, "Yes"), dict)


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        ((), {}, "give either question= and context="),
        ((QUESTION,), {}, "must be a dict with question and context, got str"),
        ((QUESTION, SHORT), {"question": QUESTION}, "as two texts, or question= and context="),
        (({},), {}, "must have the keys question and context, got none"),
        (({"question": QUESTION},), {}, "must have the keys question and context, got question"),
        (({"question": QUESTION, "context": SHORT, "id": 3},), {}, "got question, context, id"),
        (({"question": QUESTION, "context": 3},), {}, "the context of the text must be a text"),
        (({"question": "", "context": SHORT},), {}, "the question of the text is empty"),
        (([{"question": QUESTION, "context": ""}] * 2,), {}, "the context of item 0 is empty"),
        ((), {"question": QUESTION}, "context is missing"),
        ((), {"context": SHORT}, "question is missing"),
        ((), {"question": QUESTION, "context": [SHORT]}, "one question with a list of contexts"),
        ((), {"question": 5, "context": SHORT}, "question must be a list of texts, got int"),
        ((), {"question": [QUESTION], "context": 5}, "context must be a list of texts, got int"),
        ((), {"question": [QUESTION], "context": [SHORT, SHORT]}, "1 questions and 2 contexts"),
        ((QUESTION, LONG), {"max_seq_len": LIMIT + 1}, f"this model takes at most {LIMIT}"),
        (
            (QUESTION, LONG),
            {"max_seq_len": 20, "doc_stride": 15},
            "doc_stride=15 is too much: a window of 20 tokens has room",
        ),
        ((LONG, SHORT), {}, "no room for the document: shorten it, or let max_question_len= cut it"),
    ],
)
def test_what_is_refused(arguments, named, message):
    with pytest.raises(InputError, match=message):
        pipe()(*arguments, **named)


def test_a_long_question_is_truncated_on_request():
    assert pipe(max_question_len=9)(LONG, SHORT)["answer"] in SHORT
    tokens = demo_tokenizer()(QUESTION, add_special_tokens=False)["input_ids"]
    kept = demo_tokenizer().decode(tokens[:3])
    assert_alike(pipe(max_question_len=3)(QUESTION, SHORT), pipe()(kept, SHORT), 1e-10)


def test_truncation_reads_the_first_window_only():
    encoded = demo_tokenizer()(LONG, add_special_tokens=False, return_offsets_mapping=True)
    asked = len(demo_tokenizer()(QUESTION, add_special_tokens=False)["input_ids"])
    end = encoded["offset_mapping"][LIMIT - 4 - asked - 1][1]
    answers = pipe(top_k=9, align_to_words=False)
    assert_alike(answers(QUESTION, LONG, truncation=True), answers(QUESTION, LONG[:end]), 1e-10)
