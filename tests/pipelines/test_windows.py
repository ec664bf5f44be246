"""Documents longer than the model, read in windows: compared with a definition token by token."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.building import LIMIT, assert_alike, demo_tokenizer, model_for, pipe_for

import lf_ref
from lf_ref import InputError, SentenceEncoder
from lf_ref.embeddings.modules import Normalize, SentenceModules
from lf_ref.pipelines.lengths import Lengths
from lf_ref.pipelines.options import StrideOptions
from lf_ref.pipelines.windows import counted_positions, new_tokens
from oracles.windows import document_logits, document_states, owner, windows_of

MANY = settings(max_examples=100, deadline=None, derandomize=True, database=None)
FEW = settings(max_examples=12, deadline=None, derandomize=True, database=None)
CLS, SEP = 0, 2
WORDS = [f" {token[1:]}" for token in demo_tokenizer().get_vocab() if re.fullmatch("Ġ[a-z]{4,}", token)]
POOLINGS = {
    "none": lambda states: states[None],
    "cls": lambda states: states[0],
    "mean": lambda states: states.mean(axis=0),
    "max": lambda states: states.max(axis=0),
    "weightedmean": lambda states: np.average(states, axis=0, weights=range(1, len(states) + 1)),
    "lasttoken": lambda states: states[-1],
}
LABELS = ["sport", "the news of the day in the city by the river"]
TASKS = {
    "feature-extraction": [{"pooling": "none"}, {"pooling": "cls"}, {"pooling": "mean"}, {"pooling": "max"}],
    "text-classification": [{"top_k": None}, {"top_k": None, "aggregation": "max"}],
    "zero-shot-classification": [
        {"candidate_labels": LABELS, "multi_label": several, "aggregation": aggregation}
        for several in (False, True)
        for aggregation in ("mean", "max")
    ],
}
CASES = [(task, options) for task, variants in TASKS.items() for options in variants]


def ids_of(text):
    return demo_tokenizer().encode(text, add_special_tokens=False)


def text_of(tokens):
    """A text of so many tokens, all different."""
    text = "".join(WORDS[:tokens])
    assert len(ids_of(text)) == tokens
    return text


def run_model(task, row):
    """The output of the model for one row, without a pipeline."""
    marks = np.zeros((1, len(row)), np.int64)
    marks[0, 0] = task != "feature-extraction"
    output = model_for(task)(np.array([row]), global_attention_mask=marks)
    return np.asarray(output.last_hidden_state if task == "feature-extraction" else output.logits)[0]


@st.composite
def cuts(draw):
    """Tokens of a text, room in a window, and a stride."""
    room = draw(st.integers(1, 23))
    return draw(st.integers(0, 97)), room, draw(st.integers(0, room - 1))


@MANY
@given(cuts(), st.sampled_from(["right", "left"]))
def test_windows_are_those_of_the_definition_and_hold_every_token_once(cut, side):
    tokens, room, stride = cut
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(truncation_side=side)
    lengths = Lengths(StrideOptions(max_length=room + 2), tokenizer, 1000)
    found = [part for (part,) in lengths.windows("the text", [tokens], stride)]
    windows = found if side == "right" else found[::-1]
    expected = windows_of(tokens, room, stride, side)
    assert [range(window.start, window.stop) for window in windows] == expected
    assert sum(new_tokens(windows)) == tokens
    assert min(new_tokens(windows)) > 0 or tokens == 0
    taken = []
    for index, (window, positions) in enumerate(zip(windows, counted_positions(windows), strict=True)):
        row = ["<s>", *range(window.start, window.stop), "</s>"]
        inner = [token for token in row[positions] if isinstance(token, int)]
        assert all(owner(token, expected) == index for token in inner)
        taken += row[positions]
    assert taken == ["<s>", *range(tokens), "</s>"]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("pooling", list(POOLINGS))
@FEW
@given(st.integers(0, 131), st.sampled_from([(71, 0), (71, 13), (19, 0), (19, 16), (31, 7), (3, 0)]))
def test_features_are_those_of_the_definition(pooling, side, tokens, cut):
    size, stride = cut
    text = text_of(tokens)
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(truncation_side=side)
    pipe = lf_ref.pipeline("feature-extraction", model=model_for("feature-extraction"), tokenizer=tokenizer)
    got = pipe(text, max_length=size, stride=stride, pooling=pooling, return_tensors=True)
    windows = windows_of(tokens, size - 2, stride, side)
    states = document_states(ids_of(text), windows, CLS, SEP, lambda row: run_model("feature-extraction", row))
    expected = POOLINGS[pooling](states)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("aggregation", ["mean", "max"])
@FEW
@given(st.integers(0, 131), st.integers(0, 29), st.booleans(), st.sampled_from([(71, 0), (71, 13), (41, 7)]))
def test_labels_are_those_of_the_definition(aggregation, tokens, others, first, cut):
    size, stride = cut
    tokens, others = max(tokens, others), min(tokens, others)
    text, other = text_of(tokens), text_of(others)
    one, two = ids_of(text), ids_of(other)
    first = first or tokens == others  # of two equally long texts the first is split
    if others and size - 4 - others <= stride:
        return
    windows = windows_of(tokens, size - 4 - others if others else size - 2, stride)
    rows = []
    for window in windows:
        part = one[window.start : window.stop]
        a, b = (part, two) if first else (two, part)
        rows.append(run_model("text-classification", [CLS, *a, SEP, SEP, *b, SEP] if others else [CLS, *part, SEP]))
    logits = document_logits(rows, windows, aggregation) if tokens else rows[0].tolist()
    pipe = pipe_for("text-classification", top_k=None, function_to_apply="none", max_length=size)
    inputs = {"text": text, "text_pair": other} if first or not others else {"text": other, "text_pair": text}
    got = {answer["label"]: answer["score"] for answer in pipe(inputs, stride=stride, aggregation=aggregation)}
    np.testing.assert_allclose([got[label] for label in ("bad", "so so", "good")], logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("aggregation", ["mean", "max"])
@FEW
@given(st.integers(1, 131), st.sampled_from([(71, 0), (71, 13), (41, 7)]))
def test_zero_shot_keeps_the_hypothesis_whole_in_each_window(aggregation, several, tokens, cut):
    size, stride = cut
    text = text_of(tokens)
    support = []
    for label in LABELS:
        hypothesis = ids_of(f"This example is {label}.")
        windows = windows_of(tokens, size - 4 - len(hypothesis), stride)
        rows = []
        for window in windows:
            row = [CLS, *ids_of(text)[window.start : window.stop], SEP, SEP, *hypothesis, SEP]
            contradiction, _, entailment = run_model("zero-shot-classification", row)
            rows.append([entailment - contradiction if several else entailment])
        support += document_logits(rows, windows, aggregation)
    weights = [math.exp(one) for one in support]
    scores = [one / (1 + one) if several else one / sum(weights) for one in weights]
    pipe = pipe_for("zero-shot-classification", candidate_labels=LABELS, multi_label=several, max_length=size)
    result = pipe(text, stride=stride, aggregation=aggregation)
    got = dict(zip(result["labels"], result["scores"], strict=True))
    np.testing.assert_allclose([got[label] for label in LABELS], scores, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("task", "options"), CASES)
def test_a_text_that_just_fits_gives_the_same_to_the_bit(task, options):
    pipe = pipe_for(task, **options)
    beside = 4 + len(ids_of(f"This example is {LABELS[1]}.")) if "zero" in task else 2
    for tokens in (1, LIMIT - beside - 1, LIMIT - beside):
        text = text_of(tokens)
        assert pipe(text, stride=3) == pipe(text)
    with pytest.raises(InputError, match=r"the text has .* tokens, and this model"):
        pipe(text_of(LIMIT - beside + 1))


@pytest.mark.parametrize(("task", "options"), CASES)
def test_results_do_not_depend_on_the_batch(task, options):
    texts = [text_of(tokens) for tokens in (211, 3, 97, 1, 300, 53)]
    alone = [pipe_for(task, stride=5, batch_tokens=1, **options)(text) for text in texts]
    if task == "text-classification":
        alone = [one[0] if isinstance(one[0], list) else one for one in alone]
    for budget in (1, 150, 4096):
        pipe = pipe_for(task, stride=5, batch_tokens=budget, **options)
        assert_alike(pipe(texts), alone, 1e-12)
        assert_alike(list(pipe(iter(texts))), alone, 1e-12)


def test_kernels_give_the_same_bits_whatever_the_batch():
    texts = [text_of(tokens) for tokens in (211, 3, 97, 1, 300, 53)]
    options = {"stride": 11, "max_length": 67, "pooling": "mean", "return_tensors": True}
    alone = [lf_ref.pipeline("feature-extraction", **options)(text) for text in texts]
    for budget in (150, 4096):
        together = lf_ref.pipeline("feature-extraction", batch_tokens=budget, **options)(texts)
        np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(("task", "options"), CASES)
@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "let truncation=True cut its end off, or let stride= read it in windows"),
        ({"stride": -1}, "stride must be an integer of at least 0, got -1"),
        ({"stride": 2.5}, "stride must be an integer of at least 0, got 2.5"),
        ({"stride": True}, "stride must be an integer of at least 0, got True"),
        ({"stride": 3, "truncation": True}, "give either stride=, .* or truncation=True"),
        ({"stride": LIMIT}, f"stride={LIMIT} is too much: .* so the stride must lie in 0 ... "),
        ({"stride": 0, "max_length": 2}, "a window of 2 tokens leaves no room for the text beside the"),
        ({"stride": 0, "max_length": LIMIT + 1}, f"max_length={LIMIT + 1} is too much: this model takes at most"),
    ],
)
def test_what_is_refused(task, options, given, message):
    with pytest.raises(InputError, match=message):
        pipe_for(task, **options)(text_of(150), **given)


@pytest.mark.parametrize("task", list(TASKS))
def test_a_stride_as_long_as_the_window_is_refused_also_for_a_short_text(task):
    options = TASKS[task][0]
    beside = 4 + len(ids_of(f"This example is {LABELS[1]}.")) if "zero" in task else 2
    pipe = pipe_for(task, **options)
    assert pipe("A text.", stride=LIMIT - beside - 1) == pipe("A text.")
    with pytest.raises(InputError, match=f"must lie in 0 ... {LIMIT - beside - 1}"):
        pipe("A text.", stride=LIMIT - beside)


@pytest.mark.parametrize("task", ["text-classification", "zero-shot-classification"])
def test_an_aggregation_that_there_is_not(task):
    with pytest.raises(InputError, match="aggregation must be one of mean, max, got 'first'"):
        pipe_for(task, **TASKS[task][0])(text_of(150), stride=3, aggregation="first")


def test_a_pair_of_which_neither_text_leaves_room_for_the_other():
    with pytest.raises(
        InputError, match=r"room for the text beside the 74 that each window repeats, .*: shorten the other"
    ):
        pipe_for("text-classification", stride=3)({"text": text_of(70), "text_pair": text_of(70)})


def test_zero_shot_no_longer_asks_what_to_do_with_a_limit_of_the_tokenizer():
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(model_max_length=41)
    model = model_for("zero-shot-classification")
    pipe = lf_ref.pipeline("zero-shot-classification", model=model, tokenizer=tokenizer, candidate_labels=LABELS)
    text = text_of(30)
    with pytest.raises(InputError, match="truncation=False run all of it, or let stride= read it in windows"):
        pipe(text)
    assert pipe(text, stride=3) == pipe(text, stride=3, max_length=41)


@pytest.mark.parametrize("stride", [0, 11])
def test_a_sentence_encoder_reads_windows_of_the_length_of_its_checkpoint(stride):
    prompt, texts = "".join(WORDS[200:203]), [text_of(113), text_of(0), text_of(5)]
    modules = SentenceModules(
        ("max", "mean"), include_prompt=False, steps=[Normalize()], prompts={"query": prompt}, max_seq_length=29
    )
    encoder = SentenceEncoder(model_for("feature-extraction"), demo_tokenizer(), modules)
    got = encoder.encode(texts, stride=stride, prompt_name="query")
    for text, vector in zip(texts, got, strict=True):
        ids = ids_of(prompt + text)
        windows = windows_of(len(ids), 27, stride)
        states = document_states(ids, windows, CLS, SEP, lambda row: run_model("feature-extraction", row))[4:]
        expected = np.concatenate([states.max(axis=0), states.mean(axis=0)])
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), rtol=0, atol=1e-12)
    truncated = encoder.encode(texts, prompt_name="query")
    np.testing.assert_array_equal(got[1:], truncated[1:])
    assert (got[0] != truncated[0]).any()
