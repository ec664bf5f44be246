"""The results of a candidate on cases, as text and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...hf_names import accepts
from ..cases.case import Case
from ..cases.traits import traits
from ..comparison.html import page, row_style
from ..comparison.report import Report, shortened

PASSED, FAILED, XFAILED, XPASSED, SKIPPED = "passed", "FAILED", "xfailed", "XPASSED", "skipped"
MOST_NAMED = 3  # mistakes; where more would do, the case does not tell what is wrong


@accepts()
@dataclass(frozen=True)
class CaseResult:
    """The result of one case.

    case: its name. about: the fault that it detects. problem: the failure in one line, "" if there is none.
    first_divergence: the name of the first divergent tensor, "" if there is none. report: of `compare`, None if nothing
    was compared. expected_to_fail: the reason for an expected failure, "" if none is expected. place: where the target
    raised, "" if it did not. traceback: of that exception. causes: the known mistakes that reproduce the outputs, all
    of them. traits: what the case has, as `lf_ref.testing.cases.traits` lists it. skipped: why it did not run, "" if it
    did.
    """

    case: str
    about: str
    problem: str = ""
    first_divergence: str = ""
    report: Report | None = None
    expected_to_fail: str = ""
    place: str = ""
    traceback: str = ""
    causes: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    skipped: str = ""

    @classmethod
    def of(cls, case: Case, problem: str, **facts: Any) -> CaseResult:
        """The result of a case. problem: the failure in one line. facts: further fields."""
        return cls(case.name, case.about, problem, traits=traits(case), **facts)

    @property
    def named(self) -> tuple[str, ...]:
        """The causes, unless there are too many to name."""
        return self.causes if len(self.causes) <= MOST_NAMED else ()

    @property
    def explained(self) -> str:
        """The problem, and the mistake where it is known."""
        return self.problem + (f"; mistake: {' or '.join(self.named)}" if self.named else "")

    @property
    def group(self) -> tuple[str, ...]:
        """Failures of one group have the cause in common, or the first divergence, or the place of the exception."""
        alone = (self.case,)
        return alone if self.state != FAILED else self.named or (self.first_divergence or self.place or self.problem,)

    @property
    def state(self) -> str:
        """One of PASSED, FAILED, XFAILED, XPASSED, SKIPPED; XPASSED is a failure, since the expectation is wrong."""
        if self.skipped:
            return SKIPPED
        if self.expected_to_fail:
            return XFAILED if self.problem else XPASSED
        return FAILED if self.problem else PASSED

    @property
    def passed(self) -> bool:
        """Whether the case passed, or failed as expected, or did not run."""
        return self.state in (PASSED, XFAILED, SKIPPED)

    def line(self) -> str:
        """The result in one line."""
        why = self.why()
        return f"{self.state:8}{self.case}" + (f": {why}" if why else "")

    def why(self) -> str:
        """Why the case failed or did not run, with the mistake, in one line."""
        why = self.explained or self.skipped
        if self.state == XPASSED:
            why = f"passes, but is expected to fail: {self.expected_to_fail}"
        elif self.state == XFAILED:
            why = f"{self.expected_to_fail} ({self.problem})"
        return why

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        facts = {
            "case": self.case,
            "about": self.about,
            "state": self.state.lower(),
            "problem": self.problem,
            "first_divergence": self.first_divergence,
            "expected_to_fail": self.expected_to_fail,
            "place": self.place,
            "traceback": self.traceback,
            "causes": self.named,
            "skipped": self.skipped,
        }
        return {**facts, "report": None if self.report is None else json.loads(self.report.to_json())}


def narrowed(results: Sequence[CaseResult]) -> tuple[CaseResult, ...]:
    """The results, with those causes alone that reproduce most of the cases: a single case may not tell two apart."""
    counts = Counter(cause for result in results for cause in result.causes)

    def most(result: CaseResult) -> tuple[str, ...]:
        largest = max((counts[cause] for cause in result.causes), default=0)
        return tuple(cause for cause in result.causes if counts[cause] == largest)

    return tuple(replace(result, causes=most(result)) for result in results)


@accepts()
@dataclass(frozen=True, repr=False)
class CaseResults:
    """The results of all cases.

    title: names the candidate. results: of each case, in order. not_in_file: names of the candidate that were compared
    in no case, since the golden file does not hold these tensors.
    """

    title: str
    results: tuple[CaseResult, ...]
    not_in_file: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every case passed, failed as expected, or did not run."""
        return all(result.passed for result in self.results)

    def __repr__(self) -> str:
        return f"<CaseResults of {self.title}: {len(self.failures)} of {len(self.results)} cases failed>"

    def _repr_html_(self) -> str:
        """The results as a table, for notebooks; the first failure is marked."""
        first = next(iter(self.failures), None)
        rows = [
            (
                [result.state, result.case, result.explained or result.expected_to_fail or result.skipped],
                row_style(result.passed, result is first),
            )
            for result in self.results
        ]
        return page(repr(self)[1:-1], ["state", "case", "problem"], rows)

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """The results of the cases that did not."""
        return tuple(result for result in self.results if not result.passed)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of the candidate that were compared in no case, since no case expects them."""
        reports = [result.report for result in self.results if result.report is not None]
        compared = {name for report in reports for name in report.tensors}
        return tuple(dict.fromkeys(name for report in reports for name in report.unknown if name not in compared))

    def counts(self) -> str:
        """The number of cases of each state, in words."""
        states = [result.state for result in self.results]
        kinds = [(state, states.count(state)) for state in (PASSED, FAILED, XFAILED, XPASSED, SKIPPED)]
        return ", ".join(f"{count} {state.lower()}" for state, count in kinds if count)

    def to_json(self, indent: int | None = None) -> str:
        """All results as JSON, in lines with `indent`."""
        cases = [result.to_dict() for result in self.results]
        names = {"unknown": self.unknown, "not_in_file": self.not_in_file}
        return json.dumps({"passed": self.passed, "title": self.title, **names, "cases": cases}, indent=indent)

    def __str__(self) -> str:
        return self.text()

    def headline(self) -> str:
        """The first case that failed, and where, in one line; the counts if none did."""
        if not self.failures:
            return self.counts()
        first, others = self.failures[0], len(self.failures) - 1
        place = f"{first.place}: " if first.place else ""
        return f"{first.case}: {place}{first.why()}" + (f"; {others} more failed" if others else "")

    def text(self, everything: bool = False, missing: bool = True) -> str:
        """The failures as text, by place and cause, with the report of the first.

        everything: also the cases that pass or are skipped, and all tensors of the report. missing: as for
        `Report.text`.
        """
        lines = [f"{'PASSED' if self.passed else 'FAILED'}: {self.title}: {self.counts()}{self._mistakes()}"]
        groups: dict[tuple[str, ...], list[CaseResult]] = {}
        for result in self.results:
            if everything or not result.passed:
                groups.setdefault(result.group, []).append(result)
        for group in groups.values():
            lines += self._group(group)
        skipped = [result for result in self.results if result.skipped and not everything]
        for reason in dict.fromkeys(result.skipped for result in skipped):
            names = [result.case for result in skipped if result.skipped == reason]
            lines.append(f"skipped, {reason}: {shortened(names)}")
        if self.unknown:
            lines.append(f"not compared, since no case expects such a tensor: {shortened(self.unknown)}")
        if self.not_in_file:
            lines.append(
                f"not compared, since the golden file does not hold it: {shortened(self.not_in_file)}; "
                "lf-ref oracle make --intermediates stores it"
            )
        for result in self.failures:
            if result.report is not None and result.problem:
                lines += ["", f"{result.case}:", result.report.text(everything, missing)]
                break
        return "\n".join(lines)

    def _mistakes(self) -> str:
        """The mistakes of most cases, in words."""
        found = Counter(" or ".join(result.named) for result in self.failures if result.named).most_common(MOST_NAMED)
        return "; mistake: " + ", and ".join(f"{name} (in {count})" for name, count in found) if found else ""

    def _group(self, group: list[CaseResult]) -> list[str]:
        """The first result of a group, what explains it, and the other cases."""
        first, others = group[0], [result.case for result in group[1:]]
        lines = [first.line()]
        if first.state != FAILED:
            return lines
        if not first.named:
            lines.append(f"this case detects: {first.about}")
        lines += first.traceback.splitlines()
        if others:
            lines.append(f"the same in {len(others)} more case{'s' * (len(others) > 1)}: {shortened(others)}")
            passing = [set(result.traits) for result in self.results if result.state == PASSED]
            common = [trait for trait in first.traits if all(trait in result.traits for result in group)]
            apart = [trait for trait in common if passing and not any(trait in traits for traits in passing)]
            lines += [f"all have {trait}, and no case that passes" for trait in apart]
        return lines[:1] + [f"        {line}" for line in lines[1:]]
