"""Errors that are recorded in place of results, and those that end a job."""

from __future__ import annotations

import json
import os

import pyarrow.parquet as pq
import pytest
from cli.file_cases import (
    ends,
    read_csv,
    strict,
)
from cli.running import PLAIN, on, run
from cli.test_lines import fails

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
