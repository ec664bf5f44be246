"""`lf-ref map`: the options of each task, the summary, one line for each error, and exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli.running import examples
from cli.running import run as run_command
from click.testing import CliRunner
from jobs.building import write_inputs

import lf_ref
from lf_ref.batches.task import kind_of
from lf_ref.cli import main
from lf_ref.jobs.engines import local
from lf_ref.jobs.worker import Worker

MAP = main.commands["map"]
TESTS = Path(__file__).parents[1]


@pytest.fixture
def in_this_process(monkeypatch):
    """Run shards in this process."""

    def engine(todo, setting, *, workers, num_threads, address):
        worker = Worker(setting, num_threads)
        yield from ((number, worker(number)) for number in todo)

    monkeypatch.setattr(local, "engine", engine)


def arguments(folder, model):
    """The arguments of a job on the inputs in a folder."""
    return [
        "map", "feature-extraction", "--model", model, "--input", f"{folder}/in/*", "--output", f"{folder}/out",
        "--text-field", "body", "--keep", "id", "--rows-per-part", "4", "--backend", "numpy", "--num-threads", "1",
    ]  # fmt: skip


def test_the_summary_for_people_and_programs(in_this_process, folders, tmp_path):
    write_inputs(tmp_path / "in")
    line = arguments(tmp_path, folders["feature-extraction"])
    shown = run_command(*line)
    rows = dict(one.rsplit(maxsplit=1) for one in shown.splitlines())
    assert [rows[name] for name in ("rows", "answered", "bad", "missing", "parts", "failed")] == [
        "23",
        "20",
        "3",
        "0",
        "7",
        "0",
    ]
    again = json.loads(run_command(*line, "--json"))
    assert (again["answered"], again["failed"], again["documents_per_second"]) == (20, {}, 0)


def test_a_job_of_the_command_is_the_one_of_python(in_this_process, folders, tmp_path):
    write_inputs(tmp_path / "in")
    run_command(*arguments(tmp_path, folders["feature-extraction"]), "--normalize", "--max-length", "30")
    summary = lf_ref.jobs.run(
        "feature-extraction", folders["feature-extraction"], inputs=f"{tmp_path}/in/*", output=tmp_path / "out",
        text_field="body", keep=["id"], rows_per_part=4, backend="numpy", num_threads=1, normalize=True, max_length=30,
    )  # fmt: skip
    assert summary.documents_per_second == 0
    assert summary.missing == 0


@pytest.mark.parametrize("task", MAP.commands)
def test_a_task_has_the_options_of_the_command_of_its_name(task):
    options = {option.name for option in MAP.commands[task].params}
    own = {field.name for field in fields(kind_of(task).options_class)}
    plain = {option.name for option in main.commands[task].params if isinstance(option, click.Option)}
    assert (plain & own) - {"on_error"} == options & own
    assert not options & {"file", "lines", "files", "out", "pair"}
    assert {"inputs", "output", "resume", "shard", "workers", "model", "quiet"} <= options


def test_options_reach_the_pipeline_as_it_names_them(in_this_process, folders, tmp_path):
    pq.write_table(pa.table({"text": ["They won.", "They lost."]}), tmp_path / "a.parquet")
    usual = ["--input", tmp_path / "*.parquet", "--backend", "numpy", "--num-threads", "1"]
    run_command("map", "zero-shot-classification", "--model", folders["zero-shot-classification"], *usual,
                "--label", "sport", "--label", "war", "--multi-label", "--output", tmp_path / "labels")  # fmt: skip
    run_command("map", "token-classification", "--model", folders["token-classification"], *usual,
                "--ignore-label", "B-PER", "--output", tmp_path / "names")  # fmt: skip
    for name, options in {
        "labels": {"candidate_labels": ["sport", "war"], "multi_label": True},
        "names": {"ignore_labels": ["B-PER"]},
    }.items():
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        assert manifest["job"]["options"] == options


@pytest.mark.parametrize("task", MAP.commands)
def test_the_examples_run(task, in_this_process, folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("texts").mkdir()
    row = {
        "text": "A <mask>.",
        "body": "A <mask>.",
        "id": 7,
        "question": "Who?",
        "context": "Ada.",
        "choices": ["a", "b"],
    }
    pq.write_table(pa.Table.from_pylist([row]), "texts/a.parquet")
    [line] = examples("map", task)
    command = line.replace("FOLDER", folders.get(task, "")).replace('"', "").split()[1:]
    run_command(*command, "--backend", "numpy", "--num-threads", "1")
    assert (tmp_path / task / "_SUCCESS").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--shard", "3/3"], "'3/3' is not I/N, the I-th of N runs, I from 0 to N - 1."),
        (["--shard", "one"], "'one' is not I/N"),
        (["--text-field", "title"], "has no field 'title'; it has body, id, other"),
        (["--max-length", "1000"], "--max-length 1000 is too much: this model takes at most 71 tokens"),
        (["--rows-per-part", "0"], "--rows-per-part"),
        (["--model", "nowhere/at/all"], "nowhere/at/all"),
        (["--input", "nothing*"], "nothing* is no file, no folder, and no pattern of files here"),
    ],
)
def test_a_wrong_argument_is_one_line(changes, message, folders, tmp_path):
    write_inputs(tmp_path / "in")
    line = [*arguments(tmp_path, folders["feature-extraction"]), *changes]
    done = CliRunner().invoke(main, line, prog_name="lf-ref")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_exit_codes_of_a_failed_part_and_of_an_unfinished_job(folders, tmp_path, monkeypatch):
    def engine(todo, setting, *, workers, num_threads, address):
        worker = Worker(setting, num_threads)
        yield from ((number, worker(number) if number != 3 else "no luck") for number in todo)

    monkeypatch.setattr(local, "engine", engine)
    write_inputs(tmp_path / "in")
    line = arguments(tmp_path, folders["feature-extraction"])
    done = CliRunner().invoke(main, line, prog_name="lf-ref")
    assert done.exit_code == 1
    assert done.stderr == f"Error: part 3, rows 0 to 3 of {tmp_path}/in/b.jsonl: no luck\n"
    done = CliRunner().invoke(main, line, prog_name="lf-ref")
    assert done.exit_code == 2
    assert done.stderr.endswith("holds this job, with 6 of 7 parts: --resume goes on with it\n")
    assert CliRunner().invoke(main, [*line, "--shard", "1/3"], prog_name="lf-ref").exit_code == 0
    assert CliRunner().invoke(main, [*line, "--shard", "0/3"], prog_name="lf-ref").exit_code == 1


def test_an_interruption_is_one_line_and_exit_code_130(folders, tmp_path):
    write_inputs(tmp_path / "in")
    code = (
        "import sys\nfrom jobs import faults\nfrom lf_ref.jobs.engines import local\nlocal._PROGRAM = faults.PROGRAM\n"
        "from lf_ref.cli import main\nmain(sys.argv[1:], prog_name='lf-ref')"
    )
    paths = os.pathsep.join([str(TESTS), str(Path(lf_ref.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments(tmp_path, folders["feature-extraction"])],
        env={**os.environ, "PYTHONPATH": paths, "FAULT": f"interrupt 2 {tmp_path}"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "interrupted: the parts that are done stay, and --resume goes on\n"
    worker = int((tmp_path / "happened").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(worker, signal.SIGCONT)
