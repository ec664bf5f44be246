"""The standard cases: what they hold, that they are always the same, and that they cover each fault."""

from __future__ import annotations

import hashlib
import json
import re

import numpy as np
import pytest

import lf_ref
from lf_ref.testing import generator
from lf_ref.testing.cases.batches import batch, row
from lf_ref.testing.cases.case import HEAD_OF, select_cases
from lf_ref.testing.cases.standard_cases import SMALL, cases_for_checkpoint, standard_cases
from model.building import build
from oracles.compare import assert_close
from oracles.heads import run
from oracles.tolerances import FLOAT64

CASES = {case.name: case for case in standard_cases()}
PAPER = ("attention_dilation", "autoregressive")
EMBEDDINGS = "embeddings.{}_embeddings.weight"


def marks(case):
    """(visible, global and visible) of a case: bool (rows, seq) each."""
    shape = next(iter(case.inputs.values())).shape[:2]
    visible = case.inputs.get("attention_mask", np.ones(shape)) == 1
    return visible, (case.inputs.get("global_attention_mask", np.zeros(shape)) == 1) & visible


@pytest.mark.parametrize("name", CASES)
def test_the_reference_implementation_agrees_with_scalar_loops(name):
    case = CASES[name]
    expected = run(case.class_name, case.config, case.weights(), case.inputs, pooled=case.head != "encoder")
    output = case.model()(**case.inputs)
    for field, value in output.items():
        assert_close(value, np.asarray(expected[field]), FLOAT64, field)


def test_names_are_plain_and_every_case_names_its_fault():
    assert len(CASES) == len(standard_cases()) > 40
    for case in CASES.values():
        assert re.fullmatch(r"[a-z0-9-]+", case.name)
        assert len(case.about) > 5


def test_the_same_bits_for_ever():
    """Inputs, configs and changed weights; who changes a case on purpose renames it, and puts the new digest here."""
    digest = hashlib.sha256()
    for case in CASES.values():
        config = {name: value for name, value in case.config.items() if name in (*SMALL, *PAPER)}
        digest.update(json.dumps([case.name, case.class_name, config, case.seed], sort_keys=True).encode())
        for arrays in (case.inputs, case.changes):
            for name, array in sorted(arrays.items()):
                digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    assert digest.hexdigest()[:16] == "f5970b625443bcc0"


def test_windows_of_the_paper_differ_from_plain_ones():
    for name in ("dilated-window", "dilation-by-head", "causal"):
        case = CASES[name]
        fields = {
            key: value for key, value in case.config.items() if key not in ("attention_dilation", "autoregressive")
        }
        plain = build(case.class_name, {key: fields[key] for key in SMALL}, case.weights(), "numpy")
        difference = np.abs(case.model()(**case.inputs)[0] - plain(**case.inputs)[0])[marks(case)[0]]
        assert difference.max() > 0.1, name
    _, is_global = marks(CASES["dilated-window"])
    assert is_global.sum(axis=1).tolist() == [1, 0, 2]


def test_lengths_around_one_and_two_windows():
    lengths = [CASES[name].inputs["input_ids"].shape[1] for name in CASES if "window" in name or name == "one-token"]
    assert {1, 4, 5, 7, 8, 9, 15, 16, 17, 43} <= set(lengths)
    assert CASES["one-window"].config["attention_window"] == 8


def test_ragged_globals():
    counts = marks(CASES["ragged-globals"])[1].sum(axis=1).tolist()
    assert counts == [0, 4, 1, 2]


def test_masked_tokens_in_the_middle_and_at_the_start():
    visible, _ = marks(CASES["masked-middle"])
    assert visible[:, 0].all()
    assert visible[:, -1].all()
    assert not visible.all(axis=1).any()
    visible, _ = marks(CASES["masked-start"])
    assert not visible[:, 0].any()
    for name, side in (("padding-left", 0), ("padding-right", -1)):
        ids = CASES[name].inputs["input_ids"]
        assert (ids[:, side] == 1).tolist() == [False, True, True], name


def test_one_visible_token_and_none():
    assert marks(CASES["one-visible-token"])[0].sum(axis=1).tolist() == [1, 1, 11]
    assert marks(CASES["nothing-visible"])[0].sum(axis=1).tolist() == [0, 11, 0]


def test_all_global():
    visible, is_global = marks(CASES["all-global"])
    assert is_global.sum(axis=1).tolist() == [11, 6, 0]
    np.testing.assert_array_equal(is_global[:2], visible[:2])


def test_scores_overflow_a_softmax_that_does_not_subtract_the_largest():
    case = CASES["large-scores"]
    assert largest_score(case) > np.log(np.finfo(np.float32).max)
    assert largest_score(CASES["scores-below-minus-10000"]) < -10_000


def largest_score(case):
    """Of the first layer, over all pairs of visible tokens of the first row."""
    weights = case.weights()
    hidden = case.model()(**case.inputs, output_hidden_states=True).hidden_states[0][0]
    query, key = (
        hidden @ weights[f"encoder.layer.0.attention.self.{name}.weight"].T.astype(float)
        + weights[f"encoder.layer.0.attention.self.{name}.bias"]
        for name in ("query", "key")
    )
    visible = marks(case)[0][0]
    return max(float((query[visible, h : h + 8] @ key[visible, h : h + 8].T).max() / 8**0.5) for h in (0, 8, 16))


