"""Inputs from files, CSV and Parquet, and results into JSONL, CSV, Parquet and NumPy's files, in every command."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli.running import PLAIN, on, pipe_on, run
from cli.test_lines import ARGUMENTS, DOCUMENT, OPTIONS, TASKS_OF_TEXTS, fails
from click.testing import CliRunner
from pipelines.building import CLASSES, TEXTS, assert_alike

import lf_ref
from lf_ref.cli import main
from lf_ref.records import parquet, sources
from lf_ref.records.columns import ANSWERS, JSON_ALONE

TEXT_LINES = ["A <mask> of\nthe <mask>.", "<mask>", 'Yes <mask>, and, "yes".']
# The field of the text; and the columns of the best answer, as the guide has them.
MAIN = dict.fromkeys(TASKS_OF_TEXTS, "text") | {"question-answering": "context", "multiple-choice": "question"}
BEST = {
    "text-classification": lambda result: {"label": result[0]["label"], "score": result[0]["score"]},
    "zero-shot-classification": lambda result: {"label": result["labels"][0], "score": result["scores"][0]},
    "question-answering": lambda result: {key: result[0][key] for key in ("answer", "score", "start", "end")},
    "multiple-choice": lambda result: {"choice": result[0]["choice"], "score": result[0]["score"]},
}


def ends(*arguments, stdin=None):
    """The exit code, standard output and standard error of a command."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin, prog_name="lf-ref")
    return done.exit_code, done.stdout, done.stderr


def strict(text):
    """JSON without NaN and Infinity."""

    def refuse(name):
        raise AssertionError(name)

    return json.loads(text, parse_constant=refuse)


def rows_for(task):
    if task == "question-answering":
        return [{"question": "Where?", "context": text} for text in (DOCUMENT, TEXTS[0], "Yes.")]
    if task == "multiple-choice":
        return [{"question": text, "choices": ['yes, or, "no"', *TEXTS[:2]]} for text in TEXTS[:3]]
    return [{"text": text} for text in TEXT_LINES]


def expected_for(task, folders):
    given = [row["text"] if task in TASKS_OF_TEXTS else row for row in rows_for(task)]
    return list(pipe_on(task, folders).stream(given, **OPTIONS[task]))


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({key: v if isinstance(v, str) else json.dumps(v) for key, v in row.items()} for row in rows)
    return path


