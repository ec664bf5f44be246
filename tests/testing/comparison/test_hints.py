"""The hints on the first divergent tensor."""

from __future__ import annotations

import numpy as np
import pytest
from testing.building import case_of, trace_of

from lf_ref import testing
from lf_ref.testing.comparison.precisions import to_bfloat16, to_float16
from model.building import build
from oracles.weights import fields_of, state_of

SELF = "encoder.layer.0.attention.self"


def hints_on(name, change, **options):
    """The hints on a tensor that `change` has spoiled."""
    trace = trace_of()
    report = testing.compare({name: change(trace[name].astype(np.float32).copy(), trace)}, trace, **options)
    assert report.first_divergence is not None, str(report)
    return report.first_divergence.hints


def put(place, value=9.0):
    def change(array, trace):
        array[place] = value
        return array

    return change


def grow(columns):
    """Some columns larger, the keys that are seen the same."""

    def change(array, trace):
        array[..., columns] *= 1.5
        return array

    return change


def gelu_tanh(x):
    return (0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))).astype(np.float32)


EVERYTHING = slice(None)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        (f"{SELF}.query", put((1, EVERYTHING)), "only in row 1 of the batch of 3"),
        (f"{SELF}.query", put((slice(1, 3), 2)), "only in row 1, 2 of the batch of 3"),
        (f"{SELF}.query", put((0, 7)), "at 0 of 28 masked, 1 of 4 global, 0 of 37 local tokens"),
        ("encoder.layer.1", put((0, 8)), "at 1 of 28 masked, 0 of 4 global, 0 of 37 local tokens"),
        ("logits", put((0, 1)), "at 0 of 28 masked, 0 of 4 global, 1 of 37 local tokens"),
        (f"{SELF}.probabilities", put((EVERYTHING, 2), 0.5), "only in head 2 of 3"),
        (f"{SELF}.probabilities", put((0, 1, 1), 0.5), "at 0 of 28 masked, 0 of 4 global, 1 of 37 local tokens"),
        (f"{SELF}.probabilities", grow(slice(0, 3)), "only on the global keys"),
        (f"{SELF}.probabilities", grow([3, 7]), "only on neighbours at offset -2, 2"),
        (f"{SELF}.probabilities", grow([1, 5, 6, 7]), "only on neighbours at offset 0...2 and on global keys"),
        (f"{SELF}.probabilities", put((..., [3, 7]), 0), "it does not attend to: neighbours at offset -2, 2"),
        (f"{SELF}.probabilities", put((..., 0), 0), "it does not attend to: global tokens"),
        (f"{SELF}.probabilities", put((0, 0, 1, 3), 0.5), "it wrongly attends to: positions outside the text"),
        (f"{SELF}.probabilities", put((0, 0, 6, 7), 0.5), "it wrongly attends to: masked neighbours"),
        (f"{SELF}.probabilities", put((0, 0, 6, 6), 0.5), "it wrongly attends to: global tokens among the neighbours"),
        (f"{SELF}.probabilities", put((1, 0, 6, 1), 0.5), "it wrongly attends to: slots without a global token"),
        (f"{SELF}.scores", put((0, 0, 6, 7), 0), "it wrongly attends to: masked neighbours"),
        (f"{SELF}.scores", put((0, 0, 6, 7), 0), "at 0 of 28 masked, 0 of 4 global, 1 of 37 local tokens"),
        (f"{SELF}.scores", put((..., 7), -np.inf), "it does not attend to: neighbours at offset 2"),
        (f"{SELF}.scores_global", put((0, 0, [3, 8, 9], 0), 0), "it wrongly attends to: 2 masked tokens"),
        (f"{SELF}.probabilities_global", put((0, 0, [3, 5], 0), 0), "it does not attend to: 2 tokens"),
        (f"{SELF}.scores", lambda x, _: x * np.sqrt(np.float32(7)), "all values are 2.646 x the expected ones"),
        ("embeddings.sum", lambda x, _: -x, "all values are -1 x the expected ones"),
        (
            f"{SELF}.key_global",
            lambda _, trace: trace[f"{SELF}.value_global"].astype(np.float32),
            f"it equals the expected {SELF}.value_global",
        ),
        (f"{SELF}.value", lambda x, _: to_float16(x), "the errors are as large as rounding errors of float16"),
        (f"{SELF}.value", lambda x, _: to_bfloat16(x), "the errors are as large as rounding errors of bfloat16"),
        (
            "encoder.layer.0.intermediate",
            lambda _, trace: gelu_tanh(trace["encoder.layer.0.intermediate.dense"]),
            "it is gelu_new of its input, expected is gelu",
        ),
        (
            "lm_head.activation",
            lambda _, trace: trace["lm_head.dense"].astype(np.float32),
            "it is no activation at all of its input, expected is gelu",
        ),
    ],
)
def test_hints(name, change, expected):
    assert expected in hints_on(name, change)


def test_long_lists_are_cut():
    fields = fields_of(attention_window=20, num_hidden_layers=1)
    trace = testing.trace(
        build("LongformerModel", fields, state_of("LongformerModel", fields, 1)), input_ids=[[5] * 30]
    )
    spoiled = trace[f"{SELF}.scores"].astype(np.float32)
    spoiled[..., ::2] += 1
    found = testing.compare({f"{SELF}.scores": spoiled}, trace).first_divergence
    assert found is not None
    assert "only on neighbours at offset -10, -8, -6, -4, -2, 0, ..." in found.hints


def test_a_softmax_in_reduced_precision_of_a_text_shorter_than_the_window():
    """The neighbours that no query has are not wrong, but that says nothing about the others."""
    fields = fields_of(attention_window=20, num_hidden_layers=1)
    trace = testing.trace(build("LongformerModel", fields, state_of("LongformerModel", fields, 1)), input_ids=[[5] * 7])
    name = f"{SELF}.probabilities"
    found = testing.compare({name: to_float16(trace[name])}, trace).first_divergence
    assert found is not None
    assert found.hints == ("the errors are as large as rounding errors of float16",)


@pytest.mark.parametrize(
    "change",
    [
        lambda x, _: x * 0,
        lambda x, _: np.full_like(x, np.nan),
        lambda x, _: x + np.random.default_rng(1).standard_normal(x.shape),
    ],
)
def test_no_hint_where_nothing_fits(change):
    assert not [hint for hint in hints_on("encoder.layer.1", change) if "all values" in hint or "should be" in hint]


def test_no_hint_on_an_activation_whose_input_is_not_known():
    fields, state, inputs = case_of("LongformerModel")
    name = "encoder.layer.0.intermediate"
    trace = testing.trace(build("LongformerModel", fields, state), names=name, **inputs)
    found = testing.compare({name: trace[name] + 1}, trace).first_divergence
    assert found is not None
    assert found.hints == ()


def test_nothing_expected_but_zeros_gives_no_multiple():
    fields, state, inputs = case_of("LongformerModel")
    zeroed = {name: values * 0 if "token_type" in name else values for name, values in state.items()}
    trace = testing.trace(build("LongformerModel", fields, zeroed), **inputs)
    name = "embeddings.token_type_embeddings"
    found = testing.compare({name: np.ones(trace[name].shape, np.float32)}, trace).first_divergence
    assert found is not None
    assert (found.error_ratio, found.hints) == (np.inf, ())
    assert testing.compare({name: np.zeros(trace[name].shape, np.float32)}, trace).passed


def test_float64_that_was_float32_somewhere():
    assert "the errors are as large as rounding errors of float32" in hints_on(
        f"{SELF}.value", lambda x, trace: trace[f"{SELF}.value"].astype(np.float32), precision="float64"
    )
