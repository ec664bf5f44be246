"""The conformance kit: sound targets pass, and each standard case finds the fault that it is for."""

from __future__ import annotations

import functools
import json
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from testing.building import STANDARD, answer

from lf_ref import InputError, testing
from lf_ref.reference import attention
from lf_ref.testing.cases.case import Case
from lf_ref.testing.comparison.precisions import to_bfloat16
from lf_ref.testing.conformance.expected_failures import read_expected_to_fail
from lf_ref.testing.conformance.suite import check_target

LONG = ("more-than-256-tokens", "more-than-512-tokens", "more-than-2048-tokens", "global-token-beyond-2048")
SHORT = [case for case in STANDARD if case.name not in LONG]
NAMES = [case.name for case in SHORT]


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """The names of the short cases that a target fails; what is expected is computed once, in a golden file."""
    golden = testing.make_golden(tmp_path_factory.mktemp("golden") / "golden.safetensors", NAMES)

    def names(target, **options):
        return {result.case for result in testing.check_golden(golden, target, explain=False, **options).failures}

    return names


@pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=pytest.mark.jit)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_our_own_engines_pass(dtype, backend):
    results = check_target(
        lambda *case: answer(*case, dtype=dtype, backend=backend),
        [*SHORT, *testing.drawn_cases(0, 9)],
        precision=dtype,
    )
    assert results.passed, results
    assert results.counts() == f"{len(SHORT) + 9} passed"


@pytest.mark.jit
def test_our_own_kernels_pass_the_long_cases():
    cases = [*(case for case in STANDARD if case.name in LONG), testing.drawn_cases(0, 10)[-1]]
    results = check_target(partial(answer, backend="numba"), cases)
    assert results.passed, results


# --- faults -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def weights_once():
    """The weights of a case are made once for all targets, none of which writes into them."""
    weights = functools.cache(Case.weights)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Case, "weights", lambda case: dict(weights(case)))
        yield


def in_config(**changes):
    return lambda config, weights, inputs: answer({**config, **changes}, weights, inputs)


def in_inputs(change):
    def target(config, weights, inputs):
        change(inputs)
        return answer(config, weights, inputs)

    return target


def in_weights(change):
    def target(config, weights, inputs):
        change(weights)
        return answer(config, weights, inputs)

    return target


@contextmanager
def softmax_is(function):
    """Replace softmax in the reference implementation while a target runs; the oracle runs outside of it."""
    original, attention.softmax = attention.softmax, function
    try:
        yield
    finally:
        attention.softmax = original


def with_softmax(function):
    def target(config, weights, inputs):
        with softmax_is(function), np.errstate(all="ignore"):
            return answer(config, weights, inputs)

    return target


def one_window_for_all(config, weights, inputs):
    window = config["attention_window"]
    return answer({**config, "attention_window": window if isinstance(window, int) else max(window)}, weights, inputs)


def no_types(inputs):
    inputs.pop("token_type_ids", None)


def no_default_global(inputs):
    if "global_attention_mask" not in inputs:
        inputs["global_attention_mask"] = np.zeros_like(inputs["input_ids"])


def gaps_as_global(inputs):
    """As many global tokens in each row as in the row that has most."""
    mask = inputs.get("global_attention_mask")
    if mask is not None and mask.ndim == 2 and "attention_mask" in inputs:
        marked = mask * inputs["attention_mask"]
        for row, count in enumerate(marked.sum(axis=1)):
            free = np.flatnonzero(inputs["attention_mask"][row] > mask[row])
            mask[row, free[: marked.sum(axis=1).max() - count]] = 1


def mask_to_the_end(inputs):
    """Only the number of visible tokens counts, as if padding always were at the end."""
    if "attention_mask" in inputs:
        mask = inputs["attention_mask"]
        count = mask.sum(axis=-1, keepdims=True)
        inputs["attention_mask"] = (np.arange(mask.shape[-1]) < count).astype(np.int64)


def positions_in_order(inputs):
    """Positions 2, 3, 4, ..., whatever is padding."""
    if "position_ids" not in inputs and "input_ids" in inputs:
        shape = inputs["input_ids"].shape
        inputs["position_ids"] = np.broadcast_to(np.arange(2, 2 + shape[-1]), shape)


def embeds_from_ids_position(inputs):
    """Vectors at the positions of ids that were all padding."""
    if "inputs_embeds" in inputs:
        inputs["position_ids"] = np.arange(1, 1 + inputs["inputs_embeds"].shape[1])[None]


def shift_positions(weights):
    name = next(name for name in weights if name.endswith("position_embeddings.weight"))
    weights[name] = np.roll(weights[name], -1, axis=0)


def swap(one, other):
    def change(weights):
        for name in [name for name in weights if f".{one}." in name]:
            with_other = name.replace(f".{one}.", f".{other}.")
            weights[name], weights[with_other] = weights[with_other], weights[name]

    return change


def untied_is_tied(weights):
    if "lm_head.decoder.weight" in weights:
        weights["lm_head.decoder.weight"] = weights["longformer.embeddings.word_embeddings.weight"]


