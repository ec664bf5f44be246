"""A notebook runs with this Python, apart from what the user has set up, and ends at the first exception."""

from __future__ import annotations

import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from notebooks.running import METADATA
from notebooks.test_notebooks import RUNNING, rerun


def written(folder, *sources):
    """A notebook as an editor may leave it: with an old output, with metadata of its own."""
    cells = [new_code_cell(source, metadata={"tags": ["measured"], "collapsed": True}) for source in sources]
    cells[0].outputs = [nbformat.v4.new_output("stream", name="stdout", text="old")]
    path = folder / "made.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": {"name": "other", "display_name": "x"}}), path)
    return path


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """One notebook after a run."""
    folder = tmp_path_factory.mktemp("fresh")
    (folder / "rerun").mkdir()
    path = written(
        folder,
        "print('new')",
        "1 + 1",
        "import os, sys\nprint(sys.executable)",
        "print(os.listdir())",
        "print(os.environ['HF_HUB_OFFLINE'], os.path.exists(os.environ['HF_HOME']))",
        "import matplotlib\nprint(matplotlib.get_backend())",
    )
    return rerun(path, folder / "rerun", MPLBACKEND="agg")


def test_the_python_the_folder_and_the_settings(fresh):
    shown = [cell.outputs[0].text.strip() for cell in fresh.cells[2:]]
    assert shown[:3] == [sys.executable, "[]", "1 False"]
    assert shown[3].endswith("inline")


def test_outputs_are_replaced_and_only_tags_stay(fresh):
    assert fresh.metadata == METADATA
    assert [dict(cell.metadata) for cell in fresh.cells] == [{"tags": ["measured"]}] * 6
    assert [cell.execution_count for cell in fresh.cells] == [1, 2, 3, 4, 5, 6]
    assert fresh.cells[0].outputs[0].text == "new\n"
    assert fresh.cells[1].outputs[0].data["text/plain"] == "2"


def test_an_exception_ends_the_run_and_nothing_is_stored(tmp_path):
    path = written(tmp_path, "print('new')", "assert 1 == 2", "print('never')")
    before = path.read_bytes()
    done = subprocess.run([sys.executable, str(RUNNING), str(path)], capture_output=True, text=True)
    assert done.returncode != 0
    assert "AssertionError" in done.stderr
    assert path.read_bytes() == before
