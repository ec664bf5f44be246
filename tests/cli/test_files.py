"""Strict JSON, inputs of any length in bounded memory, what is imported, and the options of all commands."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli.file_cases import (
    ends,
    strict,
)
from cli.running import pipe_on, run
from pipelines.building import CLASSES

import lf_ref
from lf_ref.cli import main
from lf_ref.records import parquet, sources
from lf_ref.records.columns import ANSWERS, JSON_ALONE


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
