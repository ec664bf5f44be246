"""One case: the target runs on it, and its outputs are compared with the reference implementation in float64."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...checkpoint.names import expected_shapes
from ...config import LongformerConfig
from ...errors import InputError, LfRefError
from ..cases.case import Case
from ..comparison.calibration import calibrate, scaled
from ..mistakes.naming import causes, differs_from_run_to_run
from ..traces.trace import trace
from .case_results import CaseResult
from .evaluation import Settings, evaluate, is_calibrated, named_outputs, one_line
from .fixed_shapes import padded_case, sees_padding, tokens_of
from .isolation import ProcessEndedError, last_in_process
from .targets import Target, TargetError, load_target, run_target

BY_CHANCE = "dropout, or another choice by chance: its outputs differ from run to run"
PADDING_SEEN = "padding seen"
_MOST_WEIGHTS, _MOST_TOKENS = 1 << 24, 1 << 12  # of a case that a golden file makes this machine run
_LABELS = ("labels", "start_positions", "end_positions")


def run_isolated(
    target: Target | str, case: Case, settings: Settings, suspects: Collection[str], time_limit: float
) -> CaseResult:
    """The last result of `results_of_case`, in a process of its own, which imports a target that is given by its name.

    Raises:
        InputError: the target cannot be imported.
    """
    try:
        return last_in_process(results_of_case, target, case, settings, suspects, time_limit=time_limit)
    except ProcessEndedError as error:
        return CaseResult.of(case, str(error))


def results_of_case(
    target: Target | str, case: Case, settings: Settings, suspects: Collection[str]
) -> Iterator[CaseResult]:
    """Run the target, or the one of that name, on a case: yields the result, and if it diverges again with the causes.

    If the target raises when it is given labels, it runs again without them: a wrong loss must not hide right logits.

    suspects: as for `lf_ref.testing.mistakes.naming.causes`.

    Raises:
        InputError: the target cannot be imported.
    """
    if isinstance(target, str):
        target = load_target(target)
    try:
        yield from _compared(target, case, settings, suspects)
        return
    except InputError as error:
        yield CaseResult.of(case, one_line(str(error)))
        return
    except TargetError as error:
        failed = raised(case, error)
    unlabelled = replace(case, inputs={name: array for name, array in case.inputs.items() if name not in _LABELS})
    if len(unlabelled.inputs) == len(case.inputs):
        yield failed
        return
    try:
        for result in _compared(target, unlabelled, settings, suspects):
            then = f"without labels: {result.problem}" if result.problem else "without labels its outputs agree"
            known = result if result.problem else replace(failed, report=result.report)
            yield replace(known, problem=f"{failed.problem}; {then}")
    except (InputError, TargetError):
        yield failed


def _compared(target: Target, case: Case, settings: Settings, suspects: Collection[str]) -> Iterator[CaseResult]:
    """Run the target on a case, and compare it; if it diverges, run it again, and search for the causes."""

    def outputs() -> Mapping[str, Any]:
        return named_outputs(case, run_target(target, padded_case(case, settings.pad_to)), settings.pad_to)

    yield from judged(case, outputs(), settings, suspects, outputs)


def judged(
    case: Case,
    given: Mapping[str, Any],
    settings: Settings,
    suspects: Collection[str],
    again: Callable[[], Mapping[str, Any]],
) -> Iterator[CaseResult]:
    """Compare outputs with the reference implementation: yields the result, and if they diverge again with the causes.

    again: computes the outputs a second time. suspects: as for `causes`.
    """
    inputs: dict[str, Any] = dict(case.inputs)
    expected = trace(case.model(), **inputs)
    if is_calibrated(settings.tolerance):
        tolerance = scaled(calibrate(expected, settings.precision, settings.ignore_padding), case.leeway)
        settings = replace(settings, tolerance=tolerance)
    result = evaluate(case, given, expected, settings)
    yield result
    if result.report is None or result.report.passed:
        return
    with suppress(InputError, TargetError):  # it ran once
        if differs_from_run_to_run(given, again(), expected, result.report):
            yield replace(result, causes=(BY_CHANCE,))
            return
    if sees_padding(case, given, result.report, settings.pad_to):
        yield replace(result, causes=(PADDING_SEEN,))
        return
    found = causes(case, given, expected, result.report, settings.of_compare, suspects)
    yield replace(result, causes=found)


def explained(
    result: CaseResult,
    case: Case,
    given: Mapping[str, Any],
    settings: Settings,
    suspects: Collection[str],
    again: Callable[[], Mapping[str, Any]],
) -> CaseResult:
    """The result of a case that fails by a golden file, with what the reference implementation finds, if it can run.

    given, again, suspects: as for `judged`.
    """
    if case.seed is None or not _is_small(case):
        return result
    try:
        *_, found = judged(case, given, settings, suspects, again)
    except LfRefError:  # a config or weights that only a reader of the file's tensors can do with
        return result
    if found.problem:
        return found
    return replace(result, problem=f"{result.problem}; the reference implementation agrees: make the file again")


def _is_small(case: Case) -> bool:
    """Whether the reference implementation, which holds all pairs of tokens, takes seconds."""
    shapes = expected_shapes(LongformerConfig.from_dict(case.config), case.head).values()
    return sum(map(math.prod, shapes)) <= _MOST_WEIGHTS and tokens_of(case.inputs) <= _MOST_TOKENS


def raised(case: Case, error: TargetError) -> CaseResult:
    """The result of a target that raised: its frames alone, without those of lf_ref."""
    cause: Any = error.__cause__
    frames = cause.__traceback__.tb_next
    text = "".join(traceback.format_exception(type(cause), cause, frames)).rstrip()
    last = traceback.extract_tb(frames)[-1:]
    place = f"{Path(last[0].filename).name}:{last[0].lineno}, in {last[0].name}" if last else ""
    return CaseResult.of(case, one_line(str(error)), place=place, traceback=text)
