"""Every layout that is understood, every shape that is not, and the elements that count."""

from __future__ import annotations

import numpy as np
import pytest
from testing.building import case_of, trace_of

from lf_ref import dense_attentions, testing
from lf_ref.testing.comparison.layouts import in_trace_layout
from model.building import build
from oracles.weights import batch_of, fields_of, ragged_marks, state_of

SELF = "encoder.layer.0.attention.self"
BATCH, SEQ, HEADS, SLOTS = 3, 23, 3, 3


def padded(array, axis, number=1):
    """Some more tokens, which are not 0."""
    widths = [(0, number if index == axis else 0) for index in range(array.ndim)]
    return np.pad(array, widths, constant_values=7)


def heads_apart(array):
    return array.reshape(*array.shape[:2], HEADS, -1)


def with_junk(array):
    """What HF leaves in slots that hold no token."""
    array = array.copy()
    array[1:, 1:] = 9
    return array


def scattered(array, is_global):
    """Of all tokens, though only those of global ones mean something."""
    result = np.full((*is_global.shape, array.shape[2]), 5.0)
    for row, marks in enumerate(is_global):
        result[row, marks] = array[row, : marks.sum()]
    return result


def dense(trace, layer=0):
    run = trace.run
    name = f"encoder.layer.{layer}.attention.self.probabilities"
    return dense_attentions(trace[name], trace[f"{name}_global"], run.is_global, run.visible)


def unfolded(local, global_, is_global, nothing):
    """A band and the columns of global queries, of one row, as a dense map [H, S, S]."""
    heads, length, width = local.shape
    slots = global_.shape[2]
    one_sided = (width - slots - 1) // 2
    whole = np.full((heads, length, length), nothing)
    for query in range(length):
        for column, key in enumerate(range(query - one_sided, query + one_sided + 1)):
            if 0 <= key < length:
                whole[:, query, key] = local[:, query, slots + column]
    tokens = np.flatnonzero(is_global)
    for slot, token in enumerate(tokens):
        whole[:, :, token] = local[:, :, slot]
    for slot, token in enumerate(tokens):
        whole[:, token] = global_[:, :, slot]
    return whole


TOKENS = {
    "as it is": lambda x, run: x,
    "padding removed": lambda x, run: padded(x, 1),
    "(batch * seq, hidden) unflattened": lambda x, run: x.reshape(BATCH * SEQ, -1),
}
IN_ATTENTION = {
    "(seq, batch, hidden) transposed": lambda x, run: padded(x.swapaxes(0, 1), 0),
    "heads merged": lambda x, run: padded(heads_apart(x), 1),
    "heads side by side, first": lambda x, run: padded(heads_apart(x).swapaxes(1, 2), 2),
}
GLOBALS = {
    "as it is": lambda x, run: with_junk(x),
    "(slot, batch, hidden) transposed": lambda x, run: with_junk(x).swapaxes(0, 1)[:, :],
    "global tokens selected": lambda x, run: scattered(x, run.is_global),
    "turned, global tokens selected": lambda x, run: scattered(x, run.is_global).swapaxes(0, 1),
}
BAND = {
    "as it is": lambda x, run: x,
    "(batch, seq, heads, columns) transposed": lambda x, run: padded(x.swapaxes(1, 2), 1),
    "padding removed": lambda x, run: padded(x, 2),
}
COLUMNS = {
    "as it is": lambda x, run: x,
    "(slot, seq) transposed": lambda x, run: padded(x.swapaxes(2, 3), 3),
    "padding removed": lambda x, run: padded(x, 2),
}
CASES = [
    *((f"{SELF}.query", title, change) for title, change in {**TOKENS, **IN_ATTENTION}.items()),
    *(("encoder.layer.1", title, change) for title, change in TOKENS.items()),
    *((f"{SELF}.query_global", title, change) for title, change in GLOBALS.items()),
    *((f"{SELF}.context_global", title, change) for title, change in GLOBALS.items()),
    *((f"{SELF}.probabilities", title, change) for title, change in BAND.items()),
    *((f"{SELF}.scores", title, change) for title, change in BAND.items()),
    *((f"{SELF}.probabilities_global", title, change) for title, change in COLUMNS.items()),
]


@pytest.mark.parametrize(("name", "change"), [pytest.param(n, c, id=f"{n} {t}") for n, t, c in CASES])
def test_a_layout_is_understood(name, change):
    trace = trace_of()
    report = testing.compare({name: change(trace[name], trace.run).astype(np.float32)}, trace)
    assert report.passed, str(report)
    wrong = trace[name].copy()
    wrong[0, 0] += 0.1
    assert not testing.compare({name: change(wrong, trace.run).astype(np.float32)}, trace).passed


