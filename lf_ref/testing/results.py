"""How a candidate does on many cases: each case judged by `compare`, and what is printed of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InputError, LfRefError
from ..hf_names import accepts
from .calibration import Calibration, calibrate
from .cases import Case
from .comparing import compare
from .report import Report, got_and_expected, shortened
from .tracing import Trace

# The outputs that a candidate must give; pooler_output, loss and intermediates are compared where they are given.
REQUIRED = {
    "LongformerModel": ("last_hidden_state",),
    "LongformerForQuestionAnswering": ("start_logits", "end_logits"),
}
_LOGITS = ("logits",)

PASSED, FAILED, XFAILED, XPASSED = "passed", "FAILED", "xfailed", "XPASSED"


@accepts()
@dataclass(frozen=True)
class CaseResult:
    """How one case went.

    case: its name. about: the fault it is for. problem: "" if all agrees, else one line that says why not. place: the
    first divergent tensor, "" where none was compared. report: what `compare` found, if it came to that.
    expected_to_fail: the reason why it is, "" where it is not.
    """

    case: str
    about: str
    problem: str = ""
    place: str = ""
    report: Report | None = None
    expected_to_fail: str = ""

    @property
    def state(self) -> str:
        """One of PASSED, FAILED, XFAILED and XPASSED; the last is a failure, as the list of those expected is wrong."""
        if self.expected_to_fail:
            return XFAILED if self.problem else XPASSED
        return FAILED if self.problem else PASSED

    @property
    def passed(self) -> bool:
        """Whether it went as it should."""
        return self.state in (PASSED, XFAILED)

    def line(self) -> str:
        """The case in one line."""
        why = self.problem
        if self.state == XPASSED:
            why = f"passes, though it is expected to fail: {self.expected_to_fail}"
        elif self.state == XFAILED:
            why = f"{self.expected_to_fail} ({self.problem})"
        return f"{self.state:8}{self.case}" + (f": {why}" if why else "")

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        facts = {
            "case": self.case,
            "about": self.about,
            "state": self.state.lower(),
            "problem": self.problem,
            "place": self.place,
            "expected_to_fail": self.expected_to_fail,
        }
        return {**facts, "report": None if self.report is None else json.loads(self.report.to_json())}


@accepts()
@dataclass(frozen=True)
class CaseResults:
    """How all cases went.

    title: what was judged by what. results: of each case, in order.
    """

    title: str
    results: tuple[CaseResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every case went as it should."""
        return all(result.passed for result in self.results)

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """The cases that did not."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that the candidate gave and that were compared in no case, as nothing of that name is expected."""
        reports = [result.report for result in self.results if result.report is not None]
        compared = {name for report in reports for name in report.tensors}
        return tuple(dict.fromkeys(name for report in reports for name in report.unknown if name not in compared))

    def counts(self) -> str:
        """How many cases there are of each state, in words."""
        states = [result.state for result in self.results]
        kinds = [(state, states.count(state)) for state in (PASSED, FAILED, XFAILED, XPASSED)]
        return ", ".join(f"{count} {state.lower()}" for state, count in kinds if count)

    def to_json(self, indent: int | None = None) -> str:
        """Everything as JSON, in lines with `indent`."""
        cases = [result.to_dict() for result in self.results]
        facts = {"passed": self.passed, "title": self.title, "unknown": self.unknown, "cases": cases}
        return json.dumps(facts, indent=indent)

    def __str__(self) -> str:
        return self.text()

    def text(self, everything: bool = False) -> str:
        """For people: what failed, with the report of the first failure; everything: the cases that passed too."""
        lines = [f"{'PASSED' if self.passed else 'FAILED'}: {self.title}: {self.counts()}"]
        for result in self.results:
            if everything or not result.passed:
                lines.append(result.line())
                if not result.passed and result.state == FAILED:
                    lines.append(f"        this case is for: {result.about}")
        if self.unknown:
            lines.append(f"not compared, as no case expects such a name: {shortened(self.unknown)}")
        first = next((result for result in self.failures if result.report is not None and result.problem), None)
        if first is not None:
            lines += ["", f"{first.case}:", str(first.report)]
        return "\n".join(lines)


@dataclass(frozen=True)
class Settings:
    """How candidates are judged: the arguments of `compare`."""

    precision: Any = "float32"
    tolerance: Any = None
    ignore_padding: bool = False


def named(case: Case, answer: Any) -> dict[str, Any]:
    """What a candidate gave for a case as a mapping of names: a single array is the first output.

    Raises:
        InputError: it is neither a mapping nor an array that could be the only output.
    """
    answer = first_output(answer, case.class_name)
    if not isinstance(answer, Mapping):
        needed = REQUIRED.get(case.class_name, _LOGITS)
        raise InputError(f"gave {type(answer).__name__}, not a mapping with {' and '.join(needed)}")
    return {str(name): value for name, value in answer.items() if value is not None}


def first_output(answer: Any, class_name: str) -> Any:
    """A single array by the name of the first output of the class, where it has but one that is needed."""
    needed = REQUIRED.get(class_name, _LOGITS)
    alone = hasattr(answer, "__array__") or hasattr(answer, "__dlpack__")
    return {needed[0]: answer} if alone and len(needed) == 1 and not isinstance(answer, Mapping) else answer


_SIZES = ("rms", "largest", "gained", "wobble")


def measured(case: Case, expected: Trace, precision: str, ignore_padding: bool = False) -> Calibration:
    """What error a precision must be expected to make at each place of a case."""
    found = calibrate(expected, precision, ignore_padding)
    errors = {
        name: replace(error, **{field: case.leeway * getattr(error, field) for field in _SIZES})
        for name, error in found.items()
    }
    return Calibration(errors, precision, ignore_padding)


def judge(
    case: Case,
    candidate: Mapping[str, Any],
    expected: Trace,
    settings: Settings,
    located: Callable[[Report], Report] = lambda report: report,
) -> CaseResult:
    """Compare what a candidate gave for a case; located: what is done to the report before it is put in words."""
    needed = REQUIRED.get(case.class_name, _LOGITS)
    try:
        report = located(
            compare(
                candidate,
                expected,
                precision=settings.precision,
                tolerance=settings.tolerance,
                ignore_padding=settings.ignore_padding,
            )
        )
    except LfRefError as error:
        return CaseResult(case.name, case.about, one_line(str(error)))
    offered = {expected.place(name) for name in report.tensors}
    missing = [name for name in needed if expected.place(name) not in offered]
    first = report.first_divergence
    if first is not None:
        problem = f"{first.name}: {first.reason}"
        if first.index:
            problem += f", worst at {list(first.index)}: {got_and_expected(first)}"
        return CaseResult(case.name, case.about, problem, first.name, report)
    problem = f"gave no {' and no '.join(missing)}" if missing else ""
    return CaseResult(case.name, case.about, problem, "", report)


def one_line(text: str) -> str:
    """A text without line breaks, cut where it is very long."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:297] + "..."
