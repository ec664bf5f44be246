"""The rule for lines and other fields, against a plain statement of it, on drawn inputs."""

from __future__ import annotations

import csv
import io
import json
import math
import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref import InputError
from lf_ref.records.columns import Answers, Table, types_of
from lf_ref.records.record import Fields, Record
from lf_ref.records.sources import CsvRows, Lines
from lf_ref.records.writing import json_line, write

FEW = settings(max_examples=60, deadline=None, derandomize=True, database=None)
WORDS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=9)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
NAMES = WORDS.filter(lambda name: name not in ("text", "result", "error"))


def plain(value):
    """A value without NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [plain(one) for one in value]
    return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value


def meant(line):
    """What a line means."""
    try:
        value = json.loads(line)
    except ValueError:
        return line
    return plain(value) if isinstance(value, str | dict) else line


LINES = st.one_of(
    VALUES.map(json.dumps),
    st.text(st.sampled_from('{}[]":, \\ab1é'), max_size=9),
    st.dictionaries(WORDS, VALUES, max_size=3).map(lambda value: f"  {json.dumps(value)} "),
)


@FEW
@given(st.lists(LINES, max_size=5))
def test_lines_mean_what_the_rule_says(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("lines") / "in"
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [value for _, value in Lines(str(path))]
    assert len(found) == len(lines)
    for value, line in zip(found, lines, strict=True):
        if line.strip():
            assert value == meant(line)
        else:
            assert isinstance(value, InputError)


@FEW
@given(st.dictionaries(NAMES, VALUES, min_size=1, max_size=4))
def test_other_fields_come_out_as_they_came(rest):
    record = Fields(taken=["result", "error"]).record("x", 1, {**plain(rest), "text": "a"})
    assert record.given == "a"
    assert json.loads(json_line(record, [1.5])) == {**plain(rest), "result": [1.5]}


@FEW
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=3), min_size=1, max_size=4))
def test_tables_hold_every_value_of_other_fields(tmp_path_factory, rows):
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("tables")
    records = [Record("x", place, "a", plain(row)) for place, row in enumerate(rows, start=1)]
    types = types_of(records)
    write(folder / "out.parquet", ((record, {}) for record in records), Table(types, Answers()))
    for record, found in zip(records, pq.read_table(folder / "out.parquet").to_pylist(), strict=True):
        for name, type_ in types.items():
            value = record.rest.get(name)
            if type_ == "string" and not isinstance(value, str | None):
                assert json.loads(found[name]) == value
            elif type_ == "float64" and value is not None:
                assert found[name] == float(value)
            else:
                assert found[name] == value


@FEW
@given(st.lists(st.tuples(WORDS, WORDS), max_size=5))
def test_rows_of_csv_are_those_of_its_writer(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "in.csv"
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("id", "text"), *rows])
    path.write_bytes(text.getvalue().encode())
    assert [value for _, value in CsvRows(str(path))] == [{"id": one, "text": other} for one, other in rows]
