"""Every notebook runs, within a minute on two cores, and still shows what is stored in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from notebooks.comparing import MEASURED, differences
from notebooks.running import METADATA

ROOT = Path(__file__).parents[2]
RUNNING = Path(__file__).with_name("running.py")
FOUND = sorted(path for path in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
EXPECTED = [
    "01_tokenizer",
    "02_sliding_window",
    "03_global_attention",
    "04_encoder_from_scratch",
    "05_fast_kernels",
    "06_oracle",
    "07_official_checkpoints",
    "08_long_documents",
]
# Those with numbers that are of a machine: times and rates, rounding errors.
MEASURING = ["05_fast_kernels", "06_oracle"]
_SECONDS = 2 * 60  # of processor time, so that what else the machine does is not counted: a minute on two cores

each = pytest.mark.parametrize("path", FOUND, ids=lambda path: path.stem)


def rerun(path: Path, folder: Path, **environment: str) -> nbformat.NotebookNode:
    """The notebook as it is after a run of its own, in another process: Jupyter's event loops stay out of this one."""
    copy = folder / path.name
    copy.write_bytes(path.read_bytes())
    done = subprocess.run(
        [sys.executable, str(RUNNING), str(copy)], env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return nbformat.read(copy, as_version=4)


def test_the_notebooks_are_those_that_are_expected():
    assert [path.relative_to(ROOT / "notebooks").as_posix() for path in FOUND] == [f"{name}.ipynb" for name in EXPECTED]


@each
def test_runs_within_a_minute_and_shows_what_is_stored(path, tmp_path):
    stored = nbformat.read(path, as_version=4)
    before = os.times()
    fresh = rerun(path, tmp_path)
    after = os.times()
    assert differences(stored, fresh) == []
    used = after.children_user + after.children_system - before.children_user - before.children_system
    assert used < _SECONDS


@each
def test_what_is_stored_is_a_complete_run_without_a_word_on_standard_error(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for output in [output for cell in cells for output in cell.outputs]:
        assert output.output_type in ("stream", "display_data", "execute_result")
        assert output.get("name") != "stderr"


@each
def test_has_pictures_and_is_small(path):
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert path.stat().st_size < 450_000


@each
def test_tells_nothing_of_the_machine(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata == METADATA
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
        assert all(not output.get("metadata") for output in cell.get("outputs", []))
    text = re.sub(r'"image/png": "[^"]*"', "", path.read_text(encoding="utf-8"))
    assert re.findall(r"/home/|/Users/|/root/|/tmp/|/var/|\w:\\\\|site-packages|ipykernel_\d", text) == []


@each
def test_only_what_is_measured_is_exempt_from_the_comparison_of_numbers(path):
    tags = [tag for cell in nbformat.read(path, as_version=4).cells for tag in cell.metadata.get("tags", [])]
    assert set(tags) == ({MEASURED} if path.stem in MEASURING else set())


@each
def test_links_lead_to_files_that_are_there(path):
    text = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith("https://"):
            assert (path.parent / target).exists(), target
