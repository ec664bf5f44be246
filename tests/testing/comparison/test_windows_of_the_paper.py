"""Traces of dilated and causal models, dense maps in their layout, and reports on ports that ignore the fields."""

from __future__ import annotations

import numpy as np
import pytest
from testing.building import answer

from lf_ref import dense_attentions, testing
from lf_ref.testing.comparison.layouts import in_trace_layout
from model.building import build
from oracles.compare import assert_close
from oracles.tolerances import FLOAT64
from oracles.weights import fields_of, ragged_batch, state_of

SELF = "encoder.layer.{}.attention.self"
CHANGES = [
    {"attention_dilation": 3},
    {"attention_dilation": [[1, 2, 4], 2]},
    {"autoregressive": True},
    {"attention_dilation": [[1, 1, 2], [3, 3, 3]], "autoregressive": True},
]
paper = pytest.mark.parametrize("changes", CHANGES, ids=str)


def models(changes, backend="numpy"):
    fields = fields_of(**changes)
    return build("LongformerModel", fields, state_of("LongformerModel", fields, seed=401), backend)


def inputs():
    return ragged_batch(fields_of(), seed=402)


@paper
def test_both_engines_trace_what_the_model_gives(changes):
    given = inputs()
    traces = [testing.trace(models(changes, backend), backend=backend, **given) for backend in ("numpy", "numba")]
    output = models(changes)(**given, output_attentions=True)
    for layer in range(2):
        for kind, expected in (("", output.attentions), ("_global", output.global_attentions)):
            name = f"{SELF.format(layer)}.probabilities{kind}"
            for trace in traces:
                if name in trace:
                    assert_close(trace[name], expected[layer], FLOAT64, name)
        scores, shares = (traces[0][f"{SELF.format(layer)}.{name}"] for name in ("scores", "probabilities"))
        np.testing.assert_array_equal(np.isfinite(scores), shares > 0)


@paper
def test_a_dense_map_is_laid_out_by_the_dilation_of_each_head(changes):
    trace = testing.trace(models(changes), **inputs())
    for layer, dilation in enumerate(models(changes).config.dilations):
        name = f"{SELF.format(layer)}.probabilities"
        dense = dense_attentions(trace[name], trace[f"{name}_global"], trace.run.is_global, trace.run.visible, dilation)
        for which in (name, f"{name}_global"):
            ((how, found),) = in_trace_layout(which, dense, trace)
            assert how == "dense map to band"
            np.testing.assert_array_equal(found, trace[which])


def test_attention_into_the_gaps_is_named():
    trace = testing.trace(models({"attention_dilation": [1, [1, 2, 3]]}), **inputs())
    name = f"{SELF.format(1)}.probabilities"
    dense = dense_attentions(
        trace[name], trace[f"{name}_global"], trace.run.is_global, trace.run.visible, [1, 2, 3]
    ).astype(np.float32)
    assert testing.compare({name: dense}, trace).passed
    row, head, query = 0, 2, 10
    assert not trace.run.is_global[row, [query, query + 4]].any()
    dense[row, head, query, query + 4] = 0.25
    report = str(testing.compare({name: dense}, trace))
    assert "4" in report.partition("outside")[2], report


@pytest.mark.parametrize(
    ("ignored", "failing"),
    [
        ({"attention_dilation": 1}, {"dilated-window", "dilation-by-head"}),
        ({"attention_dilation": 2}, None),
        ({"autoregressive": False}, {"causal"}),
    ],
)
def test_a_port_that_ignores_a_field_fails_its_cases_alone(ignored, failing):
    cases = [
        case
        for case in testing.standard_cases()
        if case.name in ("one-window", "dilated-window", "dilation-by-head", "causal")
    ]
    results = testing.check_target(lambda config, *given: answer({**config, **ignored}, *given), cases)
    failed = {result.case for result in results.failures}
    assert failed == (failing or {case.name for case in cases})


def test_hints_name_the_neighbours_by_their_distance():
    given = inputs()
    expected = testing.trace(models({"attention_dilation": 3, "autoregressive": True}), **given)
    name = f"{SELF.format(0)}.probabilities"
    candidate = testing.trace(models({"attention_dilation": 3}), **given)
    report = testing.compare({name: candidate[name].astype(np.float32)}, expected)
    assert "it wrongly attends to: global tokens; neighbours at offset 3, 6" in report.first_divergence.hints
    missing = expected[name].astype(np.float32).copy()
    slots = missing.shape[-1] - 5
    missing[..., slots] = 0  # the farthest neighbour before a token
    report = testing.compare({name: missing}, expected)
    assert any("does not attend to: neighbours at offset -6" in found for found in report.first_divergence.hints), (
        report
    )