def write_input(kind, path, rows):
    """The same rows as a file of JSON lines, CSV or Parquet."""
    path = path.with_suffix(f".{kind}")
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif kind == "csv":
        write_csv(path, rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


# --- what comes in ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("task", CLASSES)
def test_rows_are_inputs_and_other_columns_come_out_again(task, kind, folders, tmp_path):
    field = MAIN[task]
    rows = [{"id": f"00{place}", **row} for place, row in enumerate(rows_for(task))]
    rows = [{"body" if key == field else key: value for key, value in row.items()} for row in rows]
    path = write_input(kind, tmp_path / "in", rows)
    printed = run(*on(task, folders), *ARGUMENTS[task], "--lines", path, "--text-field", "body").splitlines()
    for place, (line, result) in enumerate(zip(printed, expected_for(task, folders), strict=True)):
        assert_alike(strict(line), {"id": f"00{place}", "result": result}, 1e-6)


def test_other_fields_may_have_other_names_too(folders, tmp_path):
    path = write_input("csv", tmp_path / "in", [{"q": "Where?", "doc": DOCUMENT, "context": "no document"}])
    arguments = [*on("question-answering", folders), "--lines", path]
    printed = run(*arguments, "--text-field", "question=q", "--text-field", "doc")
    expected = pipe_on("question-answering", folders)(question="Where?", context=DOCUMENT)
    assert_alike(strict(printed), {"context": "no document", "result": expected}, 1e-6)
    assert "must have the fields question and doc, got q, doc, context" in fails(*arguments, "--text-field", "doc")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_without_the_column_is_refused_before_the_model_is_loaded(kind, tmp_path):
    path = write_input(kind, tmp_path / "in", [{"id": "1", "body": "A."}])
    said = fails("fill-mask", "--model", "./no-such-folder", "--lines", path)
    assert said == (f"Error: {path} must have the field text, got id, body; name another one with --text-field\n")
    path = write_input(kind, tmp_path / "in", [{"text": "1", "result": "A."}])
    said = fails("fill-mask", "--model", "./no-such-folder", "--lines", path)
    assert said == f'Error: {path} has the field "result", which the result is written to: rename one\n'


@pytest.mark.parametrize("task", CLASSES)
def test_one_result_for_each_file(task, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {"b.txt": TEXT_LINES[0], "a.txt": TEXT_LINES[1], "deep/c.txt": TEXT_LINES[2]}.items():
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\n")
    (tmp_path / "docs" / ".hidden").write_bytes(b"\xff")
    shared = {"question-answering": ["Where?"], "multiple-choice": ["--", "yes", "no"]}.get(task, [])
    fields = {"question-answering": {"question": "Where?"}, "multiple-choice": {"choices": ["yes", "no"]}}.get(task)
    texts = [TEXT_LINES[1], TEXT_LINES[0], TEXT_LINES[2]]
    given = [text if fields is None else {MAIN[task]: text, **fields} for text in texts]
    expected = list(pipe_on(task, folders).stream(given, **OPTIONS[task]))
    paths = ["docs/a.txt", "docs/b.txt", "docs/deep/c.txt"]
    begin = [*on(task, folders), *ARGUMENTS[task]]
    split = {"question-answering": [*shared, "--files"], "multiple-choice": ["--files"]}.get(task, ["--files"])
    after = shared if task == "multiple-choice" else []
    for files in (["docs"], ["docs/**/*.txt"], paths, ["docs/a.txt", "docs/b*", "docs/deep/", "docs/a.txt"]):
        printed = run(*begin, *split, *files, *after).splitlines()
        found = [strict(line) for line in printed]
        assert [line["id"] for line in found] == paths
        for line, result in zip(found, expected, strict=True):
            assert_alike(line["result"], result, 1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--files", "none*"], "none* is no file, no folder, and no pattern of files here"),
        (["--files", "empty"], "empty holds no files"),
        (["--files", "a.txt", "missing.txt"], "missing.txt is no file, no folder"),
        (["--files", "a.txt", "--", "A text."], "only one of them; got 2"),
        (["--files", "a.txt", "--text-field", "x"], "--text-field names a field of the inputs of --lines"),
        (["A <mask>.", "--on-error", "record"], "--on-error record goes with --lines or --files"),
        (["A <mask>.", "--out", "x.jsonl", "--json"], "give either --json or --out, not both"),
        (["A <mask>.", "--out", "x.npy"], "--out must end in .jsonl, .csv or .parquet, got x.npy"),
        (["A <mask>.", "--out", "no/x.csv"], "there is no folder no"),
        (["--file", "x.parquet"], "x.parquet is not UTF-8"),
        (["--file", "x.parquet"], "it is a Parquet file: --lines reads its rows"),
        (["--lines", "no.parquet"], "no.parquet cannot be read as Parquet"),
        (["--lines", "missing.parquet"], "missing.parquet cannot be read"),
        (["--lines", "missing.jsonl"], "missing.jsonl cannot be read: No such file"),
        (["--lines", "missing.csv"], "missing.csv cannot be read: No such file"),
        (["--lines", "empty.csv"], "empty.csv is empty: a CSV file begins with the names of its columns"),
        (["--lines", "twice.csv"], "twice.csv has the column 'text' twice"),
    ],
)
def test_what_is_no_input_is_refused_before_the_model_is_loaded(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("A <mask>.")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "twice.csv").write_text("text,id,text\n")
    (tmp_path / "no.parquet").write_bytes(b"PAR1 and nothing")
    pq.write_table(pa.table({"x": pa.array(["\xff" * 99], pa.string())}), tmp_path / "x.parquet")
    assert message in fails("fill-mask", "--model", "./no-such-folder", *arguments)


@pytest.mark.parametrize("arguments", [["--lines", "a.jsonl"], ["--file", "b/../a.jsonl"], ["--files", "b", "*.jsonl"]])
@pytest.mark.parametrize("out", ["a.jsonl", "link.jsonl"])
def test_an_input_is_not_replaced_by_the_results(arguments, out, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b/c", "a.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("A <mask>.")
    (tmp_path / "link.jsonl").symlink_to("a.jsonl")
    said = fails("fill-mask", "--model", "./no-such-folder", *arguments, "--out", out)
    assert said == f"Error: --out {out} is an input too, which the results would replace: give another name\n"
    assert (tmp_path / "a.jsonl").read_text() == "A <mask>."
    run("fill-mask", *arguments, "--out", "new.jsonl")
    run("fill-mask", *(["--files", "b"]), "--out", "new.jsonl")  # an earlier result is replaced


def test_files_of_documents_and_questions_need_the_other_fields(tmp_path):
    (tmp_path / "a").write_text("A.")
    said = fails("question-answering", "--model", "./no-such-folder", "--files", tmp_path)
    assert "give a question and a document" in said
    assert "before --files the question alone" in said
    assert "before --files GLOB the choices alone" in fails("multiple-choice", "--files", tmp_path / "a", "yes", "no")
    assert "at least one choice" in fails("multiple-choice", "--model", "./no-such-folder", "--files", tmp_path)


# --- what goes out ----------------------------------------------------------------------------------------------------


def best_of(task, result):
    return BEST[task](result) if task in BEST else {}


@pytest.mark.parametrize("task", [task for task in CLASSES if task != "feature-extraction"])
def test_tables_have_the_other_fields_the_best_answer_and_the_whole(task, folders, tmp_path):
    rows = [{"id": place, **row} for place, row in enumerate(rows_for(task))]
    lines = write_input("jsonl", tmp_path / "in", rows)
    for ending in ("csv", "parquet"):
        assert run(*on(task, folders), *ARGUMENTS[task], "--lines", lines, "--out", tmp_path / f"out.{ending}") == ""
    table = pq.read_table(tmp_path / "out.parquet")
    for place, (row, text, result) in enumerate(
        zip(table.to_pylist(), read_csv(tmp_path / "out.csv"), expected_for(task, folders), strict=True)
    ):
        best = best_of(task, result)
        assert list(row) == list(text) == ["id", *best, "result"]
        assert_alike({key: row[key] for key in ("id", *best)}, {"id": place, **best}, 1e-6)
        assert_alike(strict(row["result"]), result, 1e-6)
        assert_alike({key: type(value)(text[key]) for key, value in best.items()}, best, 1e-6)
        assert strict(text["result"]) == strict(row["result"])
    kinds = {"label": "string", "answer": "string", "score": "double", "start": "int64", "end": "int64",
             "choice": "int64", "id": "int64", "result": "string"}  # fmt: skip
    assert {field.name: str(field.type) for field in table.schema} == {name: kinds[name] for name in table.column_names}


@pytest.mark.parametrize("pooling", ["mean", "cls", "none"])
def test_embeddings_in_parquet_are_vectors_of_fixed_size(pooling, folders, tmp_path):
    lines = write_input("jsonl", tmp_path / "in", [{"id": 7 + place, "text": t} for place, t in enumerate(TEXT_LINES)])
    arguments = [*on("feature-extraction", folders), "--pooling", pooling, "--lines", lines]
    run(*arguments, "--out", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    vector = pa.list_(pa.float32(), 21)
    assert table.schema.field("result").type.equals(pa.list_(vector) if pooling == "none" else vector)
    assert table.column("id").to_pylist() == [7, 8, 9]
    expected = pipe_on("feature-extraction", folders)(TEXT_LINES, pooling=pooling, return_tensors=True)
    run(*arguments, "--out", tmp_path / "out.csv")
    run(*arguments, "--out", tmp_path / "out.jsonl")
    printed = (tmp_path / "out.jsonl").read_text()
    assert printed == run(*arguments)
    for row, text, line, array in zip(
        table.column("result").to_pylist(), read_csv(tmp_path / "out.csv"), printed.splitlines(), expected, strict=True
    ):
        array = array[0] if pooling == "none" else array
        np.testing.assert_allclose(np.array(row, np.float32), array, atol=1e-6)
        np.testing.assert_allclose(np.array(strict(text["result"])), array, atol=1e-6)
        np.testing.assert_allclose(np.array(strict(line)["result"]).reshape(array.shape), array, atol=1e-6)


def test_float64_vectors_are_written_as_float32(folders, tmp_path):
    arguments = [*on("feature-extraction", folders), "--dtype", "float64", "A text."]
    run(*arguments, "--out", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").schema.field("result").type.equals(pa.list_(pa.float32(), 21))


def test_no_inputs_make_a_table_with_its_columns(folders, tmp_path):
    (tmp_path / "in.csv").write_text("id,text\n")
    for ending in ("parquet", "csv", "jsonl"):
        out = tmp_path / f"out.{ending}"
        run(*on("feature-extraction", folders), "--lines", tmp_path / "in.csv", "--out", out)
    assert pq.read_table(tmp_path / "out.parquet").schema.names == ["id", "result"]
    assert (tmp_path / "out.csv").read_text() == "id,result\n"
    assert (tmp_path / "out.jsonl").read_text() == ""


EXACT = {
    "when": pa.array([1, 2**40 + 1, None], pa.timestamp("ns", "UTC")),
    "day": pa.array([datetime.date(2020, 1, 2), None, None]),
    "price": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("3.00")], pa.decimal128(9, 2)),
    "small": pa.array([1, None, 3], pa.int8()),
    "share": pa.array([math.nan, None, 0.5], pa.float32()),
    "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
    "raw": pa.array([b"\xff", None, b""]),
    "tags": pa.array([["x"], [], None], pa.list_(pa.string())),
    "big": pa.array(["long", None, "\u00fc"], pa.large_string()),
    "map": pa.array([[("a", 1.5), ("b", math.nan)], [], None], pa.map_(pa.string(), pa.float64())),
    "struct": pa.array([{"a": [1]}, None, {"a": None}]),
}


@pytest.mark.parametrize("as_type", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_columns_of_parquet_keep_their_types_and_values(as_type, folders, tmp_path):
    table = pa.table({**EXACT, "text": pa.array(TEXT_LINES).cast(as_type)})
    pq.write_table(table, tmp_path / "in.parquet")
    arguments = [*on("feature-extraction", folders), "--lines", tmp_path / "in.parquet"]
    run(*arguments, "--out", tmp_path / "out.parquet")
    kept = pq.read_table(tmp_path / "out.parquet")
    written = pq.read_table(tmp_path / "in.parquet").drop_columns("text")
    assert kept.drop_columns("result").schema.equals(written.schema)
    for name in written.column_names:
        got, expected = (str(found.column(name).combine_chunks()) for found in (kept, written))
        assert got == expected, name
    first, second, third = map(strict, run(*arguments).splitlines())
    assert {name: first[name] for name in ("day", "price", "small", "share", "kind", "tags")} == {
        "day": "2020-01-02", "price": "1.10", "small": 1, "share": None, "kind": "a", "tags": ["x"]
    }  # fmt: skip
    assert first["when"].startswith("1970-01-01")
    assert (first["map"], first["struct"]) == ([["a", 1.5], ["b", None]], {"a": [1]})
    assert (second["raw"], third["big"]) == (None, "\u00fc")
    run(*arguments, "--out", tmp_path / "out.csv")
    row = read_csv(tmp_path / "out.csv")[0]
    assert [row[name] for name in ("day", "price", "small", "share", "kind", "tags")] == [
        "2020-01-02", "1.10", "1", "", "a", '["x"]'
    ]  # fmt: skip


FIELDS = [
    ({"n": 1}, {"n": 2**62}, "int64", [1, 2**62]),
    ({"n": 1}, {"n": 2.5}, "double", [1.0, 2.5]),
    ({"n": 2**60 + 1}, {"n": 0.5}, "double", [float(2**60), 0.5]),
    ({"n": 1}, {"n": "a"}, "string", ["1", "a"]),
    ({"n": True}, {"n": None}, "bool", [True, None]),
    ({"n": True}, {"n": 1}, "string", ["true", "1"]),
    ({"n": None}, {}, "string", [None, None]),
    ({}, {"n": 1}, "int64", [None, 1]),
    ({"n": [1, None]}, {"n": {"a": "ü"}}, "string", ["[1, null]", '{"a": "ü"}']),
    ({"n": 2**64}, {"n": 1}, "string", [str(2**64), "1"]),
    ({"n": "\ud800"}, {"n": "a"}, "string", ["\\ud800", "a"]),
]


@pytest.mark.parametrize(("first", "second", "type_", "values"), FIELDS, ids=lambda value: str(value)[:20].encode())
@pytest.mark.parametrize("many", [False, True])
def test_fields_of_lines_have_one_type_for_the_whole_file(first, second, type_, values, many, folders, tmp_path):
    """Also where the second kind of value comes after many others, and from standard input, which is read once."""
    between = [{**first, "text": "a"}] * (1500 if many else 0)
    lines = "".join(json.dumps(row) + "\n" for row in [{**first, "text": "a"}, *between, {**second, "text": "b"}])
    if many:
        from lf_ref.records.columns import Answers, Table, types_of
        from lf_ref.records.record import Fields
        from lf_ref.records.sources import Lines

        (tmp_path / "in.jsonl").write_text(lines)
        records = [Fields().record("x", 1, value) for _, value in Lines(str(tmp_path / "in.jsonl"))]
        table = Table(types_of(records), Answers())
        with open(tmp_path / "out.parquet", "wb") as file:
            parquet.write_parquet(file, ((record, {}) for record in records), table)
    else:
        run(
            "tokenize", "--lines", "-", "--out", tmp_path / "out.parquet", stdin=lines,
        )  # fmt: skip
    found = pq.read_table(tmp_path / "out.parquet").column("n")
    assert str(found.type) == type_
    assert [found[0].as_py(), found[-1].as_py()] == values


def test_times_that_python_does_not_have_keep_their_values(tmp_path):
    far = {"day": pa.array([2**30, 1], pa.date32()), "when": pa.array([2**60, 1], pa.timestamp("us"))}
    pq.write_table(pa.table({**far, "text": ["a", "b"]}), tmp_path / "in.parquet")
    first, second = map(strict, run("tokenize", "--lines", tmp_path / "in.parquet").splitlines())
    assert all(str(2**30 if name == "day" else 2**60) in first[name] for name in far)
    assert (second["day"], second["when"]) == ("1970-01-02", "1970-01-01 00:00:00.000001")
    run("tokenize", "--lines", tmp_path / "in.parquet", "--out", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").select([*far]).equals(pa.table(far))
    said = fails("tokenize", "--lines", tmp_path / "in.parquet", "--text-field", "day")
    assert "row 1" in said
    assert "must be a text (str), got Date32Scalar" in said


NO_TEXT = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])


@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (["text", "n", "n"], [["a"], [1], [2]], "in.parquet has the column 'n' twice"),
        (["text"], [NO_TEXT], "Invalid UTF8 sequence"),
        (["text", "n"], [["a"], pa.ListArray.from_arrays([0, 1], NO_TEXT)], "Invalid UTF8 sequence"),
        ([], [], "in.parquet cannot be read as Parquet: No such file or directory\n"),
    ],
)
def test_parquet_that_cannot_be_read_is_an_error(names, columns, message, tmp_path):
    if names:
        pq.write_table(pa.Table.from_arrays([pa.array(one) for one in columns], names), tmp_path / "in.parquet")
    assert message in fails("tokenize", "--lines", tmp_path / "in.parquet", "--on-error", "record")


