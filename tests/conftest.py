"""Settings of the whole suite."""

from __future__ import annotations

import os

import pytest

# Before NumPy is imported: the threads of the tests' own small products would only wait for each other. lf_ref sets
# the number of its own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-xdist keep the tests of a file together, since they share what is slow to make."""
    if config.getoption("dist", "no") == "load":  # what -n alone means
        config.option.dist = "loadfile"
