"""The conformance suite: candidates compared with golden files, and targets run on cases."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...hf_names import accepts_names
from ..cases.case import Case, select_cases
from ..comparison.candidates import read_file
from ..comparison.precisions import check_precision
from ..comparison.report import shortened
from ..golden.golden_file import Golden, load_golden
from .case_results import CaseResult, CaseResults, narrowed
from .case_runs import explained, raised, results_of_case, run_isolated
from .evaluation import Settings, evaluate, is_calibrated, named_outputs, one_line
from .fixed_shapes import check_fitting, check_pad_to, misfit, padded_case
from .isolation import TIME_LIMIT
from .targets import Target, TargetError, run_target


@accepts_names()
def check_golden(
    golden: Golden | str | os.PathLike[str],
    candidate: Any,
    *,
    precision: Any = "float32",
    tolerance: Any = None,
    ignore_padding: bool = False,
    cases: str | Sequence[str] = "standard",
    pad_to: int | None = None,
    explain: bool = True,
    on_result: Callable[[CaseResult], Any] | None = None,
) -> CaseResults:
    """Compare a candidate with a golden file. No model runs, unless the candidate is a target, or diverges.

    Args:
        golden: the path of the file, or a `Golden`.
        candidate: a .npz or .safetensors file, or a mapping, with names `CASE/NAME`, where NAME is an output, as
            `one-window/last_hidden_state`, or an intermediate; a mapping of such mappings by case; or a target,
            a callable (config, weights, inputs), which runs on each case.
        precision: the dtype that it computes in: "float32", "bfloat16", "float16" or "float64".
        tolerance: None or "calibrated" for a fixed multiple of the rounding errors measured when the file was made;
            "fixed", or numbers, as for `compare`.
        ignore_padding: leave out tokens that the attention mask hides.
        cases: names of the cases to compare; all by default.
        pad_to: as for `check_target`; outputs in a file or mapping are those of inputs that were padded.
        explain: run the reference implementation on each case that fails, to compare all tensors of the candidate and
            to name the mistake; not if the weights are those of a checkpoint, nor on a large case.
        on_result: is called with each result as soon as it is known.

    Raises:
        InputError: the candidate has no tensor of any case, or an argument is invalid.
        CheckpointError: a file is damaged.
    """
    if not isinstance(golden, Golden):
        golden = load_golden(golden)
    settings = Settings(check_precision(precision), tolerance, ignore_padding, check_pad_to(pad_to))
    chosen = check_fitting(select_cases(golden.cases, cases), settings.pad_to)
    against = _Against(golden, _answers(candidate, golden), settings, explain)
    results = list[CaseResult]()
    for case in chosen:
        results.append(against(case, {cause for result in results for cause in result.named}))
        if on_result is not None:
            on_result(results[-1])
    compared = {name for result in results if result.report is not None for name in result.report.tensors}
    lacking = tuple(name for name in against.lacking if name not in compared)
    title = f"{_title(candidate)} in {settings.precision} against {golden.path}"
    return CaseResults(title, narrowed(results), lacking)


@accepts_names()
def check_target(
    target: Target | str,
    cases: Iterable[Case],
    *,
    precision: Any = "float32",
    tolerance: Any = None,
    ignore_padding: bool = False,
    expected_to_fail: Mapping[str, str] | None = None,
    title: str | None = None,
    pad_to: int | None = None,
    isolate: bool = False,
    time_limit: float | None = None,
    on_result: Callable[[CaseResult], Any] | None = None,
) -> CaseResults:
    """Run a target on cases, and compare it with the reference implementation in float64.

    What the target prints goes to standard error.

    Args:
        target: a callable (config, weights, inputs), or with isolate also its name, "module:callable": the fields of a
            config.json, with the class in config["architectures"]; float32 arrays by the names in HF's checkpoints;
            arrays by the names of HF's arguments. It returns its outputs by HF's names, or its first output.
        cases: `standard_cases()`, `drawn_cases(seed, count)`, or your own.
        precision, tolerance, ignore_padding: as for `compare`.
        expected_to_fail: reasons by the names of cases; such a case that passes counts as a failure.
        title: the name of the target in the results.
        pad_to: the number of tokens that each input is padded to, for a graph of a fixed shape: padding stands at the
            end and is masked, and is cut off the outputs. Cases with more tokens are skipped.
        isolate: run each case in a process of its own, which may crash or hang. It imports the target, which must not
            be a lambda or local function; a script that calls this needs `if __name__ == "__main__":`.
        time_limit: seconds for each case with isolate, imports included; 60 if None.
        on_result: is called with each result as soon as it is known.

    Raises:
        InputError: there is no case, or an argument is invalid.
    """
    if not callable(target) and not (isolate and isinstance(target, str)):
        raise InputError(f"a target must be callable, got {target!r}; to run one by its name use `lf-ref oracle run`")
    if time_limit is not None and not (isolate and isinstance(time_limit, int | float) and 0 < time_limit < math.inf):
        raise InputError(f"time_limit must be seconds above 0, and needs isolate=True, got {time_limit!r}")
    settings = Settings(check_precision(precision), tolerance, ignore_padding, check_pad_to(pad_to))
    reasons = expected_to_fail or {}
    if not isinstance(reasons, Mapping):
        raise InputError(f"expected_to_fail must map names of cases to reasons, got {type(reasons).__name__}")
    cases = list(cases) if isinstance(cases, Iterable) else [cases]
    if not cases:
        raise InputError("there is no case to run the target on: pass one or more")
    for case in cases:
        if not isinstance(case, Case):
            raise InputError(f"cases must be several cases, such as standard_cases(), got {type(case).__name__}")
    results = list[CaseResult]()
    for case in check_fitting(cases, settings.pad_to):
        suspects = {cause for result in results for cause in result.named}
        if why := misfit(case, settings.pad_to):
            result = CaseResult.of(case, "", skipped=why)
        elif isolate:
            result = run_isolated(target, case, settings, suspects, TIME_LIMIT if time_limit is None else time_limit)
        else:
            *_, result = results_of_case(target, case, settings, suspects)
        results.append(replace(result, expected_to_fail=reasons.get(case.name, "")))
        if on_result is not None:
            on_result(results[-1])
    return CaseResults(f"{title or _title(target)} in {settings.precision}", narrowed(results))


@dataclass
class _Against:
    """Compares outputs with those of a golden file. lacking: names of outputs that the file does not hold, so far."""

    golden: Golden
    answer: Callable[[Case], Any]
    settings: Settings
    explain: bool
    lacking: dict[str, None] = field(default_factory=dict)

    def __call__(self, case: Case, suspects: Collection[str]) -> CaseResult:
        pad_to = self.settings.pad_to
        if why := misfit(case, pad_to):
            return CaseResult.of(case, "", skipped=why)

        def outputs() -> Mapping[str, Any]:
            return named_outputs(case, self.answer(padded_case(case, pad_to)), pad_to)

        try:
            given = outputs()
        except TargetError as error:
            return raised(case, error)
        except InputError as error:
            return CaseResult.of(case, one_line(str(error)))
        result = self._by_file(case, given)
        if not (result.problem and self.explain):
            return result
        return explained(result, case, given, self.settings, suspects, outputs)

    def _by_file(self, case: Case, given: Mapping[str, Any]) -> CaseResult:
        """Compare outputs with the elements that the file stores."""
        golden, settings = self.golden, self.settings
        try:
            held, lacking = golden.sample(case.name, given)
        except InputError as error:
            return CaseResult.of(case, one_line(str(error)))
        self.lacking |= dict.fromkeys(lacking)
        if lacking and not held:
            return CaseResult.of(case, f"the golden file holds none of its tensors: {shortened(lacking)}")
        if is_calibrated(settings.tolerance):
            calibration = golden.calibration(case.name, settings.precision, settings.ignore_padding)
            settings = replace(settings, tolerance=calibration)
        return evaluate(case, held, golden.expected(case.name), settings, partial(golden.locate, case.name))


def _answers(candidate: Any, golden: Golden) -> Callable[[Case], Any]:
    """A function that returns the outputs of a candidate for a case."""
    if callable(candidate) and not isinstance(candidate, Mapping):
        golden.cases[0].weights()  # raises if they are those of a checkpoint
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
            f"the candidate has no tensor of any case: its names are {some}; name them CASE/NAME, as "
            f"{known[0]}/{next(iter(golden.expected(known[0]).run.outputs), 'NAME')}"
        )

    def answer(case: Case) -> Any:
        if case.name not in by_case:
            raise InputError("the candidate has no tensor of this case")
        return by_case[case.name]

    return answer


def _title(candidate: Any) -> str:
    if isinstance(candidate, str | os.PathLike):
        return os.fspath(candidate)
    return getattr(candidate, "__qualname__", None) or type(candidate).__name__