def softmax_without_the_largest(scores):
    weights = np.exp(scores)
    total = weights.sum(axis=-1, keepdims=True)
    return weights / np.where(total > 0, total, total.dtype.type(1))


def softmax_filled_with_minus_10000(scores):
    allowed = scores > -np.inf
    scores = np.where(allowed, scores, scores.dtype.type(-10000))
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) * allowed.any(axis=-1, keepdims=True)


def softmax_in_half(scores):
    scores = scores.astype(np.float16)
    top = scores.max(axis=-1, keepdims=True)
    weights = np.exp(scores - np.where(top > -np.inf, top, 0))
    total = weights.sum(axis=-1, keepdims=True)
    return (weights / np.where(total > 0, total, 1)).astype(np.float32)


def chunks_off_by_one(config, weights, inputs):
    """Fails to make the only chunk of a sequence of exactly one window."""
    length = next(iter(inputs.values())).shape[-1]
    if length == 8:
        raise IndexError("index 1 is out of bounds for axis 0 with size 1")
    return answer(config, weights, inputs)


def two_windows_without_the_middle(config, weights, inputs):
    """Chunks that do not overlap: the second window does not see the first."""
    if inputs.get("input_ids", np.empty(0)).shape[-1:] == (16,):
        output = answer(config, weights, inputs).last_hidden_state
        cut = {name: array[:, 8:] for name, array in inputs.items()}
        rest = answer(config, weights, {**cut, "position_ids": np.arange(10, 18)[None]}).last_hidden_state
        return np.concatenate([output[:, :8], rest], axis=1)
    return answer(config, weights, inputs)


EXTREME = {"large-scores", "scores-below-minus-10000"}
HEADS_THAT_CHOOSE = {"sequence-classification", "multiple-choice", "question-answering"}
WITH_OWN_POSITIONS = {"explicit-position-ids", "inputs-embeds"}