def test_nanoseconds_need_no_pandas(tmp_path):
    ns = pa.timestamp("ns")
    times = pa.array([1, None, 2**40 + 1], ns)
    nested = {
        "list": pa.array([[1, None], [], None], pa.list_(ns)),
        "map": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), ns)),
        "struct": pa.array([{"a": [1]}, None, {"a": None}], pa.struct([("a", pa.list_(ns))])),
    }
    pq.write_table(pa.table({"when": times, **nested, "text": ["a"] * 3}), tmp_path / "in.parquet")
    (tmp_path / "pandas.py").write_text("raise ImportError('hidden')")
    code = "import sys\nsys.path.insert(0, '.')\nfrom lf_ref.cli import main\nmain(sys.argv[1:])"
    command = [sys.executable, "-c", code, "tokenize", "--lines", "in.parquet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    first, *others = map(strict, done.stdout.splitlines())
    when = "1970-01-01 00:00:00.000000001"
    assert [line["when"] for line in (first, *others)] == [when, None, "1970-01-01 00:18:19.511627777"]
    assert (first["list"], first["map"], first["struct"]) == ([when, None], [["a", when]], {"a": [when]})
    assert [[line[name] for name in nested] for line in others] == [[[], [], None], [None, None, {"a": None}]]
    subprocess.run([*command, "--out", "out.parquet"], cwd=tmp_path, capture_output=True, check=True)
    assert pq.read_table(tmp_path / "out.parquet").column("when").combine_chunks().equals(times)


@pytest.mark.skipif(sys.platform == "win32", reason="needs ulimit")
def test_a_disk_without_room_for_the_copy_of_standard_input(tmp_path):
    script = f"ulimit -f 8; yes 'A text.' | head -5000 | {sys.executable} -m lf_ref tokenize --lines - --out out.csv"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch("Error: the copy of standard input in .* cannot be written: File too large\n", done.stderr)
    assert list(tmp_path.iterdir()) == []


def test_a_field_of_the_inputs_that_is_a_column_of_the_results(folders, tmp_path):
    path = write_input("csv", tmp_path / "in", [{"text": "A.", "label": "good"}])
    arguments = [*on("text-classification", folders), "--lines", path]
    assert strict(run(*arguments))["label"] == "good"
    said = fails(*arguments, "--out", tmp_path / "out.parquet")
    assert said == f'Error: {path} has the field "label", which the result is written to: rename one\n'
    run(*arguments, "--out", tmp_path / "out.jsonl")


def test_one_text_may_be_written_too(folders, tmp_path):
    out = tmp_path / "out.parquet"
    run(*on("text-classification", folders), "--out", out, "A text.")
    [row] = pq.read_table(out).to_pylist()
    assert list(row) == ["label", "score", "result"]


# --- errors -----------------------------------------------------------------------------------------------------------

LINES = ['{"id": "a", "text": "A <mask>."}', "", '{"id": "b"}', "no mask", '{"id": "c", "text": null}', "A <mask>."]


def test_errors_are_recorded_in_place_and_counted(tmp_path):
    arguments = ["fill-mask", *PLAIN, "--top-k", "1", "--lines", "-"]
    code, out, err = ends(*arguments, "--on-error", "record", stdin="\n".join(LINES))
    found = [strict(line) for line in out.splitlines()]
    assert (code, err) == (1, "Error: 4 of 6 lines have an error, and no result\n")
    where = "of standard input"
    assert found[1] == {"id": 2, "error": f"line 2 {where} is empty"}
    assert found[2] == {
        "id": "b", "error": f"line 3 {where} must have the field text, got id; name another one with --text-field"
    }  # fmt: skip
    assert found[3] == {
        "id": 4, "error": f"line 4 {where} has no <mask>: write it where a word is to be found"
    }  # fmt: skip
    assert found[4] == {
        "id": "c", "error": f"line 5 {where} must be a text (str), got None, a missing value: drop it"
    }  # fmt: skip
    assert [found[0]["id"], len(found[0]["result"]), len(found[5])] == ["a", 1, 1]
    code, out, err = ends(*arguments, stdin="\n".join(LINES))
    assert (code, len(out.splitlines()), err) == (2, 1, f"Error: line 2 {where} is empty\n")
    assert ends(*arguments, "--on-error", "record", stdin=LINES[0])[0] == 0


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_errors_are_written_in_place(ending, folders, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text("id,text\n1,A text.\n2,\n3\n4,Another.\n")
    out = tmp_path / f"out.{ending}"
    arguments = [*on("feature-extraction", folders), "--lines", path, "--on-error", "record", "--out", out]
    code, _, err = ends(*arguments)
    assert (code, err) == (1, f"wrote {out}: 4 rows\nError: 2 of 4 rows have an error, and no result\n")
    if ending == "parquet":
        found = pq.read_table(out).to_pylist()
    else:
        found = read_csv(out) if ending == "csv" else [json.loads(line) for line in out.read_text().splitlines()]
    errors = [row.get("error") or None for row in found]
    assert errors == [
        None,
        f"the text of row 2 of {path} is empty",
        f"row 3 of {path} has 1 values, and the header has 2 names",
        None,
    ]
    assert [bool(row.get("result")) for row in found] == [True, False, False, True]
    assert [row["id"] for row in found] == ["1", "2", "3", "4"]
    code, _, _ = ends(*arguments[:-4], "--out", out)
    assert code == 2
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("more", [1, 2])
def test_a_row_of_csv_with_too_many_values_is_an_error(more, tmp_path):
    path = tmp_path / "in.csv"
    path.write_text(f'id,text\n1,Cold{", and wet" * more}\n2,"Cold, and wet"\n')
    code, out, _ = ends("tokenize", "--lines", path, "--on-error", "record")
    first, second = map(strict, out.splitlines())
    assert first == {"id": "1", "error": f"row 1 of {path} has {2 + more} values, and the header has 2 names"}
    assert (code, second["id"], "result" in second) == (1, "2", True)


def test_files_that_cannot_be_read_are_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    for name, content in {"a": b"A.", "b": b"\xff", "c": b" \n", "d": b"D."}.items():
        (tmp_path / "docs" / name).write_bytes(content)
    code, out, err = ends("tokenize", "--files", "docs", "--on-error", "record")
    assert (code, err) == (1, "Error: 2 of 4 files have an error, and no result\n")
    found = [strict(line) for line in out.splitlines()]
    assert [line["id"] for line in found] == ["docs/a", "docs/b", "docs/c", "docs/d"]
    assert found[1]["error"] == "docs/b is not UTF-8: byte 0xff at offset 0"
    assert found[2]["error"] == "docs/c is empty"


def test_arrays_have_no_place_for_errors():
    said = fails("feature-extraction", "--lines", "x", "--on-error", "record", "--out", "x.npz")
    assert said == "Error: an array has no place for errors: --on-error record needs --out x.parquet\n"


def test_a_field_error_only_where_errors_are_recorded(tmp_path):
    line = '{"text": "A <mask>.", "error": "none"}'
    assert strict(run("tokenize", "--lines", "-", stdin=line))["error"] == "none"
    code, out, _ = ends("tokenize", "--lines", "-", "--on-error", "record", stdin=line)
    assert code == 1
    assert strict(out)["error"].startswith('line 1 of standard input has the field "error"')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'text\n"A.\n', "line 2: not CSV: unexpected end of data"),
        (b"text\nA.\n\xff\nB.\n", "line 3: not UTF-8"),
    ],
)
def test_csv_that_cannot_be_read_on_ends_the_job(content, message, tmp_path):
    (tmp_path / "in.csv").write_bytes(content)
    code, out, err = ends("tokenize", "--lines", tmp_path / "in.csv", "--on-error", "record")
    assert (code, len(out.splitlines())) == (2, content.count(b"A.\n", 0, -5))
    assert message in err


