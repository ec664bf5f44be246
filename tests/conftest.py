"""Settings of the whole suite."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Have pytest-xdist keep the tests of a file together, since they share what is slow to make."""
    if config.getoption("dist", "no") == "load":  # what -n alone means
        config.option.dist = "loadfile"
