"""Measures, tolerances and their calibration: what passes, what does not, and by which numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from testing.building import as_float32, case_of, model_of, trace_of

from lf_ref import InputError, testing
from lf_ref.testing.comparison import metrics
from lf_ref.testing.comparison.calibration import ExpectedError, calibrate
from lf_ref.testing.comparison.metrics import difference
from lf_ref.testing.comparison.precisions import PRECISIONS, to_bfloat16, to_float16
from lf_ref.testing.comparison.tolerances import DEVIATIONS, FIXED, MULTIPLES
from model.building import FEW, build
from oracles import reduced
from oracles.compare import assert_identical
from oracles.fault_cases import case
from oracles.heads import HEADS
from oracles.port import Port
from oracles.weights import fields_of, ragged_batch, state_of

NAME = "encoder.layer.0.attention.self.value"


def first(report: testing.Report) -> testing.Tensor:
    assert report.first_divergence is not None, str(report)
    return report.first_divergence


# --- measures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [1, 5, 10_000])
@pytest.mark.parametrize("shape", [(), (7,), (3, 7), (2, 3, 5), (2, 3, 4, 5)])
def test_the_measures_are_what_they_say(shape, block, monkeypatch):
    monkeypatch.setattr(metrics, "_BLOCK", block)
    rng = np.random.default_rng(1)
    wanted = rng.standard_normal(shape)
    got = wanted + 1e-3 * rng.standard_normal(shape)
    mask = np.asarray(rng.random(shape) < (0.8 if shape else 1.1))
    error = np.where(mask, np.abs(got - wanted), 0)
    found = difference(got, wanted, mask)
    index = np.unravel_index(int(error.argmax()), shape)
    assert (found.largest, found.index) == (error.max(), tuple(map(int, index)))
    assert (found.got, found.wanted) == (got[index], wanted[index])
    assert found.count == mask.sum()
    for measured, expected in (
        (found.relative, (error / np.abs(wanted)).max()),
        (found.rmse, math.sqrt(np.square(error).sum() / mask.sum())),
        (found.size, math.sqrt(np.square(wanted[mask]).mean())),
        (found.gain, ((got - wanted) * wanted)[mask].sum() / np.square(wanted[mask]).sum()),
    ):
        assert measured == pytest.approx(expected, rel=1e-12)
    assert (found.nan, found.inf) == (0, 0)


def test_what_is_no_number_is_counted():
    wanted = np.array([[1.0, 2.0, 3.0, 4.0, np.inf, np.nan, -np.inf, 0.0]])
    got = np.array([[np.nan, np.inf, -np.inf, 4.0, np.inf, np.nan, -np.inf, 0.0]])
    everything = np.ones((1, 1), bool)
    found = difference(got, wanted, everything)
    assert (found.nan, found.inf, found.largest, found.index) == (1, 2, math.inf, (0, 0))
    assert (found.rmse, found.count) == (0, 5)
    assert difference(wanted, wanted, everything).largest == 0
    for place, value in ((4, 1.0), (4, -np.inf), (5, 1.0), (6, 0.0), (6, np.inf), (6, np.nan)):
        other = wanted.copy()
        other[0, place] = value
        assert difference(other, wanted, everything).largest == math.inf, (place, value)
    assert difference(np.zeros((0, 3)), np.zeros((0, 3)), np.ones((1, 1), bool)).count == 0


def test_rounding_is_by_definition():
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


# --- calibration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("class_name", HEADS)
def test_expected_errors_are_those_of_the_precision(class_name, precision):
    trace = trace_of(class_name)
    found = calibrate(trace, precision)
    assert set(found) == set(trace.places)
    assert len(found) == len(trace.places)
    unit = PRECISIONS[precision].unit_roundoff
    for name, error in found.items():
        size = np.sqrt(np.square(np.where(np.isfinite(trace[name]), trace[name], 0)).mean())
        assert 0.1 * unit * size < error.rms < 30 * unit * max(size, 0.1), name
        assert error.rms <= error.largest, name
        assert 1 <= error.numbers <= max(1, trace[name].size / 3), name
        assert abs(error.gained) <= error.rms * 1.01, name
        assert error.wobble >= error.rms / math.sqrt(error.numbers), name


def test_errors_that_share_a_key_count_once():
    """The key of a global token is in the score of every query: 3 heads of 4 global tokens, 23 queries of each."""
    found = calibrate(trace_of(), "bfloat16")
    for kind in ("scores_global", "probabilities_global"):
        assert found[f"encoder.layer.0.attention.self.{kind}"].numbers <= 3 * 4
    assert found["encoder.layer.0.attention.self.probabilities"].numbers <= 3 * (4 + 3 * 23)


def test_expected_errors_of_a_table_are_those_of_rounding_it():
    trace = trace_of()
    words = trace["embeddings.word_embeddings"]
    error = reduced.bfloat16(words) - words
    found = calibrate(trace, "bfloat16")["embeddings.word_embeddings"]
    assert found.rms == pytest.approx(np.sqrt(np.square(error).mean()), rel=1e-6)
    assert found.largest == pytest.approx(max(np.abs(error).max(), 2**-8 * np.abs(words).max()))
    assert found.gained == pytest.approx((error * words).sum() / np.sqrt(np.square(words).sum() * words.size), rel=1e-5)
    exact = calibrate(trace, "float32")["embeddings.word_embeddings"]
    assert exact.rms == pytest.approx(0.4 * 2**-24 * np.sqrt(np.square(words).mean()))  # the floor: there is no error
    assert (exact.gained, exact.largest) == (0, 2**-24 * np.abs(words).max())


def test_the_errors_of_another_program_are_of_the_expected_size():
    """The NumPy port in imitated bfloat16: its errors have the measured size, place by place."""
    fields, state, inputs = case("LongformerForMaskedLM", "ragged")
    trace = testing.trace(build("LongformerForMaskedLM", fields, state), **inputs)
    report = testing.compare(Port("LongformerForMaskedLM", fields, state, "bfloat16"), trace, precision="bfloat16")
    expected = calibrate(trace, "bfloat16")
    for name, tensor in report.tensors.items():
        if tensor.count > 500:
            assert 0.7 < tensor.rmse / expected[tensor.place].rms < 1.4, name


def test_calibration_is_measured_once_and_can_be_kept():
    trace = testing.trace(model_of(), **case_of("LongformerForMaskedLM")[2])
    candidate = as_float32(trace)
    report = testing.compare(candidate, trace)
    measured = trace.calibrations["float32", False]
    testing.compare(candidate, trace)
    assert trace.calibrations["float32", False] is measured
    kept = testing.Calibration.from_dict(measured.to_dict())
    assert dict(kept) == dict(measured)
    some = testing.Calibration({NAME: measured[NAME]}, "float32", False)
    partly = testing.compare(candidate, trace, tolerance=some)
    assert [name for name, tensor in partly.tensors.items() if tensor.judged] == [NAME]
    trace.model = None
    assert testing.compare(candidate, trace, tolerance=kept).to_json() == report.to_json()
    for changed in ({"ignore_padding": True}, {"precision": "bfloat16"}):
        with pytest.raises(InputError, match="calibration is of float32 with ignore_padding=False, the comparison of"):
            testing.compare(candidate, trace, tolerance=kept, **changed)
    with pytest.raises(ValueError, match="has no model"):
        calibrate(trace, "float32")


def test_a_trace_in_float32_is_judged_with_its_own_errors():
    inputs = case_of("LongformerForMaskedLM")[2]
    single = testing.trace(model_of(dtype="float32"), **inputs)
    assert testing.compare(testing.trace(model_of(dtype="float32"), backend="numba", **inputs), single).passed
    assert testing.compare(trace_of(), single).passed
    mine, alone = calibrate(single, "float32")[NAME].rms, calibrate(trace_of(), "float32")[NAME].rms
    assert mine == pytest.approx(math.sqrt(2) * alone, rel=1e-3)
    broken = {NAME: single[NAME] * np.float32(1 + 1e-4)}
    assert not testing.compare(broken, single).passed


def test_reduced_weights_can_be_judged():
    model, inputs = model_of(dtype="bfloat16"), case_of("LongformerForMaskedLM")[2]
    trace = testing.trace(model, backend="numba", **inputs)
    exact = testing.trace(build("LongformerForMaskedLM", *_widened(model), dtype="float64"), **inputs)
    assert testing.compare(trace, exact, precision="bfloat16").passed
    assert testing.compare(exact, trace, precision="bfloat16").passed


def _widened(model: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    fields = case_of("LongformerForMaskedLM")[0]
    return fields, {name: np.asarray(values) for name, values in model.weights.items()}


def test_given_embeddings_are_rounded_too():
    embeds = np.random.default_rng(5).standard_normal((2, 7, 21))
    trace = testing.trace(model_of(), inputs_embeds=embeds)
    tables = [trace[f"embeddings.{kind}_embeddings"] for kind in ("position", "token_type")]
    with np.errstate(invalid="ignore"):
        total = reduced.bfloat16(sum(map(reduced.bfloat16, (embeds, *tables))).astype(np.float32))
    error = total - trace["embeddings.sum"]
    assert calibrate(trace, "bfloat16")["embeddings.sum"].rms == pytest.approx(
        np.sqrt(np.square(error).mean()), rel=1e-3
    )


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


# --- what passes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_candidate_passes_within_the_stated_multiple(precision):
    trace = trace_of()
    error, times = calibrate(trace, precision)[NAME], MULTIPLES[precision]
    assert times.reason
    luck = DEVIATIONS / math.sqrt(error.numbers)
    noise = np.random.default_rng(6).standard_normal(trace[NAME].shape)
    noise -= trace[NAME] * (noise * trace[NAME]).sum() / np.square(trace[NAME]).sum()  # no gain
    noise = np.clip(noise / np.sqrt(np.square(noise).mean()), -2.4, 2.4)
    noise /= np.sqrt(np.square(noise).mean())
    for share, passed in ((0.98, True), (1.02, False)):
        candidate = {NAME: trace[NAME] + share * (times.rms + luck) * error.rms * noise}
        report = testing.compare(candidate, trace, precision=precision)
        assert report.passed == passed, (share, str(report))
    assert first(report).reason == "its root mean square error is too large, though no single error is"
    for share, passed in ((0.99, True), (1.01, False)):
        one = trace[NAME].copy()
        one[1, 5, 3] += share * (times.largest + luck) * error.largest
        report = testing.compare({NAME: one}, trace, precision=precision)
        assert report.passed == passed, share
    found = first(report)
    assert (found.reason, found.index) == ("its error is too large", (1, 5, 3))
    assert found.units == pytest.approx(1.01 * (times.largest + luck), rel=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_single_number_passes_within_the_stated_multiple(precision):
    """Also where its expected error is that of one rounding alone, which is luck."""
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
        assert math.isnan(report.tensors[NAME].units)
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


def test_numbers_by_name():
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


def test_precisions_by_name_or_dtype():
    trace = trace_of()
    named = type("Dtype", (), {"__repr__": lambda self: "torch.float32"})()
    for precision in ("float32", np.float32, np.dtype("float32"), named):
        assert testing.compare(as_float32(trace), trace, precision=precision).precision == "float32"
    with pytest.raises(InputError, match="precision must be one of float64, float32, bfloat16, float16, got 'int8'"):
        testing.compare(as_float32(trace), trace, precision="int8")


def test_what_is_no_array_is_a_divergence():
    trace = trace_of()
    report = testing.compare({**as_float32(trace), NAME: object()}, trace)
    assert first(report).name == NAME
    assert "offers neither a usable __array__" in first(report).reason
    assert NAME in str(report)


# --- the first divergence -------------------------------------------------------------------------------------------


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


def test_a_candidate_of_nothing_is_told_so():
    with pytest.raises(InputError, match="the candidate is empty: pass one tensor or more"):
        testing.compare({}, trace_of())


def test_a_precision_that_is_none_is_refused_before_anything_is_measured():
    with pytest.raises(InputError, match="precision must be one of float64, float32, bfloat16, float16, got 'float17'"):
        testing.calibrate(trace_of(), "float17")
