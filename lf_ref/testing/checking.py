"""Candidates judged by golden files, and targets judged by cases: the conformance kit."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..hf_names import accepts_names
from .candidates import read_file
from .cases import Case, choose
from .golden import Golden, load_golden
from .results import CaseResult, CaseResults, Settings, judge, measured, named, one_line
from .rounding import check_precision
from .targets import Target, TargetError, run_target
from .tracing import trace


@accepts_names()
def check_golden(
    golden: Golden | str | os.PathLike[str],
    candidate: Any,
    *,
    precision: Any = "float32",
    tolerance: Any = None,
    ignore_padding: bool = False,
    cases: Sequence[str] = ("standard",),
) -> CaseResults:
    """Judge a candidate by a golden file. No model is run, unless the candidate is one.

    Args:
        golden: the file, or what `load_golden` gave.
        candidate: a .npz or .safetensors file, or a mapping, with names `CASE/NAME`, where NAME is an output, as
            `one-window/last_hidden_state`, or an intermediate; a mapping of such by case; or a target, see
            `lf_ref.testing.targets`, which is run on each case.
        precision: what it computes in: "float32", "bfloat16", "float16" or "float64".
        tolerance: None or "calibrated" for a stated multiple of the errors that were measured when the file was made;
            "fixed", or numbers, as for `compare`.
        ignore_padding: leave out tokens that the attention mask hides.
        cases: names of the cases to judge; all by default.

    Raises:
        InputError: the candidate has nothing of any case, or an argument is of the wrong kind.
        CheckpointError: a file is damaged.
    """
    if not isinstance(golden, Golden):
        golden = load_golden(golden)
    precision = check_precision(precision)
    answer = _answers(candidate, golden)
    results = []
    for case in choose(golden.cases, cases):
        used: Any = tolerance
        if _is_measured(tolerance):
            used = golden.calibration(case.name, precision, ignore_padding)
        try:
            given = golden.sample(case.name, named(case, answer(case)))
        except (InputError, TargetError) as error:
            results.append(CaseResult(case.name, case.about, one_line(str(error))))
            continue
        settings = Settings(precision, used, ignore_padding)
        results.append(judge(case, given, golden.expected(case.name), settings, partial(golden.locate, case.name)))
    return CaseResults(f"{_title(candidate)} in {precision} against {golden.path}", tuple(results))


@accepts_names()
def check_target(
    target: Target,
    cases: Iterable[Case],
    *,
    precision: Any = "float32",
    tolerance: Any = None,
    ignore_padding: bool = False,
    expected_to_fail: Mapping[str, str] | None = None,
    title: str | None = None,
) -> CaseResults:
    """Run a target on cases, and judge it by the definition in float64: the conformance kit.

    Args:
        target: see `lf_ref.testing.targets`.
        cases: `standard_cases()`, `drawn_cases(seed, count)`, or your own.
        precision, tolerance, ignore_padding: as for `compare`.
        expected_to_fail: reasons by the names of cases; one that passes all the same is a failure too.
        title: what to call the target.

    Raises:
        InputError: there is no case, or an argument is of the wrong kind.
    """
    if not callable(target):
        raise InputError(f"a target is a callable, got {target!r}; by name it is given to `lf-ref oracle run`")
    settings = Settings(check_precision(precision), tolerance, ignore_padding)
    reasons = expected_to_fail or {}
    if not isinstance(reasons, Mapping):
        raise InputError(f"expected_to_fail must map names of cases to reasons, got {type(reasons).__name__}")
    cases = list(cases) if isinstance(cases, Iterable) else [cases]
    for case in cases:
        if not isinstance(case, Case):
            raise InputError(f"cases must be several cases, such as standard_cases(), got {type(case).__name__}")
    results = []
    for case in cases:
        result = _run_one(target, case, settings)
        results.append(replace(result, expected_to_fail=reasons.get(case.name, "")))
    if not results:
        raise InputError("there is no case to run the target on")
    return CaseResults(f"{title or _title(target)} in {settings.precision}", tuple(results))


def _run_one(target: Target, case: Case, settings: Settings) -> CaseResult:
    try:
        given = named(case, run_target(target, case))
    except (InputError, TargetError) as error:
        return CaseResult(case.name, case.about, one_line(str(error)))
    inputs: dict[str, Any] = dict(case.inputs)
    expected = trace(case.model(), **inputs)
    if _is_measured(settings.tolerance):
        settings = replace(settings, tolerance=measured(case, expected, settings.precision, settings.ignore_padding))
    return judge(case, given, expected, settings)


def read_expected_to_fail(path: str | os.PathLike[str], known: Iterable[str]) -> dict[str, str]:
    """Cases that are expected to fail, and why: on each line a case's name and the reason, `#` begins a comment line.

    known: the names there are; names of drawn cases are known in any case.

    Raises:
        InputError: the file cannot be read, or names what is no case, or one twice.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    names, found = set(known), dict[str, str]()
    for number, line in enumerate(lines, start=1):
        name, _, reason = line.strip().partition(" ")
        name = name.rstrip(":")
        if not name or name.startswith("#"):
            continue
        if name not in names and not re.fullmatch(r"drawn-\d+-\d+", name):
            raise InputError(
                f"line {number} of {path} names {name!r}, which is no case; `lf-ref oracle cases` lists them"
            )
        if name in found:
            raise InputError(f"line {number} of {path} names {name} a second time")
        found[name] = reason.strip(" #:") or "no reason given"
    return found


Answer = Callable[[Case], Any]


def _answers(candidate: Any, golden: Golden) -> Answer:
    """How to get what a candidate gave for a case."""
    if callable(candidate) and not isinstance(candidate, Mapping):
        golden.cases[0].weights()  # an error, not a failure, where they are those of a checkpoint
        return partial(run_target, candidate)
    if isinstance(candidate, str | os.PathLike):
        candidate = read_file(Path(candidate))
    if not isinstance(candidate, Mapping):
        raise InputError(
            f"a candidate is a .npz or .safetensors file, a mapping with names CASE/NAME, or a callable, got "
            f"{type(candidate).__name__}"
        )
    by_case: dict[str, dict[str, Any]] = {}
    for full, value in candidate.items():
        if isinstance(value, Mapping):
            by_case.setdefault(str(full), {}).update({str(name): array for name, array in value.items()})
        else:
            case, _, name = str(full).partition("/")
            by_case.setdefault(case, {})[name] = value
    known = [case.name for case in golden.cases]
    if not set(by_case) & set(known):
        some = ", ".join(list(map(str, candidate))[:3]) or "none"
        raise InputError(
            f"the candidate has nothing of any case: its names are {some}; they must be CASE/NAME, as "
            f"{known[0]}/{next(iter(golden.expected(known[0]).run.outputs), 'NAME')}"
        )

    def answer(case: Case) -> Any:
        if case.name not in by_case:
            raise TargetError("the candidate has nothing of this case")
        return by_case[case.name]

    return answer


def _is_measured(tolerance: Any) -> bool:
    return tolerance is None or (isinstance(tolerance, str) and tolerance == "calibrated")


def _title(candidate: Any) -> str:
    if isinstance(candidate, str | os.PathLike):
        return os.fspath(candidate)
    return getattr(candidate, "__qualname__", None) or type(candidate).__name__
