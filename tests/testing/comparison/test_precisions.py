"""Rounding to each precision, and precisions by name or dtype."""

from __future__ import annotations

import numpy as np
import pytest
from testing.building import as_float32, trace_of

from lf_ref import InputError, testing
from lf_ref.testing.comparison.precisions import PRECISIONS, to_bfloat16, to_float16
from oracles import reduced
from oracles.compare import assert_identical


def test_rounding_matches_exact_arithmetic():
    values = np.random.default_rng(2).standard_normal((37, 41)).astype(np.float32) * np.float32(1e3)
    values[0, :6] = [0.0, -0.0, np.inf, -np.inf, 1 + 2**-8, 1 + 3 * 2**-8]  # the last two are ties
    with np.errstate(invalid="ignore"):
        assert_identical(to_bfloat16(values), reduced.bfloat16(values).astype(np.float32), "bfloat16")
    assert np.isnan(to_bfloat16(np.array([np.nan], np.float32))).all()
    assert to_bfloat16(values[:, ::2]).shape == (37, 21)
    assert_identical(to_float16(values), values.astype(np.float16).astype(np.float32), "float16")
    assert np.isinf(to_float16(np.array([1e6], np.float32))).all()
    for precision in PRECISIONS.values():
        assert precision.round(values).dtype == np.float32


def test_precisions_by_name_or_dtype():
    trace = trace_of()
    named = type("Dtype", (), {"__repr__": lambda self: "torch.float32"})()
    for precision in ("float32", np.float32, np.dtype("float32"), named):
        assert testing.compare(as_float32(trace), trace, precision=precision).precision == "float32"
    with pytest.raises(InputError, match="precision must be one of float64, float32, bfloat16, float16, got 'int8'"):
        testing.compare(as_float32(trace), trace, precision="int8")
