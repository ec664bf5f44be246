"""Where texts are cut: by the tokenizer's side and length, in every task, compared with an oracle."""

from __future__ import annotations

import numpy as np
import pytest
from pipelines.building import CLASSES, LIMIT, assert_alike, demo_tokenizer, model_for

import lf_ref
from lf_ref import InputError

LONG = "The old gardener of Königsberg walked slowly along the river, and the <mask> was cold. " * 5
MODEL = {task: model_for(task) for task in CLASSES}
OPTIONS = {
    "zero-shot-classification": {"candidate_labels": ["sport", "news"]},
    "token-classification": {"ignore_labels": []},
    "question-answering": {"top_k": 3},
}


def pipe_with(task, **settings):
    """A pipeline whose tokenizer has these settings."""
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(**settings)
    return lf_ref.pipeline(task, model=MODEL[task], tokenizer=tokenizer, **OPTIONS.get(task, {}))


def seen_by(task, pipe, *args, **options):
    """The rows that the model is given, without padding."""
    rows = []
    model = pipe.model

    class Seen:
        config, dtype = model.config, model.dtype

        def __call__(self, input_ids, attention_mask, **others):
            flat = (-1, input_ids.shape[-1])
            pairs = zip(input_ids.reshape(flat), attention_mask.reshape(flat), strict=True)
            rows.extend(ids[mask == 1].tolist() for ids, mask in pairs)
            return model(input_ids, attention_mask, **others)

    pipe.model = Seen()
    pipe(*args, **options)
    return rows


def inputs_of(task):
    if task == "question-answering":
        return {"question": "Who walked?", "context": LONG}
    return {"question": LONG, "choices": ["by the river"]} if task == "multiple-choice" else LONG


def ends_of(task):
    """The token ids that a row has before and after those of the text that is cut, special ones included."""
    cls, sep = 0, 2
    encode = demo_tokenizer().encode
    if task == "question-answering":
        return [cls, *encode("Who walked?", add_special_tokens=False), sep, sep], [sep]
    if task == "multiple-choice":
        return [cls], [sep, sep, *encode("by the river", add_special_tokens=False), sep]
    if task == "zero-shot-classification":
        return [cls], [sep, sep, *encode("This example is sport.", add_special_tokens=False), sep]
    return [cls], [sep]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize(
    ("settings", "options", "length"),
    [
        ({}, {"truncation": True}, LIMIT),
        ({"model_max_length": 41}, {"truncation": True}, 41),
        ({"model_max_length": 41}, {"truncation": np.True_}, 41),
        ({"model_max_length": 5000}, {"truncation": True}, LIMIT),
        ({"model_max_length": 41}, {"truncation": True, "max_length": 53}, 53),
        ({"model_max_length": 41}, {"truncation": True, "max_length": np.int64(31)}, 31),
        ({"model_max_length": 41}, {"truncation": True, "tokenizer_kwargs": {"max_length": 31}}, 31),
    ],
)
@pytest.mark.parametrize("task", CLASSES)
def test_a_text_is_cut_by_the_tokenizers_side_and_length(task, settings, options, length, side):
    [row, *_] = seen_by(task, pipe_with(task, truncation_side=side, **settings), inputs_of(task), **options)
    before, after = ends_of(task)
    text = demo_tokenizer().encode(LONG, add_special_tokens=False)
    room = length - len(before) - len(after)
    assert row == [*before, *(text[:room] if side == "right" else text[-room:]), *after]


@pytest.mark.parametrize("task", [task for task in CLASSES if task != "question-answering"])
def test_max_length_alone_cuts_and_with_padding_does_not(task):
    pipe = pipe_with(task)
    [row, *_] = seen_by(task, pipe_with(task), inputs_of(task), max_length=29)
    assert len(row) == 29
    with pytest.raises(InputError, match="max_length= allows at most 29"):
        pipe(inputs_of(task), max_length=29, padding=True)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("length", [19, 40])
def test_windows_begin_at_the_side_that_stays(length, side):
    text = demo_tokenizer().encode(LONG, add_special_tokens=False)
    settings = {"model_max_length": length, "truncation_side": side}
    pipe = pipe_with("token-classification", **settings)
    rows = seen_by("token-classification", pipe, LONG, stride=7, aggregation_strategy="simple")
    room = length - 2
    starts = range(0, len(text) - 7, room - 7)
    expected = {tuple(text[start : start + room]) for start in starts}
    if side == "left":
        stops = range(len(text), 7, -(room - 7))
        expected = {tuple(text[max(0, stop - room) : stop]) for stop in stops}
    assert {tuple(row[1:-1]) for row in rows} == expected
    pipe = pipe_with("question-answering", **settings)
    rows = seen_by("question-answering", pipe, inputs_of("question-answering"), doc_stride=3)
    before, _ = ends_of("question-answering")
    room = length - len(before) - 1
    whole = text[:room] if side == "right" else text[-room:]
    assert [*before, *whole, 2] in rows
    assert {len(row) for row in rows} <= set(range(length + 1))


def test_a_question_is_cut_at_the_same_side():
    asked = {"question": "Who walked along the river?", "context": "The gardener."}
    ids = demo_tokenizer().encode(asked["question"], add_special_tokens=False)
    for side, kept in (("right", ids[:3]), ("left", ids[-3:])):
        pipe = pipe_with("question-answering", truncation_side=side)
        [row] = seen_by("question-answering", pipe, asked, max_question_len=3)
        assert row[1:4] == kept


@pytest.mark.parametrize("task", CLASSES)
def test_a_text_longer_than_the_limit_of_the_tokenizer_but_not_of_the_model(task):
    """HF runs it whole, but for the two tasks where it cuts in silence: there the caller says which."""
    short = {"question": LONG[:90], "choices": ["by"]} if task == "multiple-choice" else LONG[:90] + " <mask>"
    if task == "question-answering":
        short = {"question": "Who?", "context": LONG[:90]}
    pipe, whole = pipe_with(task, model_max_length=16), pipe_with(task)
    if task == "question-answering":
        assert len(seen_by(task, pipe, short)) > 1
    elif task in ("token-classification", "zero-shot-classification"):
        with pytest.raises(
            InputError, match=r"HF cuts it in silence to .*model_max_length, 16: .*truncation=False run"
        ):
            pipe(short)
        assert_alike(pipe(short, truncation=False), whole(short), 0.0)
    else:
        assert_alike(pipe(short), whole(short), 0.0)


@pytest.mark.parametrize(
    ("task", "strategy", "allowed"),
    [
        ("zero-shot-classification", "longest_first", "only_first"),
        ("multiple-choice", "only_second", "only_first"),
        ("question-answering", "longest_first", "only_second"),
        ("token-classification", "only_second", "longest_first, only_first"),
        ("fill-mask", "longest", "'longest_first', 'only_first', 'only_second', False"),
        ("text-classification", 1, "True, 'longest_first'"),
    ],
)
def test_strategies_that_a_task_does_not_have(task, strategy, allowed):
    with pytest.raises(InputError, match=f"truncation must be .*{allowed}.*, got {strategy!r}"):
        pipe_with(task)(inputs_of(task), truncation=strategy)
    assert OPTIONS.get(task) or pipe_with(task)(inputs_of(task), truncation="only_first", top_k=1)


def test_too_short_to_cut():
    with pytest.raises(InputError, match="cannot be cut to 1: that would leave nothing"):
        pipe_with("feature-extraction")(LONG, truncation=True, max_length=1)
    assert len(pipe_with("feature-extraction")(LONG, truncation=True, max_length=2)[0]) == 2
