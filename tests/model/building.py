"""What the model's tests share: building one of our models from oracle weights, and the engines to try it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import lf_ref
from oracles.compare import assert_close
from oracles.tolerances import FLOAT32, FLOAT64

TOLERANCE = {"float64": FLOAT64, "float32": FLOAT32}
ENGINES = [
    pytest.param(backend, dtype, id=f"{backend}-{dtype}")
    for backend in ("numpy", "numba")
    for dtype in ("float64", "float32")
]
BACKENDS = ["numpy", "numba"]

# Examples are the same in every run: a failure seen once is seen again.
FEW = settings(
    max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)


def build(
    class_name: str,
    fields: Mapping[str, Any],
    state: Mapping[str, Any],
    backend: str = "numba",
    dtype: str = "float64",
    **options: Any,
) -> Any:
    """One of our models with the given config fields and weights."""
    config = lf_ref.LongformerConfig(**fields)
    return getattr(lf_ref, class_name)(config, state, dtype=dtype, backend=backend, **options)


def assert_outputs_match(output: Any, expected: Mapping[str, Any], tolerance: float) -> None:
    """Every field of our output record equals the oracle's of that name, and the oracle has none beside them."""
    names = [name for name in vars(output) if not name.startswith("_")]
    for name in names:
        wanted = expected.get(name)
        if isinstance(wanted, float):
            wanted = np.asarray(wanted)
        assert_close(getattr(output, name), wanted, tolerance, name)
    left = [name for name, value in expected.items() if value is not None and name not in (*names, "dense")]
    assert not left, f"fields that our output lacks: {left}"
