"""Targets in processes of their own, and targets that raise: one exception is reported once."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
from functools import partial

import numpy as np
import pytest
from testing.building import STANDARD, answer

from lf_ref import InputError, testing
from lf_ref.testing.cases.traits import traits
from lf_ref.testing.conformance import isolation
from lf_ref.testing.conformance.case_runs import results_of_case
from lf_ref.testing.conformance.evaluation import Settings
from lf_ref.testing.conformance.suite import check_target

SOME = [case for case in STANDARD if case.name in ("one-window", "two-windows", "masked-lm", "pad-token-7")]


def test_a_function_passes_in_a_process_of_its_own():
    seen = []
    results = check_target(answer, SOME, isolate=True, on_result=seen.append)
    assert results.passed, results
    assert tuple(seen) == results.results
    assert all(result.report.passed for result in results.results)


@pytest.mark.parametrize("time_limit", [0, -1, float("inf"), "5"])
def test_a_time_limit_is_a_number_and_needs_a_process(time_limit):
    with pytest.raises(InputError, match="time_limit must be seconds above 0, and needs isolate=True, got"):
        check_target(answer, SOME, isolate=True, time_limit=time_limit)
    with pytest.raises(InputError, match="needs isolate=True"):
        check_target(answer, SOME, time_limit=5)


def test_a_local_function_cannot_run_in_another_process():
    with pytest.raises(InputError, match=r"must be importable: .*; define it at the top of a module, or use isolate"):
        check_target(lambda *case: answer(*case), SOME, isolate=True)


def test_an_error_of_the_import_is_one_of_the_arguments():
    with pytest.raises(InputError, match="there is no module 'no_such_port'"):
        check_target("no_such_port:target", SOME, isolate=True)


def fails(text):
    yield 1
    raise InputError(text)


def counts():
    yield 1
    yield 2


def then(end):
    yield 1
    yield 2
    end()


def stops():
    yield from ()
    sys.exit(3)


def hangs():
    yield from ()
    time.sleep(60)


def test_what_the_process_does():
    assert isolation.last_in_process(counts) == 2
    with pytest.raises(InputError, match="wrong"):
        isolation.last_in_process(fails, "wrong")
    with pytest.raises(isolation.ProcessEndedError, match="exit code 3"):
        isolation.last_in_process(stops)
    with pytest.raises(isolation.ProcessEndedError, match=r"did not finish within 0\.5 seconds, and was stopped"):
        isolation.last_in_process(hangs, time_limit=0.5)


@pytest.mark.parametrize(("end", "time_limit"), [(os.abort, 60), (partial(time.sleep, 60), 8)])
def test_a_result_stays_whatever_comes_after_it(end, time_limit):
    assert isolation.last_in_process(then, end, time_limit=time_limit) == 2


@pytest.mark.parametrize(("function", "arguments"), [(fails, ("wrong",)), (counts, ())])
def test_the_inside_of_the_process(function, arguments, capfd):
    """Here, where the coverage is measured."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    handler, out = signal.getsignal(signal.SIGINT), os.dup(1)
    try:
        with capfd.disabled():
            isolation._serve(sender, function, arguments)
    finally:
        signal.signal(signal.SIGINT, handler)
        os.dup2(out, 1)
        os.close(out)
    assert receiver.recv() == (1,)
    [second] = receiver.recv()
    assert second == 2 if function is counts else isinstance(second, InputError)
    assert receiver.recv() == ()


CALLS = []


def wrong_then(end):
    def target(config, weights, inputs):
        CALLS.append(1)
        if len(CALLS) % 2 == 0:
            end()
        return answer(config, weights, inputs).last_hidden_state + 1

    return target


def raises():
    raise ValueError("a second time")


wrong_then_raises, wrong_then_crashes = wrong_then(raises), wrong_then(os.abort)


def test_a_second_run_that_fails_does_not_hide_the_divergence():
    """A failing case runs twice, to find dropout."""
    CALLS.clear()
    [result] = check_target(wrong_then_raises, SOME[:1]).results
    assert CALLS == [1, 1]
    assert result.first_divergence == "last_hidden_state"
    assert (result.place, result.traceback) == ("", "")
    [result] = check_target("testing.conformance.test_isolation:wrong_then_crashes", SOME[:1], isolate=True).results
    assert result.first_divergence == "last_hidden_state"


