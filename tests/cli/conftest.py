"""Fixtures of the command line's tests."""

from __future__ import annotations

import pytest
from pipelines.building import CLASSES, save_checkpoint


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """A small random checkpoint for each task; no test may change it."""
    return {task: str(save_checkpoint(task, tmp_path_factory.mktemp(task), seed=2)) for task in CLASSES}