def to_bfloat16(values, rounding):
    """float32 to the float32 of a bfloat16, by one of the ways that programs are seen to do it."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    low, last = bits & 0xFFFF, bits >> 16 & 1
    up = {
        "nearest, ties to even": (low > 0x8000) | ((low == 0x8000) & (last == 1)),
        "nearest, ties away from zero": low >= 0x8000,
        "nearest, ties up": np.where(values >= 0, low >= 0x8000, low > 0x8000),
        "cut off": np.zeros(bits.shape, bool),
        "down": np.where(values >= 0, False, low > 0),
    }[rounding]
    return (((bits >> 16) + up.astype(np.uint64)) << 16).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize(
    ("rounding", "right"),
    [
        ("nearest, ties to even", True),
        ("nearest, ties away from zero", False),
        ("nearest, ties up", False),
        ("cut off", False),
        ("down", False),
    ],
)
def test_only_the_right_rounding_to_bfloat16_is_exact(rounding, right):
    case = CASES["bfloat16-rounding"]
    tables = [EMBEDDINGS.format(name) for name in ("word", "position", "token_type")]
    exact = case.model()(**case.inputs, output_hidden_states=True).hidden_states[0]
    weights = case.weights()
    assert all(name in case.changes for name in tables)
    for name in tables:
        weights[name] = to_bfloat16(weights[name], rounding)
    model = lf_ref.LongformerModel(
        lf_ref.LongformerConfig.from_dict(case.config), weights, dtype="float64", backend="numpy"
    )
    error = np.abs(model(**case.inputs, output_hidden_states=True).hidden_states[0] - exact).max()
    assert error == 0 if right else error > 0.1


def test_weights_and_inputs_are_new_each_time():
    case = CASES["large-scores"]
    name = "encoder.layer.0.attention.self.query.weight"
    case.weights()[name][:] = 0
    case.arguments()["input_ids"][:] = 0
    assert case.weights()[name].any()
    assert case.arguments()["input_ids"].any()
    assert case.arguments()["input_ids"].flags.writeable


def test_cases_for_a_checkpoint_have_its_sizes():
    config = lf_ref.LongformerConfig(
        vocab_size=31, attention_window=[4, 16], max_position_embeddings=49, num_hidden_layers=2, pad_token_id=3
    )
    made = cases_for_checkpoint(config, "LongformerForMaskedLM")
    assert {case.name for case in made} >= {"one-window", "ragged-globals", "inputs-embeds", "no-masks"}
    assert not {case.name for case in made} & {"many-windows", "pad-token-0", "large-scores", "masked-lm"}  # 83 tokens
    for case in made:
        assert case.seed is None
        with pytest.raises(lf_ref.InputError, match="those of a checkpoint"):
            case.weights()
        if "input_ids" in case.inputs:
            assert case.inputs["input_ids"].max() < 31
        if case.name == "one-window":
            assert case.inputs["input_ids"].shape == (3, 16)
        assert "labels" not in case.inputs


@pytest.mark.parametrize("class_name", ["LongformerForQuestionAnswering", "LongformerForMultipleChoice"])
def test_heads_that_use_separators_get_a_global_attention_mask(class_name):
    config = lf_ref.LongformerConfig.from_dict(CASES["one-window"].config)
    made = cases_for_checkpoint(config, class_name)
    head = HEAD_OF[class_name]
    model = getattr(lf_ref, class_name)(config, generator.weights(config, head, 1), backend="numpy")
    assert len(made) > 20
    for case in made:
        model(**case.inputs)


def test_choosing_by_name():
    some = select_cases(standard_cases(), ["two-windows", "one-window"])
    assert [case.name for case in some] == ["two-windows", "one-window"]
    assert len(select_cases(standard_cases(), ["standard"])) == len(CASES)
    for names, message in (
        (["no-such"], "there is no case 'no-such' among the 53; "),
        ([], "one at least; got none"),
        (["one-window", "one-window"], "name each case once"),
    ):
        with pytest.raises(lf_ref.InputError, match=message):
            select_cases(standard_cases(), names)


def test_rows_as_text():
    assert row(7, g=(0, -1), m=(2,), x=(3,), v=(4,), right=1) == "glmxvlg"
    assert row(6, left=2, right=1) == "pplllp"
    fields = {"vocab_size": 5, "pad_token_id": 1, "sep_token_id": 2}
    made = batch(fields, ["lgmxpvs", "lllllll"], seed=2, stream="")
    assert made["attention_mask"].tolist() == [[1, 1, 0, 0, 0, 1, 1], [1] * 7]
    assert made["global_attention_mask"].tolist() == [[0, 1, 0, 1, 0, 0, 0], [0] * 7]
    ids = made["input_ids"]
    assert ids[0, 4:].tolist() == [1, 1, 2]
    assert set(ids[1].tolist()) | set(ids[0, :4].tolist()) == {0, 3, 4}


def test_a_separator_outside_the_vocabulary_takes_no_word_away():
    made = batch({"vocab_size": 3, "pad_token_id": 0, "sep_token_id": 7}, ["l" * 40], seed=1, stream="")
    assert set(made["input_ids"].ravel().tolist()) == {1, 2}
