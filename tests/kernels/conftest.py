"""Fixtures of the kernels' tests."""

from __future__ import annotations

import pytest
from kernels.processes import Compiled, compile_each_alone


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """A cache of machine code to copy; no test may change it."""
    return compile_each_alone(tmp_path_factory.mktemp("compiled"))
