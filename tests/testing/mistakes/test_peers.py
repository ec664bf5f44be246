"""What was wrong in TensorFlow's Longformer and in exported ONNX graphs, rebuilt in the NumPy port, and is named."""

from __future__ import annotations

import os

import numpy as np
import pytest
from testing.building import STANDARD

from lf_ref import testing
from lf_ref.testing.conformance.suite import check_target
from oracles.port import Port

CASES = {case.name: case for case in STANDARD}
OUTPUTS = ("last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits")
SELF = "encoder.layer.0.attention.self"


def run(port, config, weights, inputs):
    """Everything that a port computes for a case."""
    tied = {"lm_head.decoder.weight": weights.get("longformer.embeddings.word_embeddings.weight")}
    return port(config["architectures"][0], config, {**tied, **weights}, "float32")(**inputs)


def outputs_of(port):
    """A target that returns the outputs of a port alone."""

    def target(config, weights, inputs):
        return {name: array for name, array in run(port, config, weights, inputs).items() if name in OUTPUTS}

    return target


def check(target, *names):
    return check_target(target, [CASES[name] for name in names])


# --- TensorFlow -------------------------------------------------------------------------------------------------------


class PaddingIdOfRoberta(Port):
    def positions(self, ids):
        return np.cumsum(ids != 1, 1) * (ids != 1) + 1


class MinusTenThousand(Port):
    """The scores of masked tokens, and of global ones in the window, are -10000; positions outside have none."""

    def keep(self, name, x):
        if name.endswith(".scores"):
            columns, length = self.places.shape[1], x.shape[2]
            one_sided = (x.shape[3] - columns) // 2
            near = np.arange(length)[:, None] + self.reach(one_sided)
            inside = (near >= 0) & (near < length)
            band = x[..., columns:]
            band[(band == np.float32(-1e9)) & inside] = -10000
        elif name.endswith(".scores_global"):
            x = np.where(x == np.float32(-1e9), np.float32(-10000), x)
        return super().keep(name, x)


class ZeroedTokens(Port):
    """Queries that see less than -10000 count as masked."""

    def softmax(self, scores):
        return super().softmax(scores) * (scores.max(-1, keepdims=True) > -10000)


class DenseWithActivation(Port):
    """Keras's Dense applies the activation."""

    def linear(self, x, name):
        made = super().linear(x, name)
        if name in ("pooler.dense", "classifier.dense"):
            self.recorded[name] = np.tanh(made)
        elif name.endswith("intermediate.dense"):
            self.recorded[name] = self.gelu(made)
        return made


def test_a_fixed_padding_id():
    results = check(outputs_of(PaddingIdOfRoberta), "one-window", "ragged-globals", "pad-token-0", "pad-token-7")
    assert [failure.case for failure in results.failures] == ["pad-token-0", "pad-token-7"]
    assert {failure.named for failure in results.failures} == {("a padding id of 1",)}
    assert "all have pad_token_id other than 1, and no case that passes" in str(results)


def test_masked_scores_of_minus_10000():
    results = check(outputs_of(MinusTenThousand), "one-window", "ragged-globals", "scores-below-minus-10000")
    [failure] = results.failures
    assert failure.case == "scores-below-minus-10000"
    assert failure.causes == ("masked scores of -10000",)


def test_zeroed_attention_is_not_called_float16():
    [failure] = check(lambda *case: run(ZeroedTokens, *case), "one-window", "scores-below-minus-10000").failures
    first = failure.report.first_divergence
    assert first.name == f"{SELF}.probabilities"
    assert not any("float16" in hint for hint in first.hints)
    [failure] = check(outputs_of(ZeroedTokens), "scores-below-minus-10000").failures
    assert failure.causes == ()


@pytest.mark.parametrize(("case", "head"), [("one-window", "pooler"), ("sequence-classification", "classifier")])
def test_fused_activations(case, head):
    inputs = {name: array for name, array in CASES[case].inputs.items() if name != "labels"}
    given = run(DenseWithActivation, CASES[case].config, CASES[case].weights(), inputs)
    expected = testing.trace(CASES[case].model(), **inputs)
    layers = [name for name in given if name.endswith("intermediate.dense")]
    found = testing.compare(given, expected).first_divergence
    assert found.name == "encoder.layer.0.intermediate.dense"
    assert "it equals the expected encoder.layer.0.intermediate.intermediate_act_fn" in found.hints
    found = testing.compare({name: array for name, array in given.items() if name not in layers}, expected)
    assert found.first_divergence.name == f"{head}.dense"
    assert f"it equals the expected {head}.activation" in found.first_divergence.hints


def test_a_loss_that_cannot_be_computed():
    def target(config, weights, inputs):
        if (inputs.pop("labels", np.zeros(1)) == -100).any():
            raise ValueError("Received a label value of -100")
        return outputs_of(Port)(config, weights, inputs)

    result = check(target, "masked-lm").results[0]
    assert result.problem == "raised ValueError: Received a label value of -100; without labels its outputs agree"


# --- ONNX -------------------------------------------------------------------------------------------------------------


class GlobalMaskOfTheExample(Port):
    """The mask of the input that the graph was traced with: the first token."""

    def slots(self):
        self.is_global = np.zeros_like(self.is_global)
        self.is_global[:, 0] = self.visible[:, 0]
        return super().slots()


class HeadsInTheBatch(Port):
    """All intermediates of the attention as graphs have them."""

    def __call__(self, **inputs):
        found = super().__call__(**inputs)
        heads = self.fields["num_attention_heads"]
        for name in list(found):
            if name.endswith((".self.query", ".self.key", ".self.value", ".key_global", ".value_global")):
                array = found[name].reshape(*found[name].shape[:2], heads, -1).swapaxes(1, 2)
                found[name] = array.reshape(-1, *array.shape[2:])
            elif name.endswith((".scores", ".probabilities", ".scores_global", ".probabilities_global")):
                found[name] = found[name].reshape(-1, *found[name].shape[2:])
        return found


def divides_by_zero(config, weights, inputs):
    """A graph that divides by the number of global tokens."""
    if "global_attention_mask" not in inputs:
        os.kill(os.getpid(), 8)
    return outputs_of(Port)(config, weights, inputs)


def test_a_global_attention_mask_that_became_a_constant():
    names = ("ragged-globals", "global-projections", "no-globals")
    results = check(outputs_of(GlobalMaskOfTheExample), *names)
    assert [failure.case for failure in results.failures] == list(names)
    assert {failure.named for failure in results.failures} == {("the first token as the only global one",)}
    assert "mistake: the first token as the only global one (in 3)\n" in str(results)


def test_heads_folded_into_the_batch_are_understood():
    results = check(lambda *case: run(HeadsInTheBatch, *case), "one-window", "ragged-globals")
    assert results.passed, results
    assert any(tensor.layout for tensor in results.results[0].report.tensors.values())


def test_a_graph_that_ends_its_process():
    some = [CASES[name] for name in ("one-window", "no-global-mask")]
    results = check_target("testing.mistakes.test_peers:divides_by_zero", some, isolate=True)
    assert [result.problem for result in results.results] == ["", "crashed: its process was ended by SIGFPE"]
