"""One assertion for tests: a candidate computes what the oracle does."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InputError
from ..hf_names import accepts_names
from ..model.base import LongformerPreTrainedModel
from .cases import Case
from .checking import check_golden, check_target
from .comparing import compare
from .golden import Golden
from .report import Report
from .results import CaseResults, first_output
from .tracing import Trace, trace


@accepts_names()
def assert_matches_oracle(
    candidate: Any,
    oracle: Case | Golden | Trace | LongformerPreTrainedModel | str | os.PathLike[str],
    inputs: Mapping[str, Any] | None = None,
    *,
    precision: Any = "float32",
    tolerance: Any = None,
    ignore_padding: bool = False,
) -> Report | CaseResults:
    """Fail unless a candidate computes what the oracle does; the message says where it first differs.

    Args:
        candidate: outputs and, if you like, intermediates as a mapping of names to arrays of any library, or the first
            output alone; or what computes them: for a case or a golden file a callable that takes (config, weights,
            inputs), see `lf_ref.testing.targets`, else one that takes the inputs by name. For a golden file also a
            .npz or .safetensors file, or a mapping, with names CASE/NAME.
        oracle: a case, such as the fixture `lf_ref_case`; a golden file; a model, best in float64, with `inputs`; or
            what `trace` gave.
        inputs: of a model, by the names of its arguments.
        precision, tolerance, ignore_padding: as for `compare`.

    Returns:
        What was found, where nothing differs by more than it may.

    Raises:
        AssertionError: it differs. InputError: an argument is of the wrong kind.
    """
    __tracebackhide__ = True
    how: dict[str, Any] = {"precision": precision, "tolerance": tolerance, "ignore_padding": ignore_padding}
    if (inputs is not None) != isinstance(oracle, LongformerPreTrainedModel):
        raise InputError("inputs go with a model, and only with one: assert_matches_oracle(candidate, model, inputs)")
    if inputs is not None and not isinstance(inputs, Mapping):
        raise InputError(f"inputs must be a mapping of arrays by name, got {type(inputs).__name__}")
    found: Report | CaseResults
    if isinstance(oracle, Case):
        found = check_target(_as_target(candidate), [oracle], **how)
    elif isinstance(oracle, Golden | str | os.PathLike):
        found = check_golden(oracle, candidate, **how)
    elif isinstance(oracle, Trace | LongformerPreTrainedModel):
        expected = oracle if isinstance(oracle, Trace) else trace(oracle, **(inputs or {}))
        found = compare(_named(candidate, expected.run.class_name), expected, **how)
    else:
        raise InputError(f"an oracle is a case, a golden file, a model or a trace, got {type(oracle).__name__}")
    if not found.passed:
        raise AssertionError(str(found))
    return found


def _named(candidate: Any, class_name: str) -> Any:
    """A candidate whose single array, given or returned, bears the name of the first output."""
    if callable(candidate) and not isinstance(candidate, Mapping) and not hasattr(candidate, "named_modules"):
        return lambda **given: first_output(candidate(**given), class_name)
    return first_output(candidate, class_name)


def _as_target(candidate: Any) -> Callable[..., Any]:
    """Outputs that are there already, as a callable that gives them."""
    if callable(candidate) and not isinstance(candidate, Mapping):
        return candidate
    return lambda config, weights, inputs: candidate