@pytest.mark.parametrize("longer", [0, 1])
def test_a_dense_map_stands_for_both(longer):
    trace = trace_of()
    whole = padded(padded(dense(trace), 2, longer), 3, longer).astype(np.float32)
    name = f"{SELF}.probabilities"
    report = testing.compare({name: whole}, trace)
    assert set(report.tensors) == {name, f"{name}_global"}
    assert report.passed, str(report)
    assert report.tensors[name].layout == "dense map to band"
    wrong = whole.copy()
    wrong[0, :, 7] = wrong[0, :, 7, ::-1]  # a global query
    first = testing.compare({name: wrong}, trace).first_divergence
    assert first is not None
    assert first.name == f"{name}_global"
    wrong = whole.copy()
    wrong[1, 2, 5, 4] += 0.1
    first = testing.compare({name: wrong}, trace).first_divergence
    assert first is not None
    assert first.name == name


@pytest.mark.parametrize("what", ["scores", "probabilities"])
def test_a_dense_map_that_sees_beyond_the_window(what):
    """The values within the window may be right, as scores are: a band has no column for the others."""
    trace = trace_of()
    name = f"{SELF}.{what}"
    nothing = -np.inf if what == "scores" else 0.0
    whole = np.stack(
        [
            unfolded(local, global_, marks, nothing)
            for local, global_, marks in zip(trace[name], trace[f"{name}_global"], trace.run.is_global, strict=True)
        ]
    ).astype(np.float32)
    assert testing.compare({name: whole}, trace).passed
    near, far = (1, 2, 9, 10), (1, 2, 9, 14)
    assert whole[near] > nothing == whole[far]
    whole[far] = whole[near] / 2
    report = testing.compare({name: whole, "logits": trace["logits"].astype(np.float32)}, trace)
    first = report.first_divergence
    assert first is not None
    assert (first.name, first.reason) == (name, "attends to neighbours outside of its window, at offset 5")
    assert (first.index, first.got, first.expected) == (far, whole[far], nothing)
    assert first.max_abs == whole[far] - nothing
    assert f"worst at {list(far)}: got " in str(report)


def test_where_two_layouts_have_one_shape_the_nearer_is_taken():
    """4 rows of 4 tokens, batch or sequence first; a band of 4 columns over 4 tokens, or a dense map."""
    fields = fields_of(attention_window=2, num_hidden_layers=1)
    inputs = batch_of(fields, ragged_marks((4, 4, 3, 2), ({0: 2}, {1: 2}, {}, {})), seed=1)
    trace = testing.trace(build("LongformerModel", fields, state_of("LongformerModel", fields, 2)), **inputs)
    turned = trace[f"{SELF}.key"].swapaxes(0, 1).astype(np.float32)
    report = testing.compare({f"{SELF}.key": turned}, trace)
    assert (report.passed, report.tensors[f"{SELF}.key"].layout) == (True, "(seq, batch, hidden) transposed")
    whole = dense(trace).astype(np.float32)
    assert whole.shape == trace[f"{SELF}.probabilities"].shape
    assert testing.compare({f"{SELF}.probabilities": whole}, trace).passed


def test_a_text_without_a_batch_axis():
    fields, state, _ = case_of("LongformerForMaskedLM")
    trace = testing.trace(build("LongformerForMaskedLM", fields, state), input_ids=[[5, 6, 7, 8, 9]])
    report = testing.compare({"encoder.layer.0": trace["encoder.layer.0"][0].astype(np.float32)}, trace)
    assert report.passed
    assert report.tensors["encoder.layer.0"].layout == "batch axis added"


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("encoder.layer.0", lambda x: x[:, :-1]),
        ("encoder.layer.0", lambda x: x.swapaxes(0, 1)),  # only attention is known to run that way
        ("encoder.layer.0", lambda x: x[..., :-1]),
        (f"{SELF}.query", lambda x: x[0]),
        (f"{SELF}.query_global", lambda x: x[:, :-1]),
        (f"{SELF}.probabilities", lambda x: x[..., 1:]),
        (f"{SELF}.probabilities", lambda x: x[:, 0]),
        (f"{SELF}.probabilities", lambda x: x.swapaxes(0, 2)),
        (f"{SELF}.probabilities", lambda x: x[:, :, :, :, None]),
        ("logits", lambda x: padded(x, 1)),
        ("logits", lambda x: x[0]),
    ],
)
def test_another_shape_is_a_divergence(name, change):
    trace = trace_of()
    values = change(trace[name]).astype(np.float32)
    report = testing.compare({name: values, "encoder.layer.1": trace["encoder.layer.1"].astype(np.float32)}, trace)
    first = report.first_divergence
    assert first is not None
    assert (first.name, first.shape, first.expected_shape) == (name, values.shape, trace[name].shape)
    assert first.reason == f"has shape {values.shape}, expected {trace[name].shape}"
    assert "has shape" in str(report)


