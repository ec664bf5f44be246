"""Mistakes are named from the outputs alone, each by its own name, and none where another fault was made."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import numpy as np
import pytest
from testing.building import STANDARD, answer

from lf_ref import ConfigError, InputError, testing
from lf_ref.testing import Case
from lf_ref.testing.comparison.calibration import calibrate, scaled
from lf_ref.testing.conformance.case_results import CaseResult, narrowed
from lf_ref.testing.conformance.suite import check_target
from lf_ref.testing.mistakes import naming
from lf_ref.testing.mistakes.variant import Variant
from oracles.fault_cases import case as fault_case
from oracles.fault_table import Fault
from oracles.faulty_ports import FAULTS
from oracles.named_faults import LISTED, NAMES, PORTED

TRIED = naming.known_mistakes  # tests put what they have computed in its place
OUTPUTS = ("last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits", "loss")
# A case of each kind, in which every mistake shows that can.
KINDS = (
    "windows-by-layer",
    "masked-lm",
    "scores-below-minus-10000",
    "inputs-embeds",
    "explicit-position-ids",
    "global-but-masked",
)
CASES = {case.name: case for case in STANDARD}


def possible(right):
    """The mistakes that do not fail in a case; each keeps what it has computed."""
    found = []
    for title, variant in TRIED(right):
        with suppress(InputError, ConfigError, LookupError):
            assert variant.outputs
            found.append((title, variant))
    return found


@cache
def known(name):
    """The expected trace and tolerance of a case, and the mistakes that are possible in it."""
    case = CASES[name]
    expected = testing.trace(case.model(), **case.inputs)
    return expected, scaled(calibrate(expected, "float32"), case.leeway), possible(Variant.of(case, expected))


def named(name, outputs, monkeypatch):
    """The causes of a candidate with these outputs; None if it passes."""
    expected, tolerance, mistakes = known(name)
    monkeypatch.setattr(naming, "known_mistakes", lambda right, tables=(): iter(mistakes))
    candidate = {key: np.asarray(value, np.float32) for key, value in outputs.items()}
    options = {"precision": "float32", "tolerance": tolerance, "ignore_padding": False}
    report = testing.compare(candidate, expected, **options)
    return None if report.passed else naming.causes(CASES[name], candidate, expected, report, options)


def test_every_mistake_has_its_own_name_and_is_silent_on_the_others(monkeypatch):
    shown = {}
    for name in KINDS:
        for title, variant in known(name)[2]:
            if len(min((result.causes for result in shown.get(title, ())), key=len, default="..")) == 1:
                continue  # it has been named, and alone
            causes = named(name, variant.outputs, monkeypatch)
            if causes:
                assert title in causes, f"{name}: {title} is called {causes}"
                shown.setdefault(title, []).append(CaseResult(name, "", "wrong", causes=causes))
    for title, results in shown.items():
        last = min(narrowed(results), key=lambda result: len(result.causes))
        assert title in last.causes
        assert len(last.causes) <= 2, f"{title} is {last.causes}"
    assert len(shown) > 95


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("dilated-window", "attention_dilation"),
        ("dilation-by-head", "attention_dilation"),
        ("causal", "autoregressive"),
    ],
)
def test_a_field_of_windows_that_a_port_ignores_is_named(name, ignored, monkeypatch):
    case = CASES[name]
    plain = {field: value for field, value in case.config.items() if field != ignored}
    right = Case(name, "", case.class_name, plain, case.inputs, case.seed)
    outputs = right.model()(**case.inputs)
    kept = {key: outputs[key] for key in known(name)[0].run.outputs}
    assert named(name, kept, monkeypatch) == (f"{ignored} ignored",)


def test_a_first_token_that_is_global_too_is_not_called_the_only_one(monkeypatch):
    results = []
    for name in ("one-token", "ragged-globals"):
        case = CASES[name]
        marks = np.array(case.inputs.get("global_attention_mask", np.zeros_like(case.inputs["input_ids"])))
        marks[:, 0] = 1
        outputs = case.model()(**{**case.inputs, "global_attention_mask": marks})
        kept = {key: outputs[key] for key in known(name)[0].run.outputs}
        results.append(CaseResult(name, "", "wrong", causes=named(name, kept, monkeypatch)))
    assert {cause for result in narrowed(results) for cause in result.causes} == {"the first token global too"}


@pytest.mark.parametrize("size", [1e-3, 1.0])
def test_noise_has_no_name(size, monkeypatch):
    rng = np.random.default_rng(1)
    for name in KINDS[:2]:
        outputs = {key: known(name)[0][key] for key in known(name)[0].run.outputs}
        noisy = {key: value + size * rng.normal(size=value.shape) for key, value in outputs.items()}
        assert named(name, noisy, monkeypatch) == (), name
        first = next(iter(noisy))
        assert named(name, {**noisy, first: noisy[first] * np.nan}, monkeypatch) == ()


# --- faults of a port that knows nothing of the table -----------------------------------------------------------------


@cache
def port_case(class_name, batch):
    fields, state, inputs = fault_case(class_name, batch)
    weights = {name: np.asarray(array, np.float32) for name, array in state.items()}
    return Case("port", "", class_name, {**fields, "architectures": [class_name]}, inputs, 0, weights)


@cache
def of_port(class_name, batch):
    """The trace of a case of the port, and the mistakes that are possible in it."""
    case = port_case(class_name, batch)
    expected = testing.trace(case.model(), **case.inputs)
    return expected, possible(Variant.of(case, expected))


def causes_of(fault, monkeypatch, precision="float32", intermediates=False):
    case = port_case(fault.class_name, fault.batch)
    expected, mistakes = of_port(fault.class_name, fault.batch)
    monkeypatch.setattr(naming, "known_mistakes", lambda right, tables=(): iter(mistakes))
    computed = fault.plant(fault.class_name, case.config, case.weights(), precision)(**case.inputs)
    given = {name: array for name, array in computed.items() if name in OUTPUTS or intermediates}
    options = {"precision": precision, "tolerance": None, "ignore_padding": False}
    report = testing.compare(given, expected, **options)
    assert not report.passed
    options["tolerance"] = expected.calibrations[precision, False]  # that of the right model
    return naming.causes(case, given, expected, report, options)


@pytest.mark.parametrize("name", [name for name, fault in FAULTS.items() if "float32" in fault.precisions])
def test_faults_of_the_port_are_named_or_left_alone(name, monkeypatch):
    causes = causes_of(FAULTS[name], monkeypatch)
    if name in NAMES:
        assert any(NAMES[name] in cause for cause in causes), causes
        assert len(causes) <= 2
    else:
        assert causes == ()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("plant", LISTED, ids=lambda plant: plant.__name__)
def test_the_listed_faults_are_named(plant, precision, monkeypatch):
    causes = causes_of(Fault(plant, ""), monkeypatch, precision)
    assert LISTED[plant] in causes


def test_at_least_18_of_21_faults_are_named_and_none_wrongly(monkeypatch):
    listed = {plant.__name__: (Fault(plant, ""), name) for plant, name in LISTED.items()}
    faults = listed | {name: (FAULTS[name], NAMES.get(name, "")) for name in PORTED if name in FAULTS}
    causes = {name: causes_of(faults[name][0], monkeypatch) for name in PORTED}
    right = [name for name in PORTED if faults[name][1] and faults[name][1] in " ".join(causes[name])]
    assert len(PORTED) == 21
    assert len(right) >= 18, causes
    assert not any(causes[name] for name in PORTED if name not in right), causes


def test_two_mistakes_at_once_have_no_name(monkeypatch):
    name = "windows-by-layer"
    known(name)
    titles = dict(reversed(known(name)[2]))
    pairs = (
        titles["twice the window"].with_config(layer_norm_eps=0.1),
        titles["no global attention"].with_config(hidden_act="relu"),
        titles["padding seen"].with_config(attention_window=2),
        titles["positions that begin at 0"].with_names(lambda name: name.replace("self.query.", "self.key.")),
        titles["no embeddings.LayerNorm"].with_config(layer_norm_eps=0.1),
        titles["local scores that are not scaled"].without("attention_mask"),
    )
    for both in pairs:
        assert named(name, both.outputs, monkeypatch) == ()


def test_a_port_with_intermediates_is_named_too(monkeypatch):
    causes = causes_of(FAULTS["GlobalKeyAndValueSwapped"], monkeypatch, intermediates=True)
    assert causes == ("key_global and value_global exchanged",)


# --- in the results ---------------------------------------------------------------------------------------------------


def test_the_mistake_is_in_the_line_and_in_json():
    def target(config, weights, inputs):
        return answer({**config, "attention_window": 16}, weights, inputs)

    cases = [case for case in STANDARD if case.name in ("two-windows", "two-windows-and-one")]
    results = check_target(target, cases)
    assert results.failures[0].line().endswith("; mistake: twice the window")
    assert "the same in 1 more case: two-windows-and-one" in str(results)
    assert '"causes": ["twice the window"]' in results.to_json()


def twice_the_window(config, weights, inputs):
    return answer({**config, "attention_window": 16}, weights, inputs)


def test_long_cases_have_the_names_that_short_ones_gave():
    """A search takes many forward passes."""
    long, short = CASES["more-than-256-tokens"], CASES["two-windows-less-one"]
    assert [result.causes for result in check_target(twice_the_window, [long]).results] == [()]
    assert [result.causes for result in check_target(twice_the_window, [short, long]).results] == [
        ("twice the window",),
        ("twice the window",),
    ]


def test_a_suspect_that_does_not_reproduce_a_case_does_not_end_the_search():
    def target(config, weights, inputs):
        own = config["attention_window"] if inputs["input_ids"].shape[1] == 43 else 16
        return answer({**config, "attention_window": own, "layer_norm_eps": 0.1 if own == 8 else 1e-5}, weights, inputs)

    found = check_target(target, [CASES["two-windows-less-one"], CASES["many-windows"]]).results
    assert found[0].causes == ("twice the window",)
    assert found[1].causes == ()  # an epsilon that is in no table


def test_a_few_elements_come_close_by_chance(monkeypatch):
    """Half-way to a mistake is no reproduction; of four logits it may be luck."""
    case = CASES["multiple-choice"]
    inputs = {name: array for name, array in case.inputs.items() if name != "labels"}
    expected = testing.trace(case.model(), **inputs)
    [mistake] = [
        variant
        for title, variant in naming.of_attention.softmaxes(Variant.of(case, expected))
        if title == "a softmax in bfloat16"
    ][:1]
    monkeypatch.setattr(naming, "known_mistakes", lambda right, tables=(): iter([("a softmax", mistake)]))
    options = {"precision": "float32", "tolerance": None, "ignore_padding": False}
    right, wrong = expected["logits"], mistake.outputs["logits"]
    assert right.size == 4
    for share, causes in ((0.0, ("a softmax",)), (0.2, ()), (0.9, ())):
        candidate = {"logits": wrong + share * (right - wrong)}
        report = testing.compare(candidate, expected, **options)
        assert naming.causes(case, candidate, expected, report, options) == causes


def test_padding_that_does_not_count_hides_no_mistake():
    def target(config, weights, inputs):
        output = twice_the_window(config, weights, inputs).last_hidden_state
        output[inputs["attention_mask"] == 0] = np.nan
        return output

    cases = [CASES["two-windows-less-one"]]
    assert check_target(target, cases).results[0].causes == ()
    assert check_target(target, cases, ignore_padding=True).results[0].causes == ("twice the window",)


def test_dropout_is_named():
    rng = np.random.default_rng(3)

    def target(config, weights, inputs):
        output = answer(config, weights, inputs)
        return {"last_hidden_state": output[0] * (rng.random(output[0].shape) > 0.1), "pooler_output": output[1]}

    [result] = check_target(target, [CASES["ragged-globals"]]).results
    assert result.causes == ("dropout, or another choice by chance: its outputs differ from run to run",)


def test_a_second_run_of_another_shape_is_no_dropout():
    lengths = iter((11, 10))

    def target(config, weights, inputs):
        return {"logits": answer(config, weights, inputs).logits[:, : next(lengths)] + 1}

    [result] = check_target(target, [CASES["masked-lm"]]).results
    assert result.causes == ()
    assert next(lengths, None) is None


def test_a_wrong_loss_or_shape_has_no_name():
    case = CASES["masked-lm"]
    for change in (lambda output: {"logits": output.logits[:, :-1]}, lambda output: {"logits": output.logits.T}):
        [result] = check_target(lambda *given, change=change: change(answer(*given)), [case]).results
        assert result.problem
        assert result.causes == ()
