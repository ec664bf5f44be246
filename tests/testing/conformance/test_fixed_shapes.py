"""Inputs padded to a number of tokens, and outputs cut back: what a graph of a fixed shape gets and returns."""

from __future__ import annotations

import numpy as np
import pytest
from testing.building import answer

import lf_ref
from lf_ref import InputError, testing
from lf_ref.testing.conformance.fixed_shapes import padded_case

CASES = {case.name: case for case in testing.standard_cases()}
FIXED = 47
SOME = (
    "no-masks", "ragged-globals", "padding-left", "pad-token-7", "token-types", "inputs-embeds",
    "explicit-position-ids", "masked-lm", "token-classification", "multiple-choice", "question-answering",
)  # fmt: skip


def shape_of(inputs):
    """The shape of a batch: of its ids, or of its embeddings without their last axis."""
    return inputs["input_ids"].shape if "input_ids" in inputs else inputs["inputs_embeds"].shape[:-1]


def graph(config, weights, inputs):
    """An exported graph: it takes one length, masks given, and returns everything in that length."""
    assert shape_of(inputs)[-1] == FIXED
    assert inputs["attention_mask"].shape == shape_of(inputs)
    made = lf_ref.LongformerConfig.from_dict(config)
    model = getattr(lf_ref, config["architectures"][0])(made, weights, backend="numpy")
    return model(**inputs, output_attentions=True, output_hidden_states=True)


@pytest.mark.parametrize("name", SOME)
def test_a_graph_of_a_fixed_shape_passes(name):
    results = testing.check_target(graph, [CASES[name]], pad_to=FIXED)
    assert results.passed, results
    [result] = results.results
    tensors = result.report.tensors
    layer = "encoder.layer.0"
    assert tensors[f"{layer}.output.LayerNorm"].shape[1] == FIXED
    maps = [f"{layer}.attention.self.{map}" for map in ("probabilities", "probabilities_global")]
    assert [map for map in maps if map in tensors] == maps[: 1 if name == "no-masks" else 2]
    for map in maps[: 1 if name == "no-masks" else 2]:
        assert tensors[map].shape[2] == FIXED
        assert tensors[map].layout == "padding removed"


def test_what_is_added_to_each_input():
    def padded(name):
        return padded_case(CASES[name], FIXED).inputs

    for name, padding in {
        "input_ids": 7, "attention_mask": 0, "global_attention_mask": 0,
    }.items():  # fmt: skip
        given, own = padded("pad-token-7")[name], CASES["pad-token-7"].inputs[name]
        assert given.dtype == own.dtype
        assert given.shape == (3, FIXED)
        np.testing.assert_array_equal(given[:, :19], own)
        assert (given[:, 19:] == padding).all()
    masks = padded("no-masks")
    assert set(masks) == {"input_ids", "attention_mask"}
    np.testing.assert_array_equal(masks["attention_mask"], (np.arange(FIXED) < 13).astype(int)[None].repeat(2, 0))
    assert (padded("explicit-position-ids")["position_ids"][:, 19:] == 1).all()
    assert (padded("token-types")["token_type_ids"][:, 19:] == 0).all()
    assert padded("inputs-embeds")["inputs_embeds"].shape == (3, FIXED, 24)
    assert (padded("inputs-embeds")["inputs_embeds"][:, 13:] == 0).all()
    assert (padded("masked-lm")["labels"][:, 11:] == -100).all()
    assert padded("multiple-choice")["input_ids"].shape == (2, 2, FIXED)
    assert padded("multiple-choice")["labels"].shape == (2,)
    assert set(padded("question-answering")) == {"input_ids", "attention_mask"}
    assert CASES["no-masks"].inputs["input_ids"].shape == (2, 13)


def test_the_padding_is_part_of_the_test():
    """A graph that ignores the attention mask is right without padding."""

    def unmasked(config, weights, inputs):
        return answer(config, weights, {name: array for name, array in inputs.items() if name != "attention_mask"})

    assert testing.check_target(unmasked, [CASES["no-masks"]]).passed
    results = testing.check_target(unmasked, [CASES[name] for name in ("no-masks", "padding-left")], pad_to=FIXED)
    assert [failure.causes for failure in results.failures] == [("padding seen",)] * 2
    [failure] = testing.check_target(unmasked, [CASES["no-masks"]], pad_to=1025).failures  # too long to search
    assert failure.causes == ()


@pytest.mark.parametrize(
    ("changes", "factor"),
    [({"attention_window": 16}, 1.0), ({"layer_norm_eps": 0.1}, 1.0), ({}, 2.0), ({}, np.nan)],
    ids=["window", "epsilon", "weights", "NaN"],
)
def test_other_faults_of_a_graph_are_not_said_to_see_padding(changes, factor):
    def faulty(config, weights, inputs):
        weights["encoder.layer.0.output.dense.weight"] *= np.float32(factor)
        return answer({**config, **changes}, weights, inputs)

    [failure] = testing.check_target(faulty, [CASES["no-masks"]], pad_to=FIXED).failures
    assert "padding seen" not in failure.causes


