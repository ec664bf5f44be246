"""The outputs of a candidate for one case, compared with the expected ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import InputError, LfRefError
from ..cases.case import Case
from ..comparison.divergence import compare
from ..comparison.report import Report, got_and_expected
from ..traces.trace import Trace
from .case_results import CaseResult
from .fixed_shapes import cut_outputs

# The outputs that a candidate must return; pooler_output, loss and intermediates are optional.
REQUIRED = {
    "LongformerModel": ("last_hidden_state",),
    "LongformerForQuestionAnswering": ("start_logits", "end_logits"),
}
_LOGITS = ("logits",)


@dataclass(frozen=True)
class Settings:
    """The arguments of `compare`, and the number of tokens that inputs are padded to, None for their own."""

    precision: Any = "float32"
    tolerance: Any = None
    ignore_padding: bool = False
    pad_to: int | None = None

    @property
    def of_compare(self) -> dict[str, Any]:
        """The arguments of `compare`."""
        return {"precision": self.precision, "tolerance": self.tolerance, "ignore_padding": self.ignore_padding}


def named_outputs(case: Case, answer: Any, pad_to: int | None) -> Mapping[str, Any]:
    """The outputs of a candidate for a case as a mapping of names: a single array is the first output.

    pad_to: the number of tokens that the inputs of the case were padded to; that padding is cut off.

    Raises:
        InputError: `answer` is neither a mapping nor an array for a class with a single required output.
    """
    answer = first_output(answer, case.class_name)
    if not isinstance(answer, Mapping):
        needed = REQUIRED.get(case.class_name, _LOGITS)
        raise InputError(f"returned {type(answer).__name__}, not a mapping with {' and '.join(needed)}")
    given = {str(name): value for name, value in answer.items() if value is not None}
    return cut_outputs(given, case.inputs, case.class_name, pad_to)


def first_output(answer: Any, class_name: str) -> Any:
    """A single array under the name of the first output, for classes with a single required output."""
    needed = REQUIRED.get(class_name, _LOGITS)
    alone = hasattr(answer, "__array__") or hasattr(answer, "__dlpack__")
    return {needed[0]: answer} if alone and len(needed) == 1 and not isinstance(answer, Mapping) else answer


def evaluate(
    case: Case,
    candidate: Mapping[str, Any],
    expected: Trace,
    settings: Settings,
    located: Callable[[Report], Report] = lambda report: report,
) -> CaseResult:
    """Compare the outputs of a candidate for a case; located: converts the indices of the report."""
    needed = REQUIRED.get(case.class_name, _LOGITS)
    try:
        report = located(compare(candidate, expected, **settings.of_compare))
    except LfRefError as error:
        return CaseResult.of(case, one_line(str(error)))
    offered = {expected.canonical_name(name) for name in report.tensors}
    missing = [name for name in needed if name in expected and expected.canonical_name(name) not in offered]
    first = report.first_divergence
    if first is not None:
        problem = f"{first.name}: {first.reason}"
        if first.index:
            problem += f", worst at {list(first.index)}: {got_and_expected(first)}"
        return CaseResult.of(case, problem, first_divergence=first.name, report=report)
    problem = f"returned no {' and no '.join(missing)}" if missing else ""
    return CaseResult.of(case, problem, report=report)


def is_calibrated(tolerance: Any) -> bool:
    """Whether the argument `tolerance` means multiples of the measured rounding errors."""
    return tolerance is None or (isinstance(tolerance, str) and tolerance == "calibrated")


def one_line(text: str) -> str:
    """The text without line breaks, truncated to 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else line[:297] + "..."
