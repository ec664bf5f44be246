"""The assertion for tests: a candidate computes the same as the oracle."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import InputError
from ...hf_names import accepts_names
from ...model.base import LongformerPreTrainedModel
from ..cases.case import Case
from ..comparison.divergence import compare
from ..comparison.report import Report
from ..golden.golden_file import Golden
from ..traces.metadata import Run
from ..traces.trace import Trace, trace
from .case_results import CaseResults
from .evaluation import first_output
from .fixed_shapes import check_pad_to, cut_outputs, padded_inputs
from .suite import check_golden, check_target


@accepts_names()
def assert_matches_oracle(
    candidate: Any,
    oracle: Case | Golden | Trace | LongformerPreTrainedModel | str | os.PathLike[str],
    inputs: Mapping[str, Any] | None = None,
    *,
    precision: Any = "float32",
    tolerance: Any = None,
    ignore_padding: bool = False,
    pad_to: int | None = None,
    verbose: bool = False,
) -> Report | CaseResults:
    """Fail if a candidate diverges from the oracle; the message names the first divergent tensor.

    Args:
        candidate: outputs and, optionally, intermediates as a mapping of names to arrays of any library, or the first
            output alone; or a callable that returns them: for a case or a golden file it takes (config, weights,
            inputs), as for `check_target`, else the inputs by name. For a golden file also a .npz or .safetensors file,
            or a mapping, with names CASE/NAME.
        oracle: a case, such as the fixture `lf_ref_case`; a golden file; a model, best in float64, with `inputs`; or a
            trace.
        inputs: of the model, by the names of its arguments.
        precision, tolerance, ignore_padding: as for `compare`.
        pad_to: as for `check_target`.
        verbose: let the message list all tensors, also those that the candidate does not have.

    Returns:
        The report, or the results of the cases, if nothing diverges.

    Raises:
        AssertionError: the candidate diverges; its first line names the case and the place. InputError: an argument is
            invalid.
    """
    __tracebackhide__ = True
    options: dict[str, Any] = {"precision": precision, "tolerance": tolerance, "ignore_padding": ignore_padding}
    if (inputs is not None) != isinstance(oracle, LongformerPreTrainedModel):
        raise InputError("pass inputs with a model, and only then: assert_matches_oracle(candidate, model, inputs)")
    if inputs is not None and not isinstance(inputs, Mapping):
        raise InputError(f"inputs must be a mapping of arrays by name, got {type(inputs).__name__}")
    result: Report | CaseResults
    if isinstance(oracle, Case):
        result = check_target(_as_target(candidate), [oracle], pad_to=pad_to, **options)
    elif isinstance(oracle, Golden | str | os.PathLike):
        result = check_golden(oracle, candidate, pad_to=pad_to, **options)
    elif isinstance(oracle, Trace | LongformerPreTrainedModel):
        expected = oracle if isinstance(oracle, Trace) else trace(oracle, **(inputs or {}))
        result = compare(_with_output_name(candidate, expected.run, check_pad_to(pad_to)), expected, **options)
    else:
        raise InputError(f"oracle must be a case, a golden file, a model or a trace, got {type(oracle).__name__}")
    if not result.passed:
        raise AssertionError(f"{result.headline()}\n{result.text(verbose, missing=verbose)}")
    return result


def _with_output_name(candidate: Any, run: Run, pad_to: int | None) -> Any:
    """The candidate on padded inputs, with a single array, passed or returned, under the name of the first output."""

    def outputs(answer: Any) -> Any:
        answer = first_output(answer, run.class_name)
        return cut_outputs(answer, run.inputs, run.class_name, pad_to) if isinstance(answer, Mapping) else answer

    if callable(candidate) and not isinstance(candidate, Mapping) and not hasattr(candidate, "named_modules"):
        return lambda **given: outputs(candidate(**padded_inputs(given, run.class_name, run.config, pad_to)))
    return outputs(candidate)


def _as_target(candidate: Any) -> Callable[..., Any]:
    """The candidate as a target: outputs become a callable that returns them."""
    if callable(candidate) and not isinstance(candidate, Mapping):
        return candidate
    return lambda config, weights, inputs: candidate
