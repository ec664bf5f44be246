"""The oracle on torch: HF's own models pass but for what is known, and every fault planted in them is found."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import pytest

from lf_ref import testing
from model.building import build
from oracles.fault_cases import LABELS, case
from oracles.fault_table import BOTH
from oracles.heads import HEADS
from oracles.weights import fields_of, labelled_batch, state_of
from parity.faulty_attention import truncated
from parity.faulty_peers import FAULTS
from parity.peers import build_peer, exact_softmax, peer_modules

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]


@cache
def expected(class_name, batch):
    fields, state, inputs = case(class_name, batch)
    return testing.trace(build(class_name, fields, state), **inputs)


@cache
def unchanged(class_name, batch, precision):
    fields, state, _ = case(class_name, batch)
    return build_peer(class_name, fields, state, precision)


def report_on(model, class_name, batch, precision):
    _, _, inputs = case(class_name, batch)
    candidate = testing.capture_torch(model, **inputs)
    return testing.compare(candidate, expected(class_name, batch), precision=precision)


def test_there_are_enough_faults_in_both_precisions():
    assert sum(fault.precisions == BOTH for fault in FAULTS.values()) >= 40


@pytest.mark.parametrize("precision", [*BOTH, "float16"])
@pytest.mark.parametrize(("class_name", "batch"), FAULTS.cases())
def test_the_unchanged_model_passes(class_name, batch, precision):
    report = report_on(unchanged(class_name, batch, precision), class_name, batch, precision)
    assert report.passed, str(report)


@pytest.mark.parametrize(("name", "precision"), FAULTS.planted())
def test_a_fault_is_found_where_it_is(name, precision):
    fault = FAULTS[name]
    model = copy.deepcopy(unchanged(fault.class_name, fault.batch, precision))
    with pytest.MonkeyPatch.context() as patch:
        fault.plant(model, patch)
        report = report_on(model, fault.class_name, fault.batch, precision)
    assert report.first_divergence is not None, f"{name} went unnoticed"
    assert report.first_divergence.name == fault.tensor, str(report)


def test_weights_cut_off_to_bfloat16():
    """Truncation where rounding to nearest is due: at most one unit in the last place, in half of all weights."""
    torch, _ = peer_modules()
    class_name, batch = "LongformerForMaskedLM", "ragged"
    fields, state, _ = case(class_name, batch)
    cut = {name: truncated(torch.tensor(np.asarray(array))).numpy() for name, array in state.items()}
    report = report_on(build_peer(class_name, fields, cut, "bfloat16"), class_name, batch, "bfloat16")
    assert report.first_divergence is not None
    assert report.first_divergence.name == "embeddings.word_embeddings"


@pytest.mark.parametrize("class_name", HEADS)
def test_every_class_of_hf_passes(class_name):
    fields = fields_of(attention_window=[4, 8], num_labels=2)
    state = state_of(class_name, fields, seed=301)
    inputs = {name: array for name, array in labelled_batch(class_name, fields, seed=302).items() if name not in LABELS}
    truth = testing.trace(build(class_name, fields, state), **inputs)
    for precision in ("float32", "bfloat16", "float16"):
        candidate = testing.capture_torch(build_peer(class_name, fields, state, precision), **inputs)
        report = testing.compare(candidate, truth, precision=precision)
        assert report.passed, str(report)
        assert set(truth.run.outputs) <= set(report.tensors)


def test_the_float32_softmax_inside_double_shows():
    fields, state, inputs = case("LongformerForMaskedLM", "ragged")
    truth = expected("LongformerForMaskedLM", "ragged")
    model = build_peer("LongformerForMaskedLM", fields, state, "float64")
    report = testing.compare(testing.capture_torch(model, **inputs), truth, precision="float64")
    first = report.first_divergence
    assert first is not None
    assert first.name == "encoder.layer.0.attention.self.probabilities"
    assert "the errors are as large as rounding errors of float32" in first.hints
    with exact_softmax():
        exact = testing.compare(testing.capture_torch(model, **inputs), truth, precision="float64")
    assert exact.passed, str(exact)


def test_the_example_of_the_readme_on_a_torch_model(tmp_path):
    """A folder that HF saved, a torch model with two projections of the second layer swapped."""
    import torch

    from lf_ref import LongformerForMaskedLM

    fields, state, inputs = case("LongformerForMaskedLM", "ragged")
    torch_model = build_peer("LongformerForMaskedLM", fields, state, "float32")
    torch_model.save_pretrained(tmp_path)
    attention = torch_model.longformer.encoder.layer[1].attention.self
    attention.key_global, attention.value_global = attention.value_global, attention.key_global
    ids, mask, glob = (inputs[name] for name in ("input_ids", "attention_mask", "global_attention_mask"))

    oracle = LongformerForMaskedLM.from_pretrained(tmp_path, dtype="float64")
    expected = testing.trace(oracle, input_ids=ids, attention_mask=mask, global_attention_mask=glob)
    candidate = testing.capture_torch(torch_model, input_ids=ids, attention_mask=mask, global_attention_mask=glob)
    report = testing.compare(candidate, expected, precision="float32")
    assert not report.passed
    assert report.first_divergence is not None
    assert report.first_divergence.name == "encoder.layer.1.attention.self.key_global"
    assert "it equals the expected encoder.layer.1.attention.self.value_global" in str(report)
    tensors = testing.trace(oracle, input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
    assert tensors.run.inputs["input_ids"].tolist() == ids.tolist()