def test_a_line_of_broken_json_is_told_once(tmp_path):
    stdin = "\n".join(['{"text": "A.', "B.", "{C}"])
    code, out, err = ends("tokenize", "--lines", "-", stdin=stdin)
    assert (code, len(out.splitlines()), err.count("\n")) == (0, 3, 1)
    assert err.startswith("Warning: line 1 of standard input begins with { and is not JSON (Unterminated string")
    code, out, err = ends("tokenize", "--lines", "-", "--out", tmp_path / "out.csv", stdin=stdin)
    assert [line.partition(" ")[0] for line in err.splitlines()] == ["Warning:", "wrote"]


# --- strict JSON, bounds, and what is imported ------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400", '[NaN, {"a": -1e999}]'])
@pytest.mark.parametrize("out", [None, "out.jsonl"])
def test_output_is_strict_json(value, out, tmp_path):
    path = tmp_path / "out.jsonl"
    printed = run("tokenize", "--lines", "-", *(["--out", path] if out else []), stdin=f'{{"text": "A", "x": {value}}}')
    found = strict(path.read_text() if out else printed)["x"]
    assert found == ([None, {"a": None}] if value.startswith("[") else None)


def test_long_lines_and_values_are_errors_and_the_next_ones_are_read(monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "LONGEST", 64)
    stdin = f"{'a ' * 99}\nshort\n{'b' * 64}"
    code, out, _ = ends("tokenize", "--lines", "-", "--on-error", "record", stdin=stdin)
    assert code == 1
    assert ["error" in json.loads(line) for line in out.splitlines()] == [True, False, True]
    (tmp_path / "in.csv").write_text(f"text\nA.\n{'b' * 99}\n")
    before = csv.field_size_limit()
    assert "in.csv, line 2: not CSV: " in fails_after_one("tokenize", "--lines", tmp_path / "in.csv")
    assert csv.field_size_limit() == before


