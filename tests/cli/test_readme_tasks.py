"""Each block of Python and each line of the shell in the README's tasks runs, on a small random checkpoint."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from pipelines.building import CLASSES, save_checkpoint

from lf_ref.cli import main

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## Tasks\n")[2].partition("\n## ")[0]
# A block of Python and a line of the shell for each task.
BLOCKS = {
    re.findall(r'pipeline\("([a-z-]+)", "FOLDER"', text)[0]: text
    for text in re.findall(r"^```python\n(.*?)^```$", SECTION, re.S | re.M)
}
ROWS = re.findall(r"^\| ([a-z-]+) \| `(lf-ref .+)` \|$", SECTION, re.M)


def test_every_task_is_there():
    assert list(BLOCKS) == [task for task, _ in ROWS] == list(CLASSES)


def test_no_block_elsewhere_names_a_folder():
    assert README.count('"FOLDER"') == len(BLOCKS)


def test_examples_are_five_lines():
    for task, text in BLOCKS.items():
        assert len(text.strip().splitlines()) <= 6, task  # the empty line after the import not counted


@pytest.mark.parametrize("task", BLOCKS)
def test_the_block_runs(task, tmp_path, capsys):
    folder = save_checkpoint(task, tmp_path, seed=2)
    exec(BLOCKS[task].replace("FOLDER", str(folder)), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize(("task", "shell"), ROWS, ids=[task for task, _ in ROWS])
def test_the_line_runs(task, shell, tmp_path):
    folder = str(save_checkpoint(task, tmp_path, seed=2))
    words = shlex.split(shell)
    assert words[:2] == ["lf-ref", task]
    done = CliRunner().invoke(main, [folder if word == "FOLDER" else word for word in words[1:]], prog_name="lf-ref")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(("task", "shell"), ROWS, ids=[task for task, _ in ROWS])
def test_the_help_shows_the_same_line(task, shell):
    assert shell in CliRunner().invoke(main, [task, "--help"], prog_name="lf-ref").stdout
