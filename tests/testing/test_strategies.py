"""What the strategies draw, how it shrinks, and that the same choices by the generator are always the same."""

from __future__ import annotations

import importlib
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import lf_ref
from lf_ref.testing import strategies
from lf_ref.testing.cases.random_cases import Bounds, by_generator, draw_case, drawn_cases
from oracles.compare import assert_close
from oracles.heads import run
from oracles.tolerances import FLOAT64

QUIETLY = settings(
    max_examples=400, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
MODEL = ["LongformerModel"]


def test_a_drawn_case_is_what_the_scalar_loops_answer():
    @settings(QUIETLY, max_examples=40)
    @given(strategies.cases(longest=17))
    def check(case):
        output = case.model()(**case.inputs)
        expected = run(case.class_name, case.config, case.weights(), case.inputs)
        for field, value in output.items():
            assert_close(value, np.asarray(expected[field]), FLOAT64, field)

    check()


def simplest(condition, **options):
    return find(strategies.cases(**options), condition, settings=QUIETLY)


def test_shrinks_to_one_local_token_in_one_layer():
    case = simplest(lambda case: True)
    assert case.class_name == "LongformerModel"
    assert case.config["num_hidden_layers"] == case.config["num_attention_heads"] == 1
    assert case.config["attention_window"] == 2
    assert {name: array.tolist() for name, array in case.inputs.items() if name != "input_ids"} == {
        "attention_mask": [[1]],
        "global_attention_mask": [[0]],
    }
    assert (case.seed, dict(case.changes)) == (0, {})


def test_shrinks_to_what_a_fault_needs():
    def ragged(case):
        marked = case.inputs["global_attention_mask"] * case.inputs.get("attention_mask", 1)
        return len(set(marked.sum(axis=1).tolist())) > 1

    case = simplest(ragged, class_names=MODEL)
    assert sorted(case.inputs["global_attention_mask"].tolist()) == [[0], [1]]
    assert case.config["num_hidden_layers"] == 1


def kinds(case):
    """The kinds of trouble that a case has."""
    inputs, windows = case.inputs, case.config["attention_window"]
    mask, largest = inputs.get("attention_mask"), max([0, *(np.abs(array).max() for array in case.changes.values())])
    marked = inputs["global_attention_mask"]
    found = {
        "a row without visible tokens": mask is not None and not mask.any(axis=-1).all(),
        "a row with one visible token": mask is not None and bool((mask.sum(axis=-1) == 1).any()),
        "masked and marked global": mask is not None and bool((marked > mask).any()),
        "no mask": mask is None,
        "vectors": "inputs_embeds" in inputs,
        "positions": "position_ids" in inputs,
        "types": "token_type_ids" in inputs,
        "large scores": 0 < largest < 256,
        "scores below zero": largest == 256,
        "windows by layer": isinstance(windows, list),
        "a window wider than the sequence": windows == 64,
        "three choices": case.class_name == "LongformerForMultipleChoice" and marked.shape[1] == 3,
        "all global": bool(marked.all()),
        "padding id 0": case.config["pad_token_id"] == 0,
        "padding id in the text": mask is not None and bool((mask & (inputs.get("input_ids", 9) == 1)).any()),
    }
    return {name for name, is_there in found.items() if is_there}


def test_draws_every_kind_of_trouble():
    """By the generator, which makes the same choices in every run; hypothesis has the same to choose from."""
    cases = [draw_case(by_generator(1, str(index)), "drawn", Bounds()) for index in range(400)]
    assert {case.class_name for case in cases} == set(strategies.CLASSES)
    seen = {kind for case in cases for kind in kinds(case)}
    assert len(seen) == 15, seen


def test_windows_that_hf_can_do():
    @QUIETLY
    @given(strategies.configs(divides=True))
    def check(config):
        largest = max(config.windows)
        assert all(window >= 4 and largest % window == 0 for window in config.windows)

    check()
    odd = find(strategies.configs(), lambda config: max(config.windows) % min(config.windows) > 0, settings=QUIETLY)
    assert isinstance(odd, lf_ref.LongformerConfig)


@settings(QUIETLY, max_examples=30)
@given(st.data())
def test_configs_weights_and_inputs_go_together(data):
    class_name = data.draw(st.sampled_from(strategies.CLASSES))
    config = data.draw(strategies.configs(longest=7))
    weights = data.draw(strategies.weights(config, class_name))
    inputs = data.draw(strategies.inputs(config, class_name, longest=100, most_rows=2))
    model = getattr(lf_ref, class_name)(config, weights, backend="numpy")
    if class_name in ("LongformerForMultipleChoice", "LongformerForQuestionAnswering"):
        assert "global_attention_mask" in inputs  # no separators to find
    output = model(**inputs)
    assert np.isfinite(output[0]).all()
    rows, length = inputs["global_attention_mask"].shape[-2:]
    assert rows <= 2
    assert length <= config.max_tokens


def test_arguments_are_checked_at_once():
    config = lf_ref.LongformerConfig()
    for call, message in (
        (lambda: strategies.cases(class_names=["LongformerForNothing"]), "class_name must be one of LongformerModel, "),
        (lambda: strategies.cases(class_names=[]), "must name one class at least"),
        (lambda: strategies.cases(longest=0), "longest must be a positive integer, got 0"),
        (lambda: strategies.cases(most_rows=1.5), "most_rows must be a positive integer, got 1.5"),
        (lambda: strategies.configs(longest=True), "longest must be a positive integer, got True"),
        (lambda: strategies.weights(config, "Bert"), "got 'Bert'"),
        (lambda: strategies.inputs(config, "Bert"), "got 'Bert'"),
    ):
        with pytest.raises(lf_ref.InputError, match=message):
            call()


def test_without_hypothesis_the_error_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    monkeypatch.delitem(sys.modules, "lf_ref.testing.strategies")
    with pytest.raises(ImportError, match=r"lf_ref\.testing\.strategies needs hypothesis: pip install hypothesis"):
        importlib.import_module("lf_ref.testing.strategies")


def test_drawn_cases_are_the_same_for_a_seed():
    one, same, other = drawn_cases(3, 5), drawn_cases(3, 4), drawn_cases(4, 5)
    assert [case.name for case in one] == [f"drawn-3-{index}" for index in range(5)]
    for left, right in zip(one, same, strict=False):
        assert left.config == right.config
        assert left.inputs.keys() == right.inputs.keys()
        for name, array in left.inputs.items():
            np.testing.assert_array_equal(array, right.inputs[name])
    assert any(left.config != right.config for left, right in zip(one, other, strict=True))
    for case in drawn_cases(0, 20):
        windows = lf_ref.LongformerConfig.from_dict(case.config).windows
        assert all(max(windows) % window == 0 for window in windows)


def test_the_generator_chooses_all_options_about_equally():
    choose = by_generator(1, "stream")
    taken = [choose("", "abc") for _ in range(3000)]
    assert all(900 < taken.count(letter) < 1100 for letter in "abc")
