"""Columns of pandas, Polars and pyarrow, missing values in them, and errors that are recorded in place of a result."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pipelines.building import CLASSES, LIMIT, assert_alike, demo_tokenizer, inputs_for, options_for, pipe_for

import lf_ref
from lf_ref import InputError

TASKS_OF_TEXTS = [task for task in CLASSES if task not in ("question-answering", "multiple-choice")]
COLUMNS = {
    "pandas": lambda texts: pd.Series(texts, index=range(7, 7 + len(texts))),
    "pandas object": lambda texts: pd.Series(texts, dtype=object),
    "pandas arrow": lambda texts: pd.Series(texts, dtype=pd.ArrowDtype(pa.string())),
    "pandas index": lambda texts: pd.Index(texts),
    "pandas array": lambda texts: pd.Series(texts, dtype="string").array,
    "pandas categories": lambda texts: pd.Series(texts, dtype="category"),
    "polars": lambda texts: pl.Series("text", texts),
    "polars categories": lambda texts: pl.Series("text", texts, dtype=pl.Categorical),
    "pyarrow": pa.array,
    "pyarrow chunked": lambda texts: pa.chunked_array([pa.array(texts[:1]), pa.array(texts[1:])]),
    "pyarrow dictionary": lambda texts: pa.array(texts).dictionary_encode(),
    "pyarrow column": lambda texts: pa.table({"text": texts})["text"],
    "NumPy objects": lambda texts: np.array(texts, dtype=object),
    "generator": lambda texts: (text for text in texts),
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("task", TASKS_OF_TEXTS)
def test_columns_are_lists_of_texts(task, kind):
    inputs, options = inputs_for(task)[:3], options_for(task)
    got = pipe_for(task)(COLUMNS[kind](inputs), **options)
    assert_alike(list(got), pipe_for(task)(inputs, **options), 1e-10)


@pytest.mark.parametrize("make", [pa.array, pl.Series, pd.Series, lambda rows: pa.chunked_array([rows])])
@pytest.mark.parametrize("task", ["question-answering", "multiple-choice"])
def test_columns_of_structures_are_lists_of_dicts(task, make):
    inputs, options = inputs_for(task)[:3], options_for(task)
    assert_alike(pipe_for(task)(make(inputs), **options), pipe_for(task)(inputs, **options), 0.0)


@pytest.mark.parametrize("kind", [kind for kind in COLUMNS if kind != "generator"])
def test_the_tokenizer_takes_the_same_columns(kind):
    texts = ["A text.", "Another one.", "A third."]
    assert demo_tokenizer()(COLUMNS[kind](texts))["input_ids"] == demo_tokenizer()(texts)["input_ids"]


FRAMES = {
    "pandas": pd.DataFrame,
    "polars": pl.DataFrame,
    "polars lazy": pl.LazyFrame,
    "table": pa.table,
    "batch": pa.RecordBatch.from_pydict,
}


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("task", CLASSES)
def test_a_data_frame_is_refused_with_the_way_out(task, kind):
    frame = FRAMES[kind]({"text": ["A <mask>."], "label": ["x"]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Polars warns where a lazy frame is asked for its columns
        with pytest.raises(InputError, match=rf'{type(frame).__name__}: pass df\["text"\]'):
            pipe_for(task)(frame, **options_for(task))
        with pytest.raises(InputError, match=r'pass df\["text"\]'):
            demo_tokenizer()(frame)


MISSING = {
    "None": (lambda: [None], "None"),
    "NaN": (lambda: [float("nan")], "NaN"),
    "pandas None": (lambda: pd.Series(["A <mask>.", None], dtype=object)[1:], "None"),
    "pandas NaN": (lambda: pd.Series(["A <mask>.", np.nan])[1:], "NaN"),
    "pandas NA": (lambda: pd.Series(["A", pd.NA], dtype="string")[1:], "<NA>"),
    "pyarrow": (lambda: pa.array(["A", None])[1:], "None"),
    "polars": (lambda: pl.Series(["A", None])[1:], "None"),
}


@pytest.mark.parametrize("kind", MISSING)
@pytest.mark.parametrize("task", TASKS_OF_TEXTS)
def test_a_missing_text_is_an_error_that_names_its_place(task, kind):
    make, value = MISSING[kind]
    [missing] = pipe_for(task)(make(), on_error="record", **options_for(task)) if task != "fill-mask" else [
        pipe_for(task)(make(), on_error="record")
    ]  # fmt: skip
    assert str(missing) == f"text 0 must be a text (str), got {value}, a missing value: drop it"
    column = [inputs_for(task)[0], *pd.Series(make()).tolist()]
    with pytest.raises(InputError, match=r"text 1 must be a text \(str\), got (None|NaN|nan|<NA>), a missing value"):
        pipe_for(task)(column, **options_for(task))


@pytest.mark.parametrize("task", ["question-answering", "multiple-choice"])
def test_a_missing_field_is_an_error_that_names_its_place(task):
    good, bad = inputs_for(task)[0], {**inputs_for(task)[1], "question": None}
    with pytest.raises(InputError, match=r"the question of item 1 must be a text \(str\), got None, a missing value"):
        pipe_for(task)([good, bad])


# --- recorded errors --------------------------------------------------------------------------------------------------


def spoiled(task):
    """Good inputs with others between them, which do not fit."""
    good = inputs_for(task)[:3]
    return [good[0], None, good[1], 3, {"no": "field"}, good[2]], [0, 2, 5], good


@pytest.mark.parametrize("make", [list, iter])
@pytest.mark.parametrize("batch_tokens", [1, 4096])
@pytest.mark.parametrize("task", CLASSES)
def test_errors_stand_in_place_of_results(task, batch_tokens, make):
    given, places, good = spoiled(task)
    options = options_for(task)
    pipe = pipe_for(task, batch_tokens=batch_tokens)
    got = list(pipe(make(given), on_error="record", **options))
    assert_alike([got[place] for place in places], pipe(good, **options), 1e-10)
    for place in {*range(len(given))} - {*places}:
        assert isinstance(got[place], InputError)
        assert f" {place} must " in str(got[place])
    assert len(got) == len(given)
    assert_alike([result for result in pipe.stream(given, on_error="record", **options) if type(result) is not
                  InputError], pipe(good, **options), 1e-10)  # fmt: skip
    with pytest.raises(InputError):
        list(pipe(make(given), **options))


def test_it_may_be_chosen_when_the_pipeline_is_built():
    pipe = pipe_for("feature-extraction", pooling="cls", on_error="record")
    first, second = pipe(["A text.", "word " * LIMIT])
    assert len(first) == 21
    assert str(second).startswith("text 1 has ")
    assert isinstance(pipe("word " * LIMIT), InputError)
    with pytest.raises(InputError, match="text 0 has "):
        pipe(["word " * LIMIT], on_error="stop")


def test_arrays_with_errors_are_a_list():
    pipe = pipe_for("feature-extraction", pooling="mean", return_tensors=True, on_error="record")
    first, error, last = pipe(["A text.", None, "Another."])
    assert first.shape == last.shape == (21,)
    assert isinstance(error, InputError)
    assert isinstance(pipe(["A text."]), list)
    assert pipe(["A text."], on_error="stop").shape == (1, 21)


@pytest.mark.parametrize("value", ["raise", "ignore", True, 1])
def test_other_words_are_refused(value):
    with pytest.raises(InputError, match="on_error must be one of stop, record, got"):
        pipe_for("fill-mask")("A <mask>.", on_error=value)


def test_what_is_no_list_is_refused_all_the_same():
    with pytest.raises(InputError, match="takes one input or a list of them, got int"):
        pipe_for("fill-mask")(3, on_error="record")


def test_an_error_among_the_inputs_is_the_error_of_that_input():
    error = InputError("could not be read")
    pipe = pipe_for("feature-extraction", pooling="cls")
    assert pipe.stream(["A.", error], on_error="record")
    assert [*pipe.stream(["A.", error], on_error="record")][1] is error
    with pytest.raises(InputError, match="could not be read"):
        list(pipe.stream(["A.", error]))


def test_errors_of_the_model_are_not_recorded(monkeypatch):
    def fail(**_):
        raise lf_ref.CheckpointError("NaN")

    pipe = pipe_for("feature-extraction")
    monkeypatch.setattr(pipe, "_call", fail)
    with pytest.raises(lf_ref.CheckpointError):
        pipe(["A text."], on_error="record")
