"""Expected rounding errors: their size, and how they are stored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from testing.building import as_float32, case_of, model_of, trace_of

from lf_ref import InputError, testing
from lf_ref.testing.comparison.calibration import calibrate
from lf_ref.testing.comparison.precisions import PRECISIONS
from model.building import build
from oracles import reduced
from oracles.fault_cases import case
from oracles.heads import HEADS
from oracles.port import Port

NAME = "encoder.layer.0.attention.self.value"


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("class_name", HEADS)
def test_expected_errors_are_those_of_the_precision(class_name, precision):
    trace = trace_of(class_name)
    found = calibrate(trace, precision)
    assert set(found) == set(trace.canonical_names)
    assert len(found) == len(trace.canonical_names)
    unit = PRECISIONS[precision].unit_roundoff
    for name, error in found.items():
        size = np.sqrt(np.square(np.where(np.isfinite(trace[name]), trace[name], 0)).mean())
        assert 0.1 * unit * size < error.rms < 30 * unit * max(size, 0.1), name
        assert error.rms <= error.largest, name
        assert 1 <= error.effective_count <= max(1, trace[name].size / 3), name
        assert abs(error.proportional) <= error.rms * 1.01, name
        assert error.proportional_std >= error.rms / math.sqrt(error.effective_count), name


def test_errors_of_one_key_count_once():
    """The key of a global token is in the score of every query: 3 heads of 4 global tokens, 23 queries of each."""
    found = calibrate(trace_of(), "bfloat16")
    for kind in ("scores_global", "probabilities_global"):
        assert found[f"encoder.layer.0.attention.self.{kind}"].effective_count <= 3 * 4
    assert found["encoder.layer.0.attention.self.probabilities"].effective_count <= 3 * (4 + 3 * 23)


def test_expected_errors_of_a_table_are_those_of_rounding_it():
    trace = trace_of()
    words = trace["embeddings.word_embeddings"]
    error = reduced.bfloat16(words) - words
    found = calibrate(trace, "bfloat16")["embeddings.word_embeddings"]
    assert found.rms == pytest.approx(np.sqrt(np.square(error).mean()), rel=1e-6)
    assert found.largest == pytest.approx(max(np.abs(error).max(), 2**-8 * np.abs(words).max()))
    assert found.proportional == pytest.approx(
        (error * words).sum() / np.sqrt(np.square(words).sum() * words.size), rel=1e-5
    )
    exact = calibrate(trace, "float32")["embeddings.word_embeddings"]
    assert exact.rms == pytest.approx(0.4 * 2**-24 * np.sqrt(np.square(words).mean()))  # the floor: there is no error
    assert (exact.proportional, exact.largest) == (0, 2**-24 * np.abs(words).max())


def test_the_errors_of_another_program_are_of_the_expected_size():
    """The NumPy port in imitated bfloat16: its errors have the measured size, tensor by tensor."""
    fields, state, inputs = case("LongformerForMaskedLM", "ragged")
    trace = testing.trace(build("LongformerForMaskedLM", fields, state), **inputs)
    report = testing.compare(Port("LongformerForMaskedLM", fields, state, "bfloat16"), trace, precision="bfloat16")
    expected = calibrate(trace, "bfloat16")
    for name, tensor in report.tensors.items():
        if tensor.count > 500:
            assert 0.7 < tensor.rmse / expected[tensor.canonical_name].rms < 1.4, name


def test_calibration_is_measured_once_and_can_be_stored():
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