def test_outputs_in_another_shape_are_not_said_to_see_padding():
    """Of several outputs, one has no values to compare."""

    def bare(config, weights, inputs):
        output = answer(config, weights, {"input_ids": inputs["input_ids"]})
        return {"last_hidden_state": output.last_hidden_state, "pooler_output": np.zeros(3)}

    [failure] = testing.check_target(bare, [CASES["no-masks"]], pad_to=FIXED).failures
    assert "padding seen" not in failure.causes


def test_outputs_may_have_the_length_of_the_text_already():
    def cut(config, weights, inputs):
        return answer(config, weights, inputs).last_hidden_state[:, :8]

    assert testing.check_target(cut, [CASES["one-window"]], pad_to=FIXED).passed
    too_long = testing.check_target(lambda *case: np.zeros((3, 48, 24)), [CASES["one-window"]], pad_to=FIXED)
    assert too_long.failures[0].problem == "last_hidden_state: has shape (3, 48, 24), expected (3, 8, 24)"


def test_folded_intermediates_are_cut_too():
    def folded(config, weights, inputs):
        output = answer(config, weights, inputs).last_hidden_state
        return {"last_hidden_state": output.tolist(), "encoder.layer.1": output.reshape(-1, output.shape[-1])}

    results = testing.check_target(folded, [CASES["one-window"]], pad_to=FIXED)
    assert results.passed, results
    assert "encoder.layer.1" in results.results[0].report.tensors


def test_cases_that_do_not_fit_are_skipped():
    names = ("more-than-256-tokens", "one-window", "inputs-embeds", "more-than-512-tokens")

    def target(config, weights, inputs):
        assert shape_of(inputs)[-1] == 64
        return answer(config, weights, inputs)

    seen = []
    results = testing.check_target(target, [CASES[name] for name in names], pad_to=64, on_result=seen.append)
    assert results.passed
    assert [result.state for result in seen] == ["skipped", "passed", "skipped", "skipped"]
    assert str(results).splitlines() == [
        "PASSED: test_cases_that_do_not_fit_are_skipped.<locals>.target in float32: 1 passed, 3 skipped",
        "skipped, more than 64 tokens: more-than-256-tokens, more-than-512-tokens",
        "skipped, fewer than 64 positions in the model, for embeddings, whose padding takes positions: inputs-embeds",
    ]
    assert "skipped more-than-512-tokens: more than 64 tokens" in results.text(everything=True)
    assert '"skipped": "more than 64 tokens"' in results.to_json()
    assert "more than 64 tokens" in results._repr_html_()


@pytest.mark.parametrize(
    ("pad_to", "message"),
    [
        (7, "no case fits 7 tokens: one-window has more than 7 tokens"),
        (0, "pad_to must be an integer of at least 1, got 0"),
        (8.0, "pad_to must be an integer of at least 1, got 8.0"),
    ],
)
def test_lengths_that_cannot_be(pad_to, message, tmp_path):
    golden = testing.make_golden(tmp_path / "g.safetensors", ["one-window"])
    for check in (
        lambda: testing.check_target(answer, [CASES["one-window"]], pad_to=pad_to),
        lambda: testing.check_golden(golden, answer, pad_to=pad_to),
        lambda: testing.assert_matches_oracle(answer, CASES["one-window"], pad_to=pad_to),
    ):
        with pytest.raises(InputError, match=message):
            check()


def test_golden_files_and_outputs_of_padded_inputs(tmp_path):
    from safetensors.numpy import save_file

    golden = testing.make_golden(tmp_path / "g.safetensors", ["one-window", "masked-lm", "more-than-256-tokens"])
    assert testing.check_golden(golden, answer, pad_to=FIXED).counts() == "2 passed, 1 skipped"
    outputs = {}
    for name in ("one-window", "masked-lm"):
        case = padded_case(CASES[name], FIXED)
        found = answer(dict(case.config), case.weights(), dict(case.inputs))
        outputs |= {f"{name}/{output}": np.array(array) for output, array in found.items()}
    assert outputs["masked-lm/logits"].shape == (2, FIXED, 61)
    save_file(outputs, tmp_path / "outputs.safetensors")
    assert testing.check_golden(golden, tmp_path / "outputs.safetensors", pad_to=FIXED).passed
    assert not testing.check_golden(golden, tmp_path / "outputs.safetensors", explain=False).passed


def test_the_assertion_pads_for_a_model_too():
    case = CASES["ragged-globals"]
    model, inputs = case.model(), dict(case.inputs)
    port = case.model("float32")

    def fixed(**given):
        assert given["input_ids"].shape == (4, FIXED)
        return port(**given).last_hidden_state

    assert testing.assert_matches_oracle(fixed, model, inputs, pad_to=FIXED).passed
    padded = padded_case(case, FIXED)
    assert testing.assert_matches_oracle(port(**padded.inputs), model, inputs, pad_to=FIXED).passed
    with pytest.raises(InputError, match="the inputs have 21 tokens, more than 20"):
        testing.assert_matches_oracle(fixed, model, inputs, pad_to=20)
