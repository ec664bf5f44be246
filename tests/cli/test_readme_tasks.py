"""Each line of Python and of the shell in the README's table of tasks runs, on a small random checkpoint."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from pipelines.building import CLASSES, save_checkpoint

import lf_ref
from lf_ref.cli import main

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## Tasks\n")[2].partition("\n## ")[0]
# (task, line of Python, line of the shell) for each row of the table
ROWS = re.findall(r"^\| ([a-z-]+)\b.* \| `(pipeline\(.+\))` \| `(lf-ref .+)` \|$", SECTION, re.M)


def test_the_table_has_every_task():
    assert [task for task, _, _ in ROWS] == list(CLASSES)


@pytest.mark.parametrize(("task", "python", "shell"), ROWS, ids=[task for task, _, _ in ROWS])
def test_both_lines_run(task, python, shell, tmp_path):
    folder = str(save_checkpoint(task, tmp_path, seed=2))

    def pipeline(named, model):
        assert (named, model) == (task, folder)
        return lf_ref.pipeline(named, model, backend="numpy", num_threads=1)

    assert eval(python, {"pipeline": pipeline, "FOLDER": folder})
    words = shlex.split(shell)
    assert words[:2] == ["lf-ref", task]
    done = CliRunner().invoke(main, [folder if word == "FOLDER" else word for word in words[1:]], prog_name="lf-ref")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(("task", "shell"), [(task, shell) for task, _, shell in ROWS], ids=[row[0] for row in ROWS])
def test_the_help_shows_the_same_line(task, shell):
    assert shell in CliRunner().invoke(main, [task, "--help"], prog_name="lf-ref").stdout