# target, cases that must find the fault, cases that must not mind it
FAULTS = {
    "one epsilon for all": (in_config(layer_norm_eps=1e-5), {"layer-norm-eps"}, None),
    "one gelu for all": (in_config(hidden_act="gelu"), {"gelu-new"}, None),
    "a padding id of 1": (in_config(pad_token_id=1), {"pad-token-0", "pad-token-7"}, None),
    "one window for all layers": (one_window_for_all, {"windows-by-layer", "windows-that-do-not-divide"}, None),
    "no token types": (in_inputs(no_types), {"token-types", "bfloat16-rounding"}, None),
    "no default global attention": (in_inputs(no_default_global), HEADS_THAT_CHOOSE, None),
    "always tied": (in_weights(untied_is_tied), {"masked-lm-untied"}, None),
    "attention to the gap": (in_inputs(gaps_as_global), {"ragged-globals"}, {"global-projections", "no-globals"}),
    "padding at the end": (
        in_inputs(mask_to_the_end),
        {"masked-middle", "masked-start", "padding-left", "one-visible-token", "far-from-all"},
        {"padding-right", "two-windows", "no-masks"},
    ),
    "positions that count padding": (
        in_inputs(positions_in_order),
        {"padding-ids-inside", "padding-left", "pad-token-0"},
        {*WITH_OWN_POSITIONS, "global-projections"},
    ),
    "positions of vectors off by one": (in_inputs(embeds_from_ids_position), {"inputs-embeds"}, None),
    "positions off by one": (in_weights(shift_positions), set(NAMES), set()),
    "queries exchanged": (in_weights(swap("query", "query_global")), {"global-projections"}, set()),
    "keys exchanged": (in_weights(swap("key", "key_global")), {"global-projections"}, set()),
    "values exchanged": (in_weights(swap("value", "value_global")), {"global-projections"}, set()),
    "global queries for keys": (in_weights(swap("query_global", "key_global")), {"global-projections"}, {"no-globals"}),
    "an overflowing softmax": (with_softmax(softmax_without_the_largest), EXTREME, None),
    "masked scores of -10000": (with_softmax(softmax_filled_with_minus_10000), {"scores-below-minus-10000"}, None),
    "a softmax of 16 bits": (with_softmax(softmax_in_half), set(NAMES) - {"one-token"}, set()),
    "no chunk for one window": (chunks_off_by_one, {"one-window"}, {"two-windows", "one-window-less-one"}),
    "two windows apart": (two_windows_without_the_middle, {"two-windows"}, {"one-window", "two-windows-and-one"}),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_by_the_cases_that_are_for_it(name, failing):
    target, must, must_not = FAULTS[name]
    found = failing(target)
    assert must <= found
    assert not found & (set(NAMES) - must if must_not is None else must_not)


def positions_by(change):
    """Position ids that are right in short texts."""

    def target(config, weights, inputs):
        if "position_ids" not in inputs and "input_ids" in inputs:
            words = inputs["input_ids"] != config["pad_token_id"]
            counted = np.cumsum(words, axis=-1) * words + config["pad_token_id"]
            inputs["position_ids"] = np.asarray(change(counted)).astype(np.int64)
        return answer(config, weights, inputs)

    return target


FAR = {
    "counted in bfloat16": (lambda ids: to_bfloat16(ids.astype(np.float32)), "more-than-256-tokens"),
    "that wrap at 128": (lambda ids: ids % 128, "more-than-256-tokens"),
    "that stop at 512": (lambda ids: np.minimum(ids, 511), "more-than-512-tokens"),
    "counted in float16": (lambda ids: ids.astype(np.float16), "more-than-2048-tokens"),
}


@pytest.mark.parametrize("name", FAR)
def test_far_positions_are_found_by_the_long_cases_and_named(name):
    change, case_name = FAR[name]
    target = positions_by(change)
    chosen = [case for case in STANDARD if case.name in ("many-windows", case_name)]
    [failure] = check_target(target, chosen).failures
    assert failure.case == case_name
    assert any(name in cause for cause in failure.causes)
    assert check_target(positions_by(lambda ids: ids), chosen[-1:]).passed


def test_every_tenth_draw_is_long():
    lengths = [next(iter(case.inputs.values())).shape[1] for case in testing.drawn_cases(0, 40)]
    assert [index for index, length in enumerate(lengths) if length > 256] == [9, 19, 29, 39]
    assert max(lengths) <= 2100


def test_a_global_token_that_is_out_of_reach_is_found():
    def target(config, weights, inputs):
        inputs.get("global_attention_mask", np.zeros((1, 0)))[:, 2048:] = 0
        return answer(config, weights, inputs)

    chosen = [case for case in STANDARD if case.name in ("more-than-2048-tokens", "global-token-beyond-2048")]
    assert [failure.case for failure in check_target(target, chosen).failures] == ["global-token-beyond-2048"]


def test_softmax_in_float32_within_float64(failing):
    """As HF does it, also in a model of float64."""

    def softmax(scores):
        return original(scores.astype(np.float32)).astype(scores.dtype)

    def target(config, weights, inputs):
        with softmax_is(softmax):
            return answer(config, weights, inputs, "float64")

    original = attention.softmax
    assert failing(target, precision="float64") >= set(NAMES) - {"one-token"}
    assert not failing(lambda *case: answer(*case, dtype="float64"), precision="float64")


def bits_cut_off(values):
    return (np.ascontiguousarray(values, np.float32).view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)


@pytest.mark.parametrize("rounding", [to_bfloat16, bits_cut_off])
def test_weights_rounded_to_bfloat16(rounding, failing):
    def target(config, weights, inputs):
        return answer(config, {name: rounding(array) for name, array in weights.items()}, inputs)

    found = failing(target, precision="bfloat16")
    assert "bfloat16-rounding" in found if rounding is bits_cut_off else not found


def test_padding_is_left_out_on_request(failing):
    def target(config, weights, inputs):
        output = answer(config, weights, inputs)
        if "attention_mask" in inputs and "last_hidden_state" in output:
            output.last_hidden_state[inputs["attention_mask"] == 0] = np.nan
        return output

    found = failing(target)
    assert {"padding-right", "masked-middle"} <= found
    # What is pooled is the first token, masked or not.
    assert not failing(target, ignore_padding=True)


# --- expected failures ------------------------------------------------------------------------------------------------


def test_expected_failures():
    target, reasons = FAULTS["one epsilon for all"][0], {"layer-norm-eps": "known", "one-window": "wrongly"}
    some = [case for case in STANDARD if case.name in ("layer-norm-eps", "one-window", "two-windows")]
    results = check_target(target, some, expected_to_fail=reasons, title="port")
    assert not results.passed
    assert {result.case: result.state for result in results.results} == {
        "one-window": "XPASSED", "two-windows": "passed", "layer-norm-eps": "xfailed",
    }  # fmt: skip
    text = str(results)
    assert text.startswith("FAILED: port in float32: 1 passed, 1 xfailed, 1 xpassed\n")
    assert "XPASSED one-window: passes, but is expected to fail: wrongly" in text
    assert "xfailed" not in text.partition("\n")[2]
    assert "xfailed layer-norm-eps: known (last_hidden_state: " in results.text(everything=True)
    del reasons["one-window"]
    again = check_target(target, some, expected_to_fail=reasons)
    assert again.passed
    assert json.loads(again.to_json())["cases"][-1]["expected_to_fail"] == "known"


def test_the_file_of_expected_failures(tmp_path):
    path = tmp_path / "xfail.txt"
    path.write_text("# a comment\n\none-window: HF cannot\n  two-windows  # nor that\ndrawn-3-17 luck\nlarge-scores\n")
    assert read_expected_to_fail(path, NAMES) == {
        "one-window": "HF cannot", "two-windows": "nor that", "drawn-3-17": "luck", "large-scores": "no reason given",
    }  # fmt: skip
    for text, message in (
        ("one-window a\none-windw b\n", "line 2 of .* names 'one-windw', which is not a case"),
        ("one-window a\none-window b\n", "line 2 of .* names one-window a second time"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_expected_to_fail(path, NAMES)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="cannot be read"):
        read_expected_to_fail(path, NAMES)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_expected_to_fail(tmp_path / "missing", NAMES)
