"""The first divergent tensor: which it is, and which candidates are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testing.building import as_float32, trace_of

from lf_ref import InputError, testing
from model.building import FEW

NAME = "encoder.layer.0.attention.self.value"


def first(report: testing.Report) -> testing.Tensor:
    assert report.first_divergence is not None, str(report)
    return report.first_divergence


def test_what_is_no_array_is_a_divergence():
    trace = trace_of()
    report = testing.compare({**as_float32(trace), NAME: object()}, trace)
    assert first(report).name == NAME
    assert "offers neither a usable __array__" in first(report).reason
    assert NAME in str(report)


@FEW
@given(st.data())
def test_the_first_of_several_faults_is_named(data):
    trace = trace_of()
    candidate = as_float32(trace)
    names = list(candidate)
    broken = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=4))
    for name in broken:
        candidate[name] = np.where(np.isfinite(candidate[name]), candidate[name] + np.float32(1), candidate[name])
    shuffled = data.draw(st.permutations(names))
    report = testing.compare({name: candidate[name] for name in shuffled}, trace)
    assert not report.passed
    assert first(report).name == min(broken, key=names.index)
    assert {tensor.name for tensor in report.tensors.values() if not tensor.passed} == broken
    assert {tensor.name for tensor in report.tensors.values() if tensor.hints} <= {first(report).name}


def test_a_candidate_may_have_few_names():
    trace = trace_of()
    report = testing.compare({"encoder.layer.1": trace["encoder.layer.1"].astype(np.float32), "mine": 3}, trace)
    assert report.passed
    assert "encoder.layer.0.attention.self.query" in report.missing
    assert "encoder.layer.1.output.LayerNorm" not in report.missing
    assert report.unknown == ("mine",)


def test_an_empty_candidate_is_an_error():
    with pytest.raises(InputError, match="the candidate is empty: pass one tensor or more"):
        testing.compare({}, trace_of())


def test_a_precision_that_is_none_is_refused_before_anything_is_measured():
    with pytest.raises(InputError, match="precision must be one of float64, float32, bfloat16, float16, got 'float17'"):
        testing.calibrate(trace_of(), "float17")
