"""A predictor answers as the pipeline does, row by row, in whatever form a batch comes, and never loses the batch."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipelines.building import CLASSES, LIMIT, inputs_for, options_for, save_checkpoint

import lf_ref
from lf_ref import InputError, SentenceEncoder
from lf_ref.batches import Predictor, grants, predictor
from lf_ref.batches.task import Task
from lf_ref.kernels.cpus import usable_cpus

TEXTS = ["The ship sailed at dawn.", None, "Yes.", "He came, he saw, and he went home to London."]
BATCH = {"id": [7, 11, 13, 17], "body": TEXTS}
FORMS = {
    "arrays": lambda batch: {name: np.array(values, object) for name, values in batch.items()},
    "lists": dict,
    "table": pa.table,
    "record batch": pa.RecordBatch.from_pydict,
    "pandas": lambda batch: pd.DataFrame(batch, index=range(3, 3 + len(batch["id"]))),
    "polars": pl.DataFrame,
}
TASKS = [*CLASSES, "embed"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("checkpoints")
    return {task: str(save_checkpoint(task, home / task)) for task in CLASSES}


def listed(batch, name):
    """A column as plain values: None for none, and arrays of any nesting as lists."""
    column = batch[name]
    for method in ("to_pylist", "to_list", "tolist"):
        if hasattr(column, method):
            column = getattr(column, method)()
            break
    return [np.stack(value).tolist() if hasattr(value, "__len__") and not isinstance(value, str) else value
            for value in column]  # fmt: skip


@pytest.mark.parametrize(
    ("task", "form"),
    [(task, "lists") for task in CLASSES]
    + [(task, form) for task in ("feature-extraction", "question-answering") for form in FORMS if form != "lists"],
)
def test_results_are_those_of_the_pipeline(task, form, folders):
    inputs, options = inputs_for(task), options_for(task)
    pipe = lf_ref.pipeline(task, folders[task], **options, quiet=True)
    expected = list(pipe.stream(inputs))
    if isinstance(inputs[0], dict):
        names = list(inputs[0])
        columns = {f"the {name}": [one[name] for one in inputs] for name in names}
        column = {name: f"the {name}" for name in names}
    else:
        columns, column = {"body": inputs}, "body"
    batch = FORMS[form]({"id": list(range(len(inputs))), **columns})
    if task == "feature-extraction":
        options = {"pooling": "none"}
    found = Predictor(task, folders[task], column=column, **options)(batch)
    assert type(found) is type(batch)
    assert listed(found, "id") == list(range(len(inputs)))
    assert listed(found, "error") == [None] * len(inputs)
    if task == "feature-extraction":
        assert listed(found, "result") == [np.float32(states[0]).tolist() for states in expected]
    else:
        assert [json.loads(text) for text in listed(found, "result")] == json.loads(json.dumps(expected))


@pytest.mark.parametrize("form", FORMS)
def test_a_row_that_is_refused_has_an_error_and_the_others_their_vectors(form):
    batch = FORMS[form](BATCH)
    found = Predictor("embed", column="body", normalize=True)(batch)
    expected = SentenceEncoder.from_pretrained().encode([text for text in TEXTS if text], normalize=True)
    vectors, errors = listed(found, "result"), listed(found, "error")
    assert "missing value" in errors.pop(1)
    assert errors == [None] * 3
    missing = vectors.pop(1)
    assert missing is None or np.isnan(missing).all()
    assert np.array_equal(np.array(vectors, np.float32), expected)
    if form == "pandas":
        assert list(found.index) == [3, 4, 5, 6]
    if form in ("arrays", "lists"):
        assert found["result"].dtype == np.float32
    assert list(batch.columns if hasattr(batch, "assign") else dict(zip(BATCH, BATCH, strict=True))) == ["id", "body"]


def test_the_types_of_columns_do_not_depend_on_the_rows():
    predict = Predictor("embed", column="body")
    of_tokens = Predictor("feature-extraction", column="body", pooling="none")
    filled = Predictor("fill-mask", column="body")
    for make in FORMS.values():
        for one in (predict, of_tokens, filled):
            whole, bad, empty = (
                one(make({name: values[rows] for name, values in BATCH.items()}))
                for rows in (slice(None), slice(1, 2), slice(0))
            )
            types = [
                [str(getattr(found[name], "dtype", None) or found[name].type) for name in ("result", "error")]
                for found in (whole, bad, empty)
            ]
            assert types[0] == types[1] == types[2]
    assert predict({"body": np.array([], object)})["result"].shape == (0, 256)
    assert str(predict(pa.table(BATCH)).schema.field("result").type) == "fixed_size_list<item: float>[256]"


@pytest.fixture(scope="module")
def answers():
    pipe = lf_ref.pipeline("fill-mask", top_k=1)
    return {text: pipe(text) for text in ("A <mask> sailed.", "The <mask> broke.")}


@settings(max_examples=20, deadline=None)
@given(texts=st.lists(st.sampled_from([None, "It sailed.", "A <mask> sailed.", 3.5, "The <mask> broke."]), max_size=5))
def test_every_row_has_either_its_answer_or_an_error(answers, texts):
    found = Predictor("fill-mask", top_k=1)({"text": texts})
    for text, result, error in zip(texts, found["result"], found["error"], strict=True):
        assert (result is None) != (error is None)
        assert (None if result is None else json.loads(result)) == answers.get(text)


def test_a_text_that_is_too_long_is_refused_or_truncated_as_the_task_has_it(folders):
    batch = {"text": ["Yes.", "word " * LIMIT]}
    found = Predictor("text-classification", folders["text-classification"])(batch)
    assert found["result"][1] is None
    assert "the text" in found["error"][1]
    assert Predictor("text-classification", folders["text-classification"], truncation=True)(batch)["error"][1] is None
    with pytest.warns(UserWarning, match="mean pooling"):
        vectors = Predictor("embed", folders["feature-extraction"])(batch)["result"]
    assert np.isfinite(vectors).all()


def test_pairs(folders):
    folder = folders["text-classification"]
    predict = Predictor("sentiment-analysis", folder, column={"text": "a", "text_pair": "b"})
    found = predict({"a": ["Yes.", "No."], "b": ["Why?", None]})
    pipe = lf_ref.pipeline("text-classification", folder)
    assert [json.loads(text) for text in found["result"]] == [
        pipe({"text": "Yes.", "text_pair": "Why?"}), pipe({"text": "No."}),
    ]  # fmt: skip


def test_a_mapping_names_only_the_columns_that_have_other_names(folders):
    batch = {"question": ["Who came?"], "page": ["He came, he saw."]}
    by_name = Predictor("question-answering", folders["question-answering"], column="page")(batch)
    by_mapping = Predictor("question-answering", folders["question-answering"], column={"context": "page"})(batch)
    assert by_name["result"][0] == by_mapping["result"][0]
    assert json.loads(by_name["result"][0])["answer"] in batch["page"][0]


def test_an_iterator_of_batches_gives_an_iterator():
    drawn = []

    def batches():
        for start in (0, 2):
            drawn.append(start)
            yield pd.DataFrame({name: values[start : start + 2] for name, values in BATCH.items()})

    predict = Predictor("embed", column="body")
    found = predict(batches())
    first = next(found)
    assert drawn == [0]
    assert first["error"].notna().tolist() == [False, True]
    assert [len(one) for one in found] == [2]


def test_the_columns_of_results_have_the_given_names():
    found = Predictor("embed", column="body", result="vector", error="why")(BATCH)
    assert list(found) == ["id", "body", "vector", "why"]


def test_a_pickle_has_no_weights_and_a_process_loads_them_once(monkeypatch):
    loads = []
    monkeypatch.setattr(predictor, "_LOADED", predictor._Loaded())
    load = Task.load
    monkeypatch.setattr(Task, "load", lambda task, threads: loads.append(task) or load(task, threads))
    predict = Predictor("fill-mask", top_k=1)
    texts = {"text": ["He opened the <mask>."]}
    expected = predict(texts)["result"][0]
    pickled = pickle.dumps(predict)
    assert len(pickled) < 1000
    workers = [threading.Thread(target=lambda: pickle.loads(pickled)(texts)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert pickle.loads(pickled)(texts)["result"][0] == expected
    assert len(loads) == 1
    Predictor("fill-mask", batch_tokens=64)(texts)
    assert len(loads) == 2


def test_a_folder_is_found_from_another_working_directory(folders, monkeypatch, tmp_path):
    folder = folders["fill-mask"]
    monkeypatch.chdir(os.path.dirname(folder))
    pickled = pickle.dumps(Predictor("fill-mask", os.path.basename(folder)))
    monkeypatch.chdir(tmp_path)
    assert pickle.loads(pickled)({"text": ["A <mask>."]})["error"][0] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task": "embd"}, "unknown task 'embd'; the tasks are fill-mask, feature-extraction"),
        ({"task": None}, "unknown task None"),
        ({"task": "embed", "colum": "x"}, "takes no argument 'colum': the nearest is 'column'"),
        ({"task": "embed", "top_k": 3}, "takes no argument 'top_k'"),
        ({"task": "fill-mask", "top_k": 0}, "top_k must be an integer of at least 1, got 0"),
        ({"task": "embed", "on_error": "stop"}, "takes no on_error: the errors of inputs are recorded"),
        ({"task": "embed", "return_tensors": False}, "takes no return_tensors: "),
        (
            {"task": "embed", "column": 3},
            "column must be a name, or a dict with text as keys",
        ),
        ({"task": "question-answering", "column": {"text": "x"}}, "a dict with question, context as keys"),
        ({"task": "embed", "num_threads": 0}, "num_threads must be an integer of at least 1, got 0"),
        ({"task": "embed", "model": 3}, "model must be the name of a checkpoint, which each worker loads, got int"),
        ({"task": "embed", "result": "error"}, "result and error must be two columns, got 'error' for both"),
    ],
)
def test_what_is_wrong_is_refused_before_any_worker_starts(arguments, message):
    with pytest.raises(InputError) as error:
        Predictor(**arguments)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (3, "a batch must be a dict of arrays, a table or record batch of pyarrow, or a DataFrame"),
        (["Yes."], "a batch must be"),
        ({"text": ["Yes."]}, "the batch has no column 'body', only text: name another with column="),
        (pa.table([["a"], ["b"]], ["body", "body"]), "the batch has more than one column 'body'"),
        ({"body": "Yes."}, "column 'body' must be an array or a list, got 'Yes.'"),
        ({"body": ["Yes."], "error": [1]}, "a column 'error' already: name another with result= and error="),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(batch, message):
    with pytest.raises(InputError) as error:
        Predictor("embed", column="body")(batch)
    assert message in str(error.value)


def test_columns_of_unequal_length_are_refused():
    predict = Predictor("question-answering", column="page")
    with pytest.raises(InputError, match="columns of a batch must have one length, got question 2, page 1"):
        predict({"question": ["Who?", "When?"], "page": ["He came."]})


def test_threads_are_those_that_ray_granted(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    most = usable_cpus()

    def resources(granted):
        def get():
            if granted is None:
                raise AssertionError("a driver")
            return granted

        context = SimpleNamespace(get_assigned_resources=get)
        return SimpleNamespace(is_initialized=lambda: True, get_runtime_context=lambda: context)

    for granted, expected in [
        ({"CPU": 1.0}, 1),
        ({"CPU": 0.5}, 1),
        ({"CPU": most + 5.0}, most),
        ({}, most),
        (None, most),
    ]:
        monkeypatch.setitem(sys.modules, "ray", resources(granted))
        assert grants.granted_cpus() == expected
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: False))
    assert grants.granted_cpus() == most
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert grants.granted_cpus() == 1


def test_importing_it_imports_no_engine_and_no_table():
    code = "import sys, lf_ref.batches; print({'ray', 'pandas', 'pyarrow', 'dask', 'pyspark'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
