"""One case: the target runs on it, and its outputs are compared with the reference implementation in float64."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import InputError
from ..cases.case import Case
from ..comparison.calibration import calibrate, scaled
from ..mistakes.naming import causes, differs_from_run_to_run
from ..traces.trace import trace
from .case_results import CaseResult
from .evaluation import Settings, evaluate, is_calibrated, named_outputs, one_line
from .isolation import ProcessEndedError, call_in_process
from .targets import Target, TargetError, load_target, run_target

_LABELS = ("labels", "start_positions", "end_positions")


def run_isolated(target: Target | str, case: Case, settings: Settings, time_limit: float) -> CaseResult:
    """As `run_case`, in a process of its own, which imports a target that is given by its name.

    Raises:
        InputError: the target cannot be imported.
    """
    try:
        return call_in_process(run_case, target, case, settings, time_limit=time_limit)
    except ProcessEndedError as error:
        return CaseResult.of(case, str(error))


def run_case(target: Target | str, case: Case, settings: Settings) -> CaseResult:
    """Run the target, or the one of that name, on a case, and compare it.

    If it raises when it is given labels, it runs again without them: a wrong loss must not hide right logits.

    Raises:
        InputError: the target cannot be imported.
    """
    if isinstance(target, str):
        target = load_target(target)
    try:
        return _judged(target, case, settings)
    except InputError as error:
        return CaseResult.of(case, one_line(str(error)))
    except TargetError as error:
        failed = _raised(case, error)
    unlabelled = replace(case, inputs={name: array for name, array in case.inputs.items() if name not in _LABELS})
    if len(unlabelled.inputs) == len(case.inputs):
        return failed
    try:
        result = _judged(target, unlabelled, settings)
    except (InputError, TargetError):
        return failed
    if result.problem:
        return replace(result, problem=f"{failed.problem}; without labels: {result.problem}")
    return replace(failed, problem=f"{failed.problem}; without labels its outputs agree", report=result.report)


def _judged(target: Target, case: Case, settings: Settings) -> CaseResult:
    given = named_outputs(case, run_target(target, case))
    result = judge(case, given, settings)
    if result.report is None or result.report.passed:
        return result
    again = named_outputs(case, run_target(target, case))
    if differs_from_run_to_run(given, again, result.report):
        return replace(result, causes=("dropout, or another choice by chance: its outputs differ from run to run",))
    return result


def judge(case: Case, given: Mapping[str, Any], settings: Settings) -> CaseResult:
    """Compare the outputs for a case with the reference implementation, and name the mistake if they diverge."""
    inputs: dict[str, Any] = dict(case.inputs)
    expected = trace(case.model(), **inputs)
    if is_calibrated(settings.tolerance):
        settings = replace(
            settings, tolerance=scaled(calibrate(expected, settings.precision, settings.ignore_padding), case.leeway)
        )
    result = evaluate(case, given, expected, settings)
    if result.report is None or result.report.passed:
        return result
    return replace(result, causes=causes(case, given, expected, result.report, vars(settings)))


def _raised(case: Case, error: TargetError) -> CaseResult:
    """The result of a target that raised: its frames alone, without those of lf_ref."""
    cause = error.__cause__
    if cause is None or cause.__traceback__ is None:
        return CaseResult.of(case, one_line(str(error)))
    frames = cause.__traceback__.tb_next
    text = "".join(traceback.format_exception(type(cause), cause, frames)).rstrip()
    last = traceback.extract_tb(frames)[-1:]
    place = f"{Path(last[0].filename).name}:{last[0].lineno}, in {last[0].name}" if last else ""
    return CaseResult.of(case, one_line(str(error)), place=place, traceback=text)
