"""The conformance suite: candidates compared with golden files, and targets run on cases."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...hf_names import accepts_names
from ..cases.case import Case, select_cases
from ..comparison.candidates import read_file
from ..comparison.precisions import check_precision
from ..golden.golden_file import Golden, load_golden
from .case_results import CaseResult, CaseResults, narrowed
from .case_runs import results_of_case, run_isolated
from .evaluation import Settings, evaluate, is_calibrated, named_outputs, one_line
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
) -> CaseResults:
    """Compare a candidate with a golden file. No model runs, unless the candidate is a target.

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

    Raises:
        InputError: the candidate has no tensor of any case, or an argument is invalid.
        CheckpointError: a file is damaged.
    """
    if not isinstance(golden, Golden):
        golden = load_golden(golden)
    precision = check_precision(precision)
    answer = _answers(candidate, golden)
    results = []
    for case in select_cases(golden.cases, cases):
        used: Any = tolerance
        if is_calibrated(tolerance):
            used = golden.calibration(case.name, precision, ignore_padding)
        try:
            given = golden.sample(case.name, named_outputs(case, answer(case)))
        except (InputError, TargetError) as error:
            results.append(CaseResult.of(case, one_line(str(error))))
            continue
        settings = Settings(precision, used, ignore_padding)
        results.append(evaluate(case, given, golden.expected(case.name), settings, partial(golden.locate, case.name)))
    return CaseResults(f"{_title(candidate)} in {precision} against {golden.path}", tuple(results))


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
    settings = Settings(check_precision(precision), tolerance, ignore_padding)
    reasons = expected_to_fail or {}
    if not isinstance(reasons, Mapping):
        raise InputError(f"expected_to_fail must map names of cases to reasons, got {type(reasons).__name__}")
    cases = list(cases) if isinstance(cases, Iterable) else [cases]
    for case in cases:
        if not isinstance(case, Case):
            raise InputError(f"cases must be several cases, such as standard_cases(), got {type(case).__name__}")
    results = list[CaseResult]()
    for case in cases:
        suspects = {cause for result in results for cause in result.named}
        if isolate:
            result = run_isolated(target, case, settings, suspects, TIME_LIMIT if time_limit is None else time_limit)
        else:
            *_, result = results_of_case(target, case, settings, suspects)
        results.append(replace(result, expected_to_fail=reasons.get(case.name, "")))
        if on_result is not None:
            on_result(results[-1])
    if not results:
        raise InputError("there is no case to run the target on: pass one or more")
    return CaseResults(f"{title or _title(target)} in {settings.precision}", narrowed(results))


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
            raise TargetError("the candidate has no tensor of this case")
        return by_case[case.name]

    return answer


def _title(candidate: Any) -> str:
    if isinstance(candidate, str | os.PathLike):
        return os.fspath(candidate)
    return getattr(candidate, "__qualname__", None) or type(candidate).__name__