def test_pooled_and_scalar_tensors_have_one_layout():
    trace = trace_of("LongformerModel")
    assert [how for how, _ in in_trace_layout("pooler.dense", trace["pooler.dense"], trace)] == [""]
    assert in_trace_layout("pooler.dense", trace["pooler.dense"][:, None], trace) == []


# --- elements that count --------------------------------------------------------------------------------------------


def diverges(trace, name, place, value=7.0, **options):
    wrong = trace[name].astype(np.float32)
    wrong[place] = value
    return not testing.compare({name: wrong}, trace, **options).passed


def test_masked_tokens_are_left_out_on_request():
    trace = trace_of()
    masked = (0, 8)
    assert not trace.run.visible[masked]
    for name in ("encoder.layer.0", f"{SELF}.query", f"{SELF}.context", "logits", "lm_head.dense"):
        assert diverges(trace, name, masked)
        assert not diverges(trace, name, masked, ignore_padding=True)
        assert diverges(trace, name, (0, 1), ignore_padding=True)
    for name, place in ((f"{SELF}.probabilities", (0, 1, 8, 4)), (f"{SELF}.probabilities_global", (0, 1, 8, 0))):
        assert diverges(trace, name, place)
        assert not diverges(trace, name, place, ignore_padding=True)


@pytest.mark.parametrize("name", ["last_hidden_state", "start_logits", "logits"])
def test_outputs_without_intermediates_lie_token_by_token_too(name):
    class_name = {"last_hidden_state": "LongformerModel", "start_logits": "LongformerForQuestionAnswering"}.get(
        name, "LongformerForTokenClassification"
    )
    fields, state, inputs = case_of(class_name)
    trace = testing.trace(build(class_name, fields, state), names=[name], **inputs)
    masked = tuple(np.argwhere(~trace.run.visible)[0])
    assert diverges(trace, name, masked)
    assert not diverges(trace, name, masked, ignore_padding=True)


def test_logits_of_some_tokens():
    fields, state, inputs = case_of("LongformerForMaskedLM")
    trace = testing.trace(build("LongformerForMaskedLM", fields, state), **inputs, logits_at=[[0, 8], [1, 2]])
    for name in ("logits", "lm_head.dense"):
        assert diverges(trace, name, (0, 3), ignore_padding=True)
        assert not diverges(trace, name, (0, 3), trace[name][0, 3], ignore_padding=True)


def test_unused_elements_do_not_count():
    trace = trace_of()
    global_token, of_none = (0, 7), (2, 3)
    assert trace.run.is_global[global_token]
    assert not trace.run.is_global[of_none[0]].any()
    for name, place in (
        (f"{SELF}.context", global_token),
        (f"{SELF}.key_global", of_none),
        (f"{SELF}.value_global", of_none),
        (f"{SELF}.query_global", (1, 2)),
        (f"{SELF}.context_global", (2, 0)),
        (f"{SELF}.probabilities", (0, 0, 7, 3)),
        (f"{SELF}.scores", (0, 0, 7, 3)),
        (f"{SELF}.scores", (0, 0, 8, 3)),  # a masked query
        (f"{SELF}.probabilities_global", (1, 0, 3, 2)),
        (f"{SELF}.scores_global", (1, 0, 3, 1)),
    ):
        assert not diverges(trace, name, place), name
    for name, place in (
        (SELF, global_token),
        (f"{SELF}.key_global", global_token),
        (f"{SELF}.query_global", (1, 0)),
        (f"{SELF}.probabilities", (0, 0, 1, 3)),
        (f"{SELF}.scores_global", (1, 0, 4, 0)),
    ):
        assert diverges(trace, name, place), name


@pytest.mark.parametrize("unseen", [-np.inf, np.finfo(np.float32).min, -1e9, -10000.0])
def test_scores_of_what_is_not_seen_may_be_anything_very_low(unseen):
    trace = trace_of()
    for name in (f"{SELF}.scores", f"{SELF}.scores_global"):
        scores = trace[name].astype(np.float32)
        hidden = np.isinf(scores)
        assert hidden.any()
        scores[hidden] = unseen
        assert testing.compare({name: scores}, trace).passed
    scores = trace[f"{SELF}.scores"].astype(np.float32)
    place = (0, 1, 1, SLOTS)
    assert scores[place] == -np.inf
    scores[place] = 0
    report = testing.compare({f"{SELF}.scores": scores}, trace)
    first = report.first_divergence
    assert first is not None
    assert (first.max_abs, first.index, first.got, first.expected) == (np.inf, place, 0, -np.inf)
