"""Results into JSONL, CSV, Parquet and NumPy's files: their columns, types and values."""

from __future__ import annotations

import datetime
import decimal
import json
import math
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli.file_cases import (
    BEST,
    TEXT_LINES,
    expected_for,
    read_csv,
    rows_for,
    strict,
    write_input,
)
from cli.running import on, pipe_on, run
from cli.test_lines import ARGUMENTS, fails
from pipelines.building import CLASSES, assert_alike

from lf_ref.records import parquet


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
