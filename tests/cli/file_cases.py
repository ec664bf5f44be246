"""Rows for each task, files that hold them, and how a command on them ends."""

from __future__ import annotations

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
from cli.running import pipe_on
from cli.test_lines import DOCUMENT, OPTIONS, TASKS_OF_TEXTS
from click.testing import CliRunner
from pipelines.building import TEXTS

from lf_ref.cli import main

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
