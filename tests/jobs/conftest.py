"""What the tests of jobs share: a tiny model, inputs, and what an undisturbed run of one process leaves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from jobs import faults
from jobs.building import job, left, write_inputs
from pipelines.building import save_checkpoint

from lf_ref.jobs.engines import local


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The folder of the inputs, the model, and the files of an undisturbed run of one process."""
    folder = tmp_path_factory.mktemp("jobs")
    write_inputs(folder / "in")
    model = str(save_checkpoint("feature-extraction", folder / "model", seed=3))
    summary = job(folder / "in", model, folder / "out")
    return SimpleNamespace(
        inputs=folder / "in", model=model, output=folder / "out", files=left(folder / "out"), summary=summary
    )


@pytest.fixture
def fault(monkeypatch, tmp_path):
    """A function that sets a fault: its kind and its number. Returns the folder of the marks."""

    def set_fault(kind, number):
        (tmp_path / "marks").mkdir(exist_ok=True)
        monkeypatch.setattr(local, "_PROGRAM", faults.PROGRAM)
        monkeypatch.setenv("FAULT", f"{kind} {number} {tmp_path / 'marks'}")
        return tmp_path / "marks"

    return set_fault
