"""Whatever ends a job, and whoever runs it: every row once, and parts of the same bytes as those of one process."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from jobs.building import BAD, EVERY_ROW, PARTS, ROWS, ROWS_PER_PART, job, left, rows_of

import lf_ref
from lf_ref import JobError
from lf_ref.compilation import MESSAGE
from lf_ref.jobs.engines import local

TESTS = Path(__file__).parents[1]
# A driver in a process of its own, whose workers fail.
DRIVER = """
import sys
from pathlib import Path
from jobs import building, faults
from lf_ref.jobs.engines import local
local._PROGRAM = faults.PROGRAM
building.job(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), **eval(sys.argv[4]))
"""


def driver(undisturbed, output, environment=None, /, **options):
    """Start a job in a process of its own."""
    paths = os.pathsep.join([str(TESTS), str(Path(lf_ref.__file__).parents[1])])
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(undisturbed.inputs), undisturbed.model, str(output), repr(options)],
        env={**os.environ, "PYTHONPATH": paths, **(environment or {})}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def assert_whole(summary, output, undisturbed):
    assert (summary.rows, summary.answered, summary.bad, summary.missing) == (23, 20, 3, 0)
    assert left(output) == undisturbed.files
    assert rows_of(output) == EVERY_ROW


def test_an_undisturbed_run(undisturbed):
    assert_whole(undisturbed.summary, undisturbed.output, undisturbed)
    names = set(undisturbed.files)
    parts = {f"part-{number:06d}.parquet" for number in range(PARTS)}
    errors = {f"errors-{number:06d}.jsonl" for number in (0, 2, 3)}
    assert names == parts | errors | {"manifest.json", "_SUCCESS"}
    assert undisturbed.summary.parts == PARTS
    assert undisturbed.summary.failed == {}


def test_null_overlong_and_broken_rows_are_listed_with_the_fields_to_keep(undisturbed):
    lines = [json.loads(line) for name in sorted(undisturbed.files) if name.startswith("errors")
             for line in undisturbed.files[name].splitlines()]  # fmt: skip
    assert [list(line) for line in lines] == [["file", "row", "id", "error"]] * 3
    for line, ((name, row), message) in zip(lines, BAD.items(), strict=True):
        assert line["file"] == str(undisturbed.inputs / name)
        assert line["row"] == row
        assert message in line["error"]
    assert [line["id"] for line in lines] == [102, 109, None]


def test_a_part_has_the_results_of_the_pipeline_and_says_what_it_is(undisturbed):
    pipe = lf_ref.pipeline("feature-extraction", undisturbed.model, backend="numpy", num_threads=1, pooling="mean")
    manifest = json.loads(undisturbed.files["manifest.json"])
    number = 0
    for name, count in ROWS.items():
        texts = [f"The ship {name} sailed {row} times." + " Twice!" * (row % 5) for row in range(count)]
        for first in range(0, count, ROWS_PER_PART):
            table = pq.read_table(undisturbed.output / f"part-{number:06d}.parquet")
            said = json.loads(table.schema.metadata[b"lf_ref"])
            rows = [row for row in range(first, min(first + ROWS_PER_PART, count)) if (name, row) not in BAD]
            assert table.column_names == ["file", "row", "id", "result"]
            assert (
                str(table.schema.field("result").type) == f"fixed_size_list<element: float>[{pipe.dimension('mean')}]"
            )
            assert table["row"].to_pylist() == rows
            assert set(table["file"].to_pylist()) <= {str(undisturbed.inputs / name)}
            assert table["id"].to_pylist() == [100 + row for row in rows]
            for row, vector in zip(rows, table["result"].to_pylist(), strict=True):
                assert vector == pytest.approx(pipe(texts[row]), abs=1e-5)
            bad = sum(1 for one, row in BAD if one == name and first <= row < first + ROWS_PER_PART)
            tokens = sum(len(pipe.tokenizer(texts[row])["input_ids"]) for row in rows)
            assert said == {"job": manifest["id"], "part": number, "answered": len(rows), "bad": bad, "tokens": tokens}
            number += 1
    assert number == PARTS


def test_a_finished_job_does_nothing(undisturbed):
    before = {path: path.stat().st_mtime_ns for path in undisturbed.output.iterdir()}
    summary = job(undisturbed.inputs, undisturbed.model, undisturbed.output, workers=2)
    assert_whole(summary, undisturbed.output, undisturbed)
    assert summary.documents_per_second == summary.tokens_per_second == 0
    assert {path: path.stat().st_mtime_ns for path in undisturbed.output.iterdir()} == before


def test_a_worker_is_killed(undisturbed, fault, tmp_path):
    marks = fault("kill", 2)
    summary = job(undisturbed.inputs, undisturbed.model, tmp_path / "out", workers=2)
    assert (marks / "happened").exists()
    assert_whole(summary, tmp_path / "out", undisturbed)


def test_a_row_that_kills_its_worker_fails_its_part_alone_until_it_is_mended(undisturbed, fault, tmp_path, monkeypatch):
    fault("kill-always", 1)
    summary = job(undisturbed.inputs, undisturbed.model, tmp_path / "out")
    assert (summary.answered, summary.bad, summary.missing) == (16, 3, 4)
    assert list(summary.failed) == [1]
    assert re.fullmatch(r"rows 4 to 7 of .*a\.parquet: its worker died 3 times, .* SIGKILL.*", summary.failed[1])
    gone = ("_SUCCESS", "part-000001.parquet")
    assert left(tmp_path / "out") == {name: one for name, one in undisturbed.files.items() if name not in gone}
    monkeypatch.setenv("FAULT", f"kill 99 {tmp_path}")
    assert_whole(
        job(undisturbed.inputs, undisturbed.model, tmp_path / "out", resume=True), tmp_path / "out", undisturbed
    )


def test_a_driver_is_killed_and_its_workers_end_with_it(undisturbed, fault, tmp_path):
    marks = fault("driver", 2)
    killed = driver(undisturbed, tmp_path / "out", workers=2)
    assert killed.wait(timeout=120) == -9
    assert not killed.stderr.close()
    deadline = time.monotonic() + 10
    worker = int((marks / "happened").read_text())
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline, "a worker outlives its driver"
        time.sleep(0.05)
    assert "_SUCCESS" not in left(tmp_path / "out")
    with pytest.raises(lf_ref.InputError, match=r"holds this job, with \d of 7 parts: resume=True goes on"):
        job(undisturbed.inputs, undisturbed.model, tmp_path / "out")
    summary = job(undisturbed.inputs, undisturbed.model, tmp_path / "out", resume=True, num_threads=2)
    assert_whole(summary, tmp_path / "out", undisturbed)


def test_two_drivers_on_one_output(undisturbed, fault, tmp_path):
    fault("kill", 99)
    other = driver(undisturbed, tmp_path / "out", resume=True)
    summary = job(undisturbed.inputs, undisturbed.model, tmp_path / "out", resume=True)
    assert other.wait(timeout=120) == 0, other.stderr.read()
    other.stderr.close()
    assert_whole(summary, tmp_path / "out", undisturbed)


def test_an_array_of_three(undisturbed, tmp_path):
    for done, index in enumerate((2, 0, 1), start=1):
        summary = job(undisturbed.inputs, undisturbed.model, tmp_path / "out", shard=(index, 3))
        assert summary.rows == summary.answered + summary.bad + summary.missing == 23
        assert ("_SUCCESS" in left(tmp_path / "out")) == (done == 3)
        assert summary.failed == {}
    assert_whole(summary, tmp_path / "out", undisturbed)


def test_a_full_disk_ends_the_job_which_goes_on_when_there_is_room(undisturbed, fault, tmp_path, monkeypatch):
    fault("full", 2)
    with pytest.raises(JobError, match=r"the output .*out cannot be written: File too large.*resume=True goes on"):
        job(undisturbed.inputs, undisturbed.model, tmp_path / "out", workers=2)
    assert not list((tmp_path / "out").glob(".*"))
    monkeypatch.setenv("FAULT", f"kill 99 {tmp_path}")
    assert_whole(
        job(undisturbed.inputs, undisturbed.model, tmp_path / "out", resume=True), tmp_path / "out", undisturbed
    )


def test_an_interruption_leaves_a_job_that_resumes(undisturbed, fault, tmp_path):
    fault("interrupt", 2)
    ended = driver(undisturbed, tmp_path / "out")
    message = ended.communicate(timeout=120)[1]
    assert message.rstrip().endswith("KeyboardInterrupt"), message
    summary = job(undisturbed.inputs, undisturbed.model, tmp_path / "out", resume=True)
    assert_whole(summary, tmp_path / "out", undisturbed)


@pytest.mark.jit
def test_four_workers_with_an_empty_cache_of_kernels(undisturbed, fault, tmp_path):
    fault("kill", 99)
    environment = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for output, workers in (("four", 4), ("one", 1)):
        done = driver(undisturbed, tmp_path / output, environment, workers=workers, backend="numba")
        assert done.communicate(timeout=600)[1] in ("", f"{MESSAGE}\n")
        assert done.returncode == 0
    assert list((tmp_path / "cache").rglob("*.nbc"))
    assert left(tmp_path / "four") == left(tmp_path / "one")
    assert rows_of(tmp_path / "four") == EVERY_ROW


def test_a_worker_that_cannot_take_the_job_says_why(undisturbed, monkeypatch, tmp_path):
    """As one does that has another version of the package."""
    broken = "import sys; sys.path[:] = {path!r}; from lf_ref.jobs import worker; del worker.Setting; "
    monkeypatch.setattr(local, "_PROGRAM", broken + local._PROGRAM.split("; ", 2)[2])
    with pytest.raises(JobError, match=r"a worker failed: AttributeError: .*Setting"):
        job(undisturbed.inputs, undisturbed.model, tmp_path / "out")


def test_workers_that_die_before_they_are_ready_end_the_job(undisturbed, monkeypatch, tmp_path):
    monkeypatch.setattr(local, "_PROGRAM", "import os; os._exit(7)  # {path} {pipe}")
    with pytest.raises(JobError, match="workers die before they are ready, the last by exit code 7"):
        job(undisturbed.inputs, undisturbed.model, tmp_path / "out", workers=3)
    shutil.rmtree(tmp_path / "out")
