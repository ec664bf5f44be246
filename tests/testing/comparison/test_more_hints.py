"""Hints that say from which token on, in which shape, and what is not float16."""

from __future__ import annotations

import numpy as np
import pytest
from testing.building import STANDARD, as_float32, changed, trace_of

from lf_ref import dense_attentions, testing

SELF = "encoder.layer.0.attention.self"
CLASSES = {"pooler": "LongformerModel", "classifier": "LongformerForSequenceClassification"}


def hints_of(candidate, trace):
    return testing.compare(candidate, trace).first_divergence.hints


def case_named(name):
    [case] = [case for case in STANDARD if case.name == name]
    return testing.trace(case.model(), **case.inputs)


def test_zeroed_tokens_are_not_float16():
    trace = case_named("scores-below-minus-10000")
    given = {name: np.array(trace[name], np.float32) for name in trace.run.outputs}
    given["last_hidden_state"][0, 3] = 0
    hints = hints_of(given, trace)
    assert any(hint.startswith("it is 0 at 1 of ") for hint in hints)
    assert not any("rounding errors" in hint for hint in hints)


@pytest.mark.parametrize("head", CLASSES)
def test_a_fused_activation_is_recognised(head):
    trace = trace_of(CLASSES[head])
    given = {**as_float32(trace), f"{head}.dense": trace[f"{head}.activation"].astype(np.float32)}
    assert f"it equals the expected {head}.activation" in hints_of(given, trace)


def test_a_dense_map_with_too_wide_a_window_says_what_it_sees():
    trace = trace_of("LongformerModel")
    name = f"{SELF}.probabilities"
    run = trace.run
    dense = dense_attentions(trace[name], trace[f"{name}_global"], run.is_global, run.visible).astype(np.float32)
    row = 0
    dense[row, :, 12, 5] += 0.3
    dense[row, :, 12] /= dense[row, :, 12].sum(axis=-1, keepdims=True)
    assert hints_of({name: dense}, trace)[0] == "it wrongly attends to: neighbours outside of its window, at offset -7"


def test_the_token_from_which_on_it_is_wrong():
    trace = trace_of("LongformerModel")

    def change(array):
        array[:, 12:] += 1

    given = changed(as_float32(trace), "embeddings.position_embeddings", change)
    assert "right up to token 11, wrong from 12 on" in hints_of(given, trace)
    given = changed(as_float32(trace), "embeddings.position_embeddings", lambda array: change(array[:, ::-1]))
    assert not any("right up to" in hint for hint in hints_of(given, trace))


def test_an_output_that_is_padded():
    trace = trace_of("LongformerModel")
    padded = np.pad(trace["last_hidden_state"], ((0, 0), (0, 1), (0, 0))).astype(np.float32)
    assert hints_of({"last_hidden_state": padded}, trace) == ("its first 23 tokens agree: cut the padding",)
    assert hints_of({"last_hidden_state": padded + 1}, trace) == ()
    assert hints_of({"last_hidden_state": padded[..., :-1]}, trace) == ()


@pytest.mark.parametrize(
    ("columns", "hint"),
    [
        (3 + 9, ("it fits twice the window",)),
        (3 + 3, ("it fits half the window",)),
        (5, ("it has no global columns, and fits its window",)),
        (9, ("it has no global columns, and fits twice the window",)),
        (31, ()),
    ],
)
def test_the_columns_of_a_band(columns, hint):
    trace = trace_of("LongformerModel")
    shape = trace[f"{SELF}.scores"].shape
    assert hints_of({f"{SELF}.scores": np.zeros((*shape[:3], columns), np.float32)}, trace) == hint


def heads_of(array, axes, number):
    return array.reshape(*array.shape[:2], number, -1).transpose(axes)


@pytest.mark.parametrize("within", ["query", "key_global", "query_global", "context_global", "context"])
@pytest.mark.parametrize(("axes", "folded"), [((0, 2, 1, 3), True), ((0, 2, 1, 3), False), ((0, 2, 3, 1), False)])
def test_heads_apart(within, axes, folded):
    trace = trace_of("LongformerModel")
    name = f"{SELF}.{within}"
    array = heads_of(trace[name].astype(np.float32), axes, trace.run.config.num_attention_heads)
    if folded:
        array = array.reshape(-1, *array.shape[2:])
    assert testing.compare({name: array}, trace).passed
    assert not testing.compare({name: array + 1}, trace).passed


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("within", ["scores", "probabilities", "scores_global", "probabilities_global"])
def test_maps_with_heads_in_the_batch(within, turned):
    trace = trace_of("LongformerModel")
    name = f"{SELF}.{within}"
    array = trace[name].astype(np.float32).reshape(-1, *trace[name].shape[2:])
    if turned and "global" in within:
        array = array.swapaxes(1, 2)
    assert testing.compare({name: array}, trace).passed
    wrong = array.copy()
    wrong[np.isfinite(wrong)] += 1
    assert not testing.compare({name: wrong}, trace).passed
