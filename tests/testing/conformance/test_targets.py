"""Targets of the conformance kit: what they may answer and raise, and how they are named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from testing.building import STANDARD, answer

import lf_ref
from lf_ref import InputError, testing
from lf_ref.testing.conformance.suite import check_target
from lf_ref.testing.conformance.targets import TargetError, load_target, run_target

# --- what comes back --------------------------------------------------------------------------------------------------


def result_of(target, name="masked-lm", **options):
    [result] = check_target(target, [case for case in STANDARD if case.name == name], **options).results
    return result


def raising(error):
    def target(config, weights, inputs):
        raise error

    return target


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (raising(ValueError("no\nsuch thing")), "raised ValueError: no such thing"),
        (raising(InputError("x" * 400)), f"raised InputError: {'x' * 278}..."),
        (raising(SystemExit(3)), "raised SystemExit: 3"),
        (lambda *case: None, "returned NoneType, not a mapping with logits"),
        (lambda *case: (1, 2), "returned tuple, not a mapping with logits"),
        (lambda *case: {}, "the candidate is empty"),
        (lambda *case: {"logits": None}, "the candidate is empty"),
        (lambda *case: {"embeddings": answer(*case).logits}, "embeddings: has shape"),
        (lambda *case: {"loss": answer(*case).loss}, "returned no logits"),
        (lambda *case: {"logits": "text"}, "logits: is of type str"),
        (lambda *case: {"logits": answer(*case).logits * np.nan}, "NaN"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # a function's name is its address
)
def test_what_is_no_answer(target, problem):
    result = result_of(target)
    assert not result.passed
    assert result.state == "FAILED"
    assert problem in result.problem


def test_names_that_no_case_expects_are_listed():
    """A misspelt name is compared with nothing, and must not look as if it had passed."""

    def target(*case):
        output = answer(*case)
        pooled = {} if "pooler_output" not in output else {"pooled_output": output.pooler_output + 1}
        return {**output, **pooled}

    two = [case for case in STANDARD if case.name in ("one-window", "masked-lm")]
    results = check_target(target, two)
    assert results.passed
    assert results.unknown == ("pooled_output",)
    assert "not compared, since no case expects such a tensor: pooled_output" in str(results).splitlines()
    assert json.loads(results.to_json())["unknown"] == ["pooled_output"]
    sound = check_target(answer, two)
    assert sound.unknown == ()
    assert "not compared" not in str(sound)


def test_a_name_that_some_cases_expect_is_not_listed():
    """Some ports return a loss in any case."""
    two = [case for case in STANDARD if case.name in ("one-window", "masked-lm")]
    results = check_target(lambda *case: {"loss": 0.0, **answer(*case)}, two)
    assert results.passed
    assert results.unknown == ()


def test_a_single_array_is_the_first_output():
    assert result_of(lambda *case: answer(*case).logits).passed
    assert result_of(lambda *case: answer(*case).last_hidden_state, "one-window").passed
    result = result_of(lambda *case: answer(*case).start_logits, "question-answering")
    assert result.problem == "returned ndarray, not a mapping with start_logits and end_logits"


def test_intermediates_locate_the_fault():
    def target(config, weights, inputs):
        made = lf_ref.LongformerConfig.from_dict(config)
        name = "longformer.encoder.layer.1.attention.self.key_global.bias"
        weights[name] = -weights[name]
        model = lf_ref.LongformerForMaskedLM(made, weights, backend="numpy")
        return dict(testing.trace(model, **inputs))

    assert result_of(target).first_divergence == "encoder.layer.1.attention.self.key_global"


def test_no_case_is_no_success():
    with pytest.raises(InputError, match="there is no case to run the target on"):
        check_target(answer, [])


def test_a_target_is_a_callable():
    """Or else every case would fail, as if it were the port's fault."""
    with pytest.raises(InputError, match="a target must be callable, got 'port:target'"):
        check_target("port:target", testing.standard_cases())


def test_a_target_may_change_what_it_is_given():
    def target(config, weights, inputs):
        result = answer(config, weights, inputs)
        for array in (*weights.values(), *inputs.values()):
            array[...] = 0
        config.clear()
        return result

    assert check_target(target, STANDARD[:3]).passed
    assert check_target(target, STANDARD[:3]).passed


# --- targets by name --------------------------------------------------------------------------------------------------


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder with modules, in which the command is run."""
    (tmp_path / "good_target.py").write_text("class Port:\n    @staticmethod\n    def run(*case):\n        return {}\n")
    (tmp_path / "broken_target.py").write_text("1 / 0\n")
    (tmp_path / "needy_target.py").write_text("import no_such_module_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [path for path in __import__("sys").path if path])
    return tmp_path


def test_a_target_in_the_working_folder(modules):
    target = load_target("good_target:Port.run")
    assert run_target(target, STANDARD[0]) == {}
    assert load_target("good_target:Port.run") is target


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("good_target", "a target is named package.module:callable, got 'good_target'"),
        ("good_target.py:x", "a target's module is named without .py and with dots for folders, got 'good_target.py'"),
        (":x", "a target is named"),
        ("good_target:", "a target is named"),
        ("good_target:nothing", "module good_target has no 'nothing'"),
        ("good_target:Port.nothing", "module good_target has no 'Port.nothing'"),
        ("good_target:__name__", "is not callable, got str"),
        ("no_such_target.part:x", "there is no module 'no_such_target' for the target"),
        ("broken_target:x", "module broken_target cannot be imported: ZeroDivisionError"),
        ("needy_target:x", "module needy_target cannot be imported: No module named 'no_such_module_at_all'"),
    ],
)
def test_names_that_are_no_targets(name, message, modules):
    with pytest.raises(InputError, match=message):
        load_target(name)


def test_the_cause_of_a_failure_is_chained():
    error = ValueError("why")
    with pytest.raises(TargetError) as caught:
        run_target(raising(error), STANDARD[0])
    assert caught.value.__cause__ is error
