"""Tolerances: calibrated, fixed and by name; their limits are exact."""

from __future__ import annotations

import math

import numpy as np
import pytest
from testing.building import as_float32, case_of, model_of, trace_of

from lf_ref import InputError, testing
from lf_ref.testing.comparison.calibration import ExpectedError, calibrate
from lf_ref.testing.comparison.precisions import PRECISIONS, to_bfloat16, to_float16
from lf_ref.testing.comparison.tolerances import DEVIATIONS, FIXED, MULTIPLES
from model.building import build
from oracles.weights import fields_of, ragged_batch, state_of

NAME = "encoder.layer.0.attention.self.value"


def first(report: testing.Report) -> testing.Tensor:
    assert report.first_divergence is not None, str(report)
    return report.first_divergence


def test_infinite_expected_errors_are_no_trouble():
    """Values beyond float16: they overflow in the imitation, and in the candidate, where that is a divergence."""
    fields, state, inputs = case_of("LongformerModel")
    large = dict(state)
    large["encoder.layer.0.intermediate.dense.bias"] = large["encoder.layer.0.intermediate.dense.bias"] + 1e6
    trace = testing.trace(build("LongformerModel", fields, large), **inputs)
    name = "encoder.layer.0.intermediate.dense"
    with np.errstate(over="ignore"):
        found = first(testing.compare({name: trace[name].astype(np.float16)}, trace, precision="float16"))
    assert (found.name, found.inf, found.nan) == (name, trace[name].size, 0)
    assert found.reason == f"0 NaN and {trace[name].size} infinite where finite values are expected"


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_candidate_passes_within_the_stated_multiple(precision):
    trace = trace_of()
    error, times = calibrate(trace, precision)[NAME], MULTIPLES[precision]
    assert times.reason
    margin = DEVIATIONS / math.sqrt(error.effective_count)
    noise = np.random.default_rng(6).standard_normal(trace[NAME].shape)
    noise -= trace[NAME] * (noise * trace[NAME]).sum() / np.square(trace[NAME]).sum()  # no gain
    noise = np.clip(noise / np.sqrt(np.square(noise).mean()), -2.4, 2.4)
    noise /= np.sqrt(np.square(noise).mean())
    for share, passed in ((0.98, True), (1.02, False)):
        candidate = {NAME: trace[NAME] + share * (times.rms + margin) * error.rms * noise}
        report = testing.compare(candidate, trace, precision=precision)
        assert report.passed == passed, (share, str(report))
    assert first(report).reason == "its root mean square error is too large, though no single error is"
    for share, passed in ((0.99, True), (1.01, False)):
        one = trace[NAME].copy()
        one[1, 5, 3] += share * (times.largest + margin) * error.largest
        report = testing.compare({NAME: one}, trace, precision=precision)
        assert report.passed == passed, share
    found = first(report)
    assert (found.reason, found.index) == ("its error is too large", (1, 5, 3))
    assert found.error_ratio == pytest.approx(1.01 * (times.largest + margin), rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_single_value_passes_within_the_stated_multiple(precision):
    """Also where its expected error is that of one rounding alone, by chance."""
    class_name = "LongformerForSequenceClassification"
    fields, state, inputs = case_of(class_name)
    trace = testing.trace(build(class_name, fields, state), **inputs, labels=np.array([4, 0, 2]))
    loss, times = trace["loss"], MULTIPLES[precision]
    size = PRECISIONS[precision].unit_roundoff * abs(loss)
    tolerance = testing.Calibration({"loss": ExpectedError(0.4 * size, size, 1, 0, 0.4 * size)}, precision, False)
    for share, passed in ((0.98, True), (1.02, False)):
        candidate = {"loss": loss + share * (times.largest + DEVIATIONS) * size}
        assert testing.compare(candidate, trace, precision=precision, tolerance=tolerance).passed == passed, share


@pytest.mark.parametrize(("factor", "word"), [(1 - 2**-8, "small"), (1 + 2**-8, "large")])
def test_values_that_all_shrink_or_grow_are_seen(factor, word):
    trace = trace_of()
    candidate = {NAME: to_bfloat16(trace[NAME].astype(np.float32)) * factor}
    found = first(testing.compare(candidate, trace, precision="bfloat16"))
    assert found.reason == f"its values are too {word} on average, by {abs(found.gain):.2g} of their size"
    assert found.gain == pytest.approx(factor - 1, rel=0.2)


def test_slack_multiplies_what_is_allowed():
    trace = trace_of()
    candidate = as_float32(trace)
    candidate[NAME] = to_float16(candidate[NAME])
    assert not testing.compare(candidate, trace).passed
    report = testing.compare(candidate, trace, slack=2**14)
    assert report.passed
    assert report.tolerance.startswith("98304 x the expected RMSE of float32")
    wide = testing.compare(candidate, trace, tolerance="fixed", slack=1e3)
    assert (wide.passed, wide.tolerance) == (True, "0.02 of the largest magnitude, fixed for float32")
    fixed = {"tolerance": 1e-7, "slack": 10.0}
    assert testing.compare({NAME: trace[NAME] + 5e-7}, trace, **fixed).passed
    assert not testing.compare({NAME: trace[NAME] + 5e-7}, trace, tolerance=1e-7).passed


def test_fixed_tolerances_are_relative_to_the_largest_magnitude():
    trace = trace_of()
    top = np.abs(trace[NAME]).max()
    for precision, entry in FIXED.items():
        assert entry.reason
        inside, outside = (trace[NAME] + share * entry.relative * top for share in (0.99, 1.01))
        report = testing.compare({NAME: inside}, trace, precision=precision, tolerance="fixed")
        assert report.passed
        assert math.isnan(report.tensors[NAME].error_ratio)
        assert "x the expected one" not in str(report)
        assert first(testing.compare({NAME: outside}, trace, precision=precision, tolerance="fixed")).name == NAME


def test_fixed_tolerances_hold_for_twelve_layers():
    """The definition in each precision: there is the room of the reasons, and not much more."""
    fields = fields_of(hidden_size=69, intermediate_size=97, num_hidden_layers=12, attention_window=8)
    state = state_of("LongformerModel", fields, seed=9)
    trace = testing.trace(build("LongformerModel", fields, state), **ragged_batch(fields, seed=9))
    for precision, entry in FIXED.items():
        shares = [
            error.largest / (entry.relative * np.abs(_finite(trace[name])).max())
            for name, error in calibrate(trace, precision).items()
        ]
        assert 0.1 < max(shares) < 0.4, precision


def _finite(array: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(array), array, 0)


def test_relative_errors_by_name():
    trace = trace_of()
    candidate = {name: values + 1e-3 for name, values in as_float32(trace).items() if "scores" not in name}
    exact = {"*.value": 1e-6, "encoder.layer.1": 1e-9}
    report = testing.compare(candidate, trace, tolerance=exact)
    assert [tensor.name for tensor in report.tensors.values() if tensor.judged] == [
        NAME,
        "encoder.layer.1.attention.self.value",
        "encoder.layer.1.output.LayerNorm",
    ]
    assert first(report).name == NAME
    assert testing.compare(candidate, trace, tolerance={"*.value": 1, "*": 0.5}).passed
    with pytest.raises(InputError, match="no pattern of the tolerance matches a tensor of the candidate"):
        testing.compare(candidate, trace, tolerance={"nothing": 1.0})


def test_a_trace_without_its_model_has_fixed_tolerances(tmp_path):
    trace_of().save(tmp_path / "trace.safetensors")
    alone = testing.Trace.load(tmp_path / "trace.safetensors")
    report = testing.compare(as_float32(alone), alone)
    assert report.passed
    assert report.tolerance == "2e-05 of the largest magnitude, fixed for float32"
    with pytest.raises(InputError, match=r"which this trace lacks: load it with Trace\.load\(path, model="):
        testing.compare(as_float32(alone), alone, tolerance="calibrated")
    known = testing.Trace.load(tmp_path / "trace.safetensors", model_of())
    assert testing.compare(as_float32(known), known).tolerance.startswith("6 x the expected RMSE of float32")


@pytest.mark.parametrize("wrong", [-1, True, "tight", math.nan, math.inf, None, [1e-3], {"*": "x"}])
def test_wrong_tolerances(wrong):
    if wrong is None:
        with pytest.raises(InputError, match="slack must be greater than 0, got 0"):
            testing.compare(as_float32(trace_of()), trace_of(), slack=0)
        return
    with pytest.raises(InputError, match="tolerance must be 'calibrated', 'fixed', a Calibration, numbers by name"):
        testing.compare(as_float32(trace_of()), trace_of(), tolerance=wrong)
