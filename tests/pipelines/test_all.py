"""What holds for every task: order, batching, plain values, iterators, options, lengths."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipelines.building import (
    CLASSES,
    LIMIT,
    TEXTS,
    assert_alike,
    demo_tokenizer,
    inputs_for,
    model_for,
    options_for,
    pipe_for,
    save_checkpoint,
)

import lf_ref
from lf_ref import CheckpointError, InputError
from lf_ref.pipelines import TASKS

FEW = settings(
    max_examples=10, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
TOLERANCE = 1e-10  # float64: matmuls of another shape may round differently
LONG = "The old gardener walked along the river. " * 20


def one_by_one(pipe, inputs, options):
    """The results of inputs that never meet in a batch."""
    return [next(pipe.stream([given], **options)) for given in inputs]


@pytest.mark.parametrize("task", CLASSES)
@FEW
@given(st.data())
def test_results_depend_neither_on_batches_nor_on_company(task, data):
    inputs = data.draw(st.permutations(inputs_for(task)))
    inputs = inputs[: data.draw(st.integers(2, len(inputs)))]
    options = options_for(task)
    pipe = pipe_for(task, batch_tokens=data.draw(st.sampled_from([1, 23, 61, 4096])))
    expected = one_by_one(pipe, inputs, options)
    assert_alike(pipe(inputs, **options), expected, TOLERANCE)
    assert_alike(list(pipe(iter(inputs), **options)), expected, TOLERANCE)


@pytest.mark.parametrize("task", CLASSES)
def test_results_can_be_written_as_json(task):
    pipe = pipe_for(task)
    results = pipe(inputs_for(task), **options_for(task))
    assert_alike(json.loads(json.dumps(results)), results, 0.0)
    json.dumps(pipe(inputs_for(task)[0], **options_for(task)))


@pytest.mark.parametrize("task", CLASSES)
def test_no_inputs_no_results(task):
    pipe = pipe_for(task)
    assert pipe([], **options_for(task)) == []
    assert list(pipe(iter([]), **options_for(task))) == []


@pytest.mark.parametrize("task", CLASSES)
def test_defaults_of_the_pipeline_hold_for_its_calls(task):
    options = options_for(task)
    inputs = inputs_for(task)
    assert_alike(pipe_for(task, **options)(inputs), pipe_for(task)(inputs, **options), 0.0)


# The names by which HF's pipelines take what is asked of them.
NAMES = dict.fromkeys(CLASSES, ("inputs",)) | {
    "zero-shot-classification": ("sequences", "candidate_labels"),
    "question-answering": ("question", "context"),
    "multiple-choice": ("question", "choices"),
}


@pytest.mark.parametrize("task", CLASSES)
def test_inputs_by_name(task):
    values = [inputs_for(task)[0]]
    if isinstance(values[0], dict):
        values = list(values[0].values())
    elif task == "zero-shot-classification":
        values.append(["sport", "the news"])
    by_name = pipe_for(task)(**dict(zip(NAMES[task], values, strict=True)))
    assert_alike(by_name, pipe_for(task)(*values), 0.0)


@pytest.mark.parametrize("task", CLASSES)
@pytest.mark.parametrize("given", [3, None, 2.5, object()])
def test_what_is_no_input_is_refused(task, given):
    with pytest.raises(InputError):
        pipe_for(task)(given, **options_for(task))
    with pytest.raises(InputError, match=r"(text|item) 1 must be a"):
        pipe_for(task)([inputs_for(task)[0], given], **options_for(task))


@pytest.mark.parametrize("value", [0, -1, True, 2.0, "3"])
@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("fill-mask", "top_k"),
        ("fill-mask", "batch_tokens"),
        ("feature-extraction", "max_length"),
        ("text-classification", "top_k"),
        ("multiple-choice", "top_k"),
        ("question-answering", "top_k"),
        ("question-answering", "max_answer_len"),
        ("question-answering", "max_seq_len"),
        ("question-answering", "max_question_len"),
    ],
)
def test_counts_are_checked(task, name, value):
    with pytest.raises(InputError, match=f"{name} must be an integer of at least 1, got {value!r}"):
        pipe_for(task, **{name: value})


@pytest.mark.parametrize("value", [1, "yes", np.int64(1)])
@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("fill-mask", "quiet"),
        ("feature-extraction", "return_tensors"),
        ("zero-shot-classification", "multi_label"),
        ("token-classification", "is_split_into_words"),
        ("question-answering", "align_to_words"),
        ("question-answering", "handle_impossible_answer"),
    ],
)
def test_flags_are_checked(task, name, value):
    with pytest.raises(InputError, match=f"{name} must be True or False, got "):
        pipe_for(task, **{name: value})


@pytest.mark.parametrize(
    ("task", "name", "words"),
    [
        ("feature-extraction", "pooling", "none, cls, max, mean, mean_sqrt_len_tokens, weightedmean, lasttoken"),
        ("text-classification", "function_to_apply", "sigmoid, softmax, none"),
        ("token-classification", "aggregation_strategy", "none, simple, first, average, max"),
    ],
)
def test_words_are_checked(task, name, words):
    with pytest.raises(InputError, match=f"{name} must be one of {words}, got 'max pooling'"):
        pipe_for(task, **{name: "max pooling"})


def too_long(task):
    """An input that is longer than the model takes, wherever it may be in windows."""
    if task == "fill-mask":
        return "<mask> " + LONG
    if task == "multiple-choice":
        return {"question": LONG, "choices": ["yes", "no"]}
    return LONG


@pytest.mark.parametrize("task", [task for task in CLASSES if task != "question-answering"])
def test_a_text_that_is_too_long_raises_with_the_way_out(task):
    pipe, options = pipe_for(task), options_for(task)
    short = inputs_for(task)[0]
    with pytest.raises(
        InputError, match=rf"(text|item) 1.* has \d+ tokens, and this model takes at most {LIMIT}: .*trunc"
    ):
        pipe([short, too_long(task)], **options)
    with pytest.raises(InputError, match="max_length= allows at most 13"):
        pipe(too_long(task), max_length=13, truncation=False, **options)
    with pytest.raises(InputError, match=f"max_length=100 is too much: this model takes at most {LIMIT} tokens"):
        pipe(too_long(task), max_length=100, **options)
    assert_alike(pipe(short, max_length=100, **options), pipe(short, **options), 0.0)
    assert pipe(too_long(task), truncation=True, **options)
    assert_alike(
        pipe(too_long(task), truncation=True, max_length=LIMIT, **options),
        pipe(too_long(task), truncation=True, **options),
        0.0,
    )


@pytest.mark.parametrize("task", [task for task in CLASSES if task != "question-answering"])
def test_the_longest_input_is_not_too_long(task):
    """Cut to what the model takes, an input is as long as it can be; one token less gives another result."""
    pipe, options = pipe_for(task), options_for(task)
    ways = [pipe(too_long(task), truncation=True, max_length=length, **options) for length in (LIMIT, LIMIT - 1)]
    assert ways[0] != ways[1]


def test_a_stream_reads_ahead_but_not_all():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield TEXTS[0]

    results = pipe_for("feature-extraction", pooling="mean", batch_tokens=31)(endless())
    assert taken == []
    next(results)
    assert 1 < len(taken) < 100


@pytest.mark.parametrize("last", [3, LONG])
def test_a_stream_yields_the_results_before_an_error(last):
    stream = pipe_for("feature-extraction", pooling="cls").stream(
        [*TEXTS[:2], last, TEXTS[0]], name=lambda place: f"line {place + 1}"
    )
    assert len(next(stream)) == len(next(stream)) == 21
    with pytest.raises(InputError, match="line 3"):
        next(stream)


def test_inputs_of_a_list_are_all_checked_before_any_is_run(monkeypatch):
    pipe = pipe_for("feature-extraction")
    monkeypatch.setattr(pipe, "model", type("Untouched", (), {"config": pipe.model.config})())
    with pytest.raises(InputError, match="text 2"):
        pipe([*TEXTS[:2], LONG])


@pytest.mark.parametrize("task", CLASSES)
def test_an_error_names_the_input_with_a_lone_surrogate(task):
    sound, other = inputs_for(task)[:2]
    broken = {**other, "question": "\ud800"} if isinstance(other, dict) else f"{other}\ud800"
    with pytest.raises(InputError, match=r"(text|item) 1 has a lone surrogate, U\+D800, at position"):
        pipe_for(task)([sound, broken], **options_for(task))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("task", CLASSES)
def test_a_model_with_nan_or_infinite_weights_raises(task, value):
    sound = model_for(task)
    weights = {name: array.copy() for name, array in sound.weights.items()}
    weights["encoder.layer.1.output.dense.bias"][3] = value
    with np.errstate(invalid="ignore"):  # what the plain engine says of them besides
        broken = type(sound)(sound.config, weights, dtype="float64", backend="numpy")
        pipe = lf_ref.pipeline(task, model=broken, tokenizer=demo_tokenizer())
        with pytest.raises(CheckpointError, match=f"^{task}: the model returns NaN or infinity"):
            pipe(inputs_for(task)[0], **options_for(task))


def test_config_that_asks_for_more_output_changes_nothing():
    changed = model_for("text-classification", return_dict=False, output_attentions=True, output_hidden_states=True)
    pipe = lf_ref.pipeline("text-classification", model=changed, tokenizer=demo_tokenizer())
    assert_alike(pipe(TEXTS), pipe_for("text-classification")(TEXTS), 0.0)


# --- building a pipeline ----------------------------------------------------------------------------------------------


def test_tasks_and_their_other_names():
    assert set(TASKS) == {*CLASSES, "embeddings", "sentiment-analysis", "ner"}
    assert TASKS["sentiment-analysis"] is TASKS["text-classification"]
    assert TASKS["ner"] is TASKS["token-classification"]
    with pytest.raises(InputError, match=r"unknown task 'summarization'; the tasks are fill-mask, .*multiple-choice"):
        lf_ref.pipeline("summarization")
    with pytest.raises(InputError, match=r"unknown task \['fill-mask'\]; the tasks are"):
        lf_ref.pipeline(["fill-mask"])


@pytest.mark.parametrize("task", [task for task in CLASSES if task not in ("fill-mask", "feature-extraction")])
@pytest.mark.parametrize("model", [None, "demo"])
def test_the_bundled_model_has_no_head_for_the_task(task, model):
    with pytest.raises(
        CheckpointError, match=rf"bundled demo model is a LongformerForMaskedLM.*{task}.*name a checkpoint"
    ):
        lf_ref.pipeline(task, model=model)


def test_the_bundled_model_does_what_it_can():
    assert len(lf_ref.pipeline("fill-mask", backend="numpy")("A <mask>.")) == 5
    features = lf_ref.pipeline("feature-extraction", "demo", backend="numpy", dtype="float64")(
        "A b.", return_tensors=True
    )
    assert features.shape == (1, 5, 256)
    assert features.dtype == "float64"


@pytest.mark.parametrize("task", CLASSES)
def test_from_a_folder(task, tmp_path):
    pipe = lf_ref.pipeline(task, model=str(save_checkpoint(task, tmp_path)), backend="numpy", num_threads=1)
    inputs, options = inputs_for(task)[:2], options_for(task)
    assert_alike(pipe(inputs, **options), pipe_for(task)(inputs, **options), 1e-3)


def test_models_that_do_not_fit_are_refused():
    model = model_for("fill-mask")
    with pytest.raises(InputError, match="needs a LongformerForQuestionAnswering, got LongformerForMaskedLM"):
        lf_ref.pipeline("question-answering", model=model, tokenizer=demo_tokenizer())
    with pytest.raises(InputError, match="pass tokenizer= too"):
        lf_ref.pipeline("fill-mask", model=model)
    with pytest.raises(InputError, match="dtype: the model is loaded already"):
        lf_ref.pipeline("fill-mask", model=model, tokenizer=demo_tokenizer(), dtype="float32")
    with pytest.raises(InputError, match="tokenizer must be a LongformerTokenizer, got function"):
        TASKS["fill-mask"](model, save_checkpoint)


def test_a_tokenizer_with_more_words_than_the_model_is_refused():
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained()
    tokenizer.add_tokens(["<more>"])
    with pytest.raises(
        InputError, match="the tokenizer has 8193 tokens, the last with id 8192, and the model only 8192 rows"
    ):
        lf_ref.pipeline("fill-mask", model=model_for("fill-mask"), tokenizer=tokenizer)


# --- progress ---------------------------------------------------------------------------------------------------------


class Terminal:
    """Standard error that says it is a terminal."""

    def __init__(self, is_terminal):
        self.written = ""
        self.is_terminal = is_terminal

    def write(self, text):
        self.written += text

    def flush(self):
        pass

    def isatty(self):
        return self.is_terminal


@pytest.mark.parametrize(
    ("is_terminal", "batch_tokens", "options", "shown"),
    [(True, 13, {}, True), (True, 4096, {}, False), (False, 13, {}, False), (True, 13, {"quiet": True}, False)],
)
def test_progress_only_on_a_terminal_for_longer_work(monkeypatch, is_terminal, batch_tokens, options, shown):
    terminal = Terminal(is_terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("lf_ref.progress._PATIENCE", 0.0)
    pipe_for("feature-extraction", batch_tokens=batch_tokens, **options)(TEXTS)
    assert ("feature-extraction" in terminal.written) is shown


def test_no_progress_before_some_seconds(monkeypatch):
    terminal = Terminal(True)
    monkeypatch.setattr(sys, "stderr", terminal)
    pipe_for("feature-extraction", batch_tokens=13)(TEXTS[:2])
    assert terminal.written.strip() == ""