def fails_after_one(*arguments):
    code, out, err = ends(*arguments)
    assert (code, len(out.splitlines())) == (2, 1)
    return err


def test_large_inputs_are_read_a_bounded_number_of_bytes_ahead(monkeypatch):
    """However few their tokens are once they are cut, and with their other fields."""
    from lf_ref.records import answers
    from lf_ref.records.record import Record

    monkeypatch.setattr(answers, "_AHEAD", 1000)
    held = []

    def given():
        for number in range(50):
            held.append(number)
            body = "x" * 90 if number % 2 else pa.scalar(["x" * 80])
            yield Record(f"line {number}", number, "A text. " * 20, {"body": body})

    def stream(inputs, name, on_error):
        yield from ["result"] * len(list(inputs))  # reads all that it is given

    for count, (record, result) in enumerate(answers.answers(stream, given(), "stop"), start=1):
        assert (record.number, result) == (count - 1, "result")
        assert len(held) - count < 1000 / 250 + 1
    assert count == 50


def test_a_pipeline_reads_a_bounded_number_of_characters_ahead(monkeypatch, folders):
    monkeypatch.setattr("lf_ref.pipelines.base._CHARACTERS_AHEAD", 1000)
    read = []

    def texts():
        for number in range(40):
            read.append(number)
            yield "A long text. " * 20

    pipe = pipe_on("feature-extraction", folders, max_length=5)
    for count, _ in enumerate(pipe(texts()), start=1):
        assert len(read) - count <= 1000 // 260 + 1
    assert count == 40


