"""A tokenizer's files, for a test to change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tokenizer.vocabularies import DEMO, FILES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo's tokenizer in its four files."""
    for name in FILES:
        shutil.copy(DEMO / name, tmp_path / name)
    return tmp_path
