"""Inputs from files: lines of JSON, CSV, Parquet, and one text in each file, in every command."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli.file_cases import (
    MAIN,
    TEXT_LINES,
    expected_for,
    rows_for,
    strict,
    write_input,
)
from cli.running import on, pipe_on, run
from cli.test_lines import ARGUMENTS, DOCUMENT, OPTIONS, fails
from pipelines.building import CLASSES, assert_alike


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
