"""Each example of the page of tasks and each row of the README's table runs, on a small random checkpoint."""

from __future__ import annotations

import re
import shlex

import pytest
from click.testing import CliRunner
from pipelines.building import CLASSES, save_checkpoint

from lf_ref import pipeline
from lf_ref.cli import main
from oracles.documents import DOCUMENTS, ROOT, blocks, read

SECTION = read(ROOT / "README.md").partition("\n## Tasks\n")[2].partition("\n## ")[0]
PAGE = read(ROOT / "lf_ref" / "pipelines" / "README.md")
# A block of Python for each task; and a row with a line of the shell and a call.
BLOCKS = {
    re.findall(r'pipeline\("([a-z-]+)", "FOLDER"', text)[0]: text for kind, text in blocks(PAGE) if kind == "python"
}
ROWS = re.findall(r"^\| ([a-z-]+) \| `(lf-ref .+?)` \| `(.+?)` \| .+ \|$", SECTION, re.M)
each_row = pytest.mark.parametrize(("task", "shell", "call"), ROWS, ids=[row[0] for row in ROWS])


def test_every_task_has_an_example():
    assert list(BLOCKS) == [row[0] for row in ROWS] == list(CLASSES)
    assert re.findall(r"^    (lf-ref .+)$", PAGE, re.M) == [row[1] for row in ROWS]


def test_no_block_elsewhere_names_a_folder():
    assert sum('"FOLDER"' in text for path in DOCUMENTS for _, text in blocks(read(path))) == len(BLOCKS)


def test_examples_are_five_lines():
    for task, text in BLOCKS.items():
        assert len(text.strip().splitlines()) <= 6, task  # the empty line after the import not counted


@pytest.mark.parametrize("task", BLOCKS)
def test_the_block_runs(task, tmp_path, capsys):
    folder = save_checkpoint(task, tmp_path, seed=2)
    exec(BLOCKS[task].replace("FOLDER", str(folder)), {})
    assert capsys.readouterr().out


@each_row
def test_the_line_runs(task, shell, call, tmp_path):
    folder = str(save_checkpoint(task, tmp_path, seed=2))
    words = shlex.split(shell)
    assert words[:2] == ["lf-ref", task]
    done = CliRunner().invoke(main, [folder if word == "FOLDER" else word for word in words[1:]], prog_name="lf-ref")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout


@each_row
def test_the_help_shows_the_same_line(task, shell, call):
    assert shell in CliRunner().invoke(main, [task, "--help"], prog_name="lf-ref").stdout


@each_row
def test_the_call_runs(task, shell, call, tmp_path):
    assert eval(call, {"task": pipeline(task, save_checkpoint(task, tmp_path, seed=2))})