@pytest.mark.parametrize("group", [7, 5000])
def test_parquet_is_read_and_written_in_pieces(group, monkeypatch, tmp_path):
    """Batches of rows are about as large as is held, whatever the groups of the file."""
    monkeypatch.setattr(parquet, "_BYTES", 4000)
    sizes = []
    plain = pq.ParquetFile.iter_batches

    def iter_batches(self, **options):
        for batch in plain(self, **options):
            sizes.append(batch.nbytes)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", iter_batches)
    texts = [f"{number} {'word ' * 40}" for number in range(300)]
    table = pa.table({"id": range(300), "text": texts})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=group, compression="none", use_dictionary=False)
    run("tokenize", "--lines", tmp_path / "in.parquet", "--out", tmp_path / "out.parquet")
    with pq.ParquetFile(tmp_path / "out.parquet") as found:
        assert found.num_row_groups > 10
        assert found.read().column("id").to_pylist() == list(range(300))
    assert len(sizes) > 10
    assert max(sizes) < 8000


def test_pyarrow_is_imported_only_where_it_is_needed_and_named_where_it_is_missing(tmp_path):
    code = (
        "import sys\nsys.modules['pyarrow'] = None\nfrom lf_ref.cli import main\nmain(sys.argv[1:], prog_name='lf-ref')"
    )
    (tmp_path / "in.csv").write_text("text,id\nA.,1\n")
    for arguments, expected in {
        ("--lines", "in.csv", "--out", "out.csv"): 0,
        ("--lines", "in.csv", "--out", "out.parquet"): 2,
        ("--lines", "in.parquet"): 2,
    }.items():
        done = subprocess.run(
            [sys.executable, "-c", code, "tokenize", *arguments],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == expected, done.stderr
        if expected:
            assert done.stderr.startswith("Error: Parquet files need pyarrow: pip install 'lf-ref[data]' (")
            assert done.stderr.count("\n") == 1


# --- the same options everywhere --------------------------------------------------------------------------------------

OPTIONS_OF_ALL = {"--file", "--lines", "--files", "--text-field", "--out", "--on-error", "--json"}


def test_every_command_that_reads_lines_has_all_options():
    names = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in main.commands.items()
        if isinstance(command, click.Command)
    }
    with_lines = {name for name, options in names.items() if "--lines" in options}
    assert with_lines >= {*CLASSES, "tokenize"}
    assert {name for name in with_lines if names[name] >= OPTIONS_OF_ALL} == with_lines


GUIDE = (Path(lf_ref.__file__).parent / "guides" / "files.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", [task for task in CLASSES if task != "feature-extraction"])
def test_the_guide_has_the_columns_of_each_task(task):
    [row] = re.findall(rf"^\| {task} \| (`.*`: .*) \|$", GUIDE, re.M)
    assert dict(re.findall(r"`(\w+)`: (\w+)", row)) == ANSWERS.get(task, JSON_ALONE).types