def test_a_target_by_its_name():
    """As in the new process."""
    [result] = results_of_case("testing.building:answer", SOME[0], Settings(), ())
    assert result.report.passed


def always(config, weights, inputs):
    raise ValueError(f"no {inputs['input_ids'].shape}")


def test_one_exception_is_reported_once():
    cases = [case for case in STANDARD if "input_ids" in case.inputs]
    text = str(check_target(always, cases))
    assert text.count("FAILED  ") == 1
    assert text.count("Traceback") == 1
    assert "in always" in text
    assert "targets.py" not in text
    assert f"the same in {len(cases) - 1} more cases: shorter-than-the-window, half-a-window, " in text
    facts = json.loads(check_target(always, SOME[:1]).to_json())["cases"][0]
    assert facts["place"].startswith("test_isolation.py:")
    assert facts["traceback"].endswith("ValueError: no (3, 8)")


def test_a_target_that_cannot_be_called_has_no_place():
    result = check_target(len, SOME[:1]).results[0]
    assert result.problem.startswith("raised TypeError")
    assert result.place == ""


def test_failures_are_grouped_by_what_they_have_in_common():
    def target(config, weights, inputs):
        return answer({**config, "pad_token_id": 1}, weights, inputs)

    some = ("one-window", "no-masks", "masked-middle", "masked-lm", "token-types", "pad-token-0", "pad-token-7")
    text = str(check_target(target, [case for case in STANDARD if case.name in some]))
    assert text.startswith("FAILED: ")
    assert "5 passed, 2 failed; mistake: a padding id of 1 (in 2)\nFAILED  pad-token-0: last_hidden_state: " in text
    assert re_lines(text, "FAILED  ") == 1
    assert "the same in 1 more case: pad-token-7\n" in text
    assert "all have pad_token_id other than 1, and no case that passes\n" in text
    assert "all have the class" not in text


def re_lines(text, start):
    return sum(line.startswith(start) for line in text.splitlines())


# --- losses -----------------------------------------------------------------------------------------------------------


def with_broken_loss(change):
    def target(config, weights, inputs):
        if "labels" in inputs:
            raise NotImplementedError("loss")
        return {"logits": change(answer(config, weights, inputs).logits)}

    return target


HEADS = [case for case in STANDARD if case.name in ("masked-lm", "masked-lm-untied")]


def test_a_loss_that_raises_does_not_hide_right_logits():
    results = check_target(with_broken_loss(lambda logits: logits), HEADS)
    assert [result.problem for result in results.results] == [
        "raised NotImplementedError: loss; without labels its outputs agree",
        "",
    ]
    assert results.results[0].report.passed
    wrong = check_target(with_broken_loss(lambda logits: logits + 1), HEADS[:1]).results[0]
    assert wrong.problem.startswith("raised NotImplementedError: loss; without labels: logits: its error is too large")
    assert wrong.first_divergence == "logits"


def test_a_target_that_raises_without_labels_too():
    result = check_target(always, HEADS[:1]).results[0]
    assert result.problem == "raised ValueError: no (2, 11)"


# --- traits -----------------------------------------------------------------------------------------------------------


def test_traits():
    by_name = {case.name: set(traits(case)) for case in STANDARD}
    assert "pad_token_id other than 1" in by_name["pad-token-0"]
    assert "windows that differ by layer" in by_name["windows-by-layer"]
    assert {"no attention_mask", "no global_attention_mask"} <= by_name["no-masks"]
    assert {"inputs_embeds", "global tokens"} <= by_name["inputs-embeds"]
    assert {"a masked first token", "padding ids"} <= by_name["padding-left"]
    assert "masked tokens" in by_name["masked-middle"]
    assert "weights that are chosen for it" in by_name["large-scores"]
    assert by_name["one-window"] == {"the class LongformerModel", "global tokens", "masked tokens", "padding ids"}
    assert np.all([len(found) >= 1 for found in by_name.values()])
    assert testing.CaseResult.of(SOME[0], "wrong").traits
