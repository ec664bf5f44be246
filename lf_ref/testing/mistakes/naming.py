"""The search for the mistake that a candidate made: the reference implementation runs with each known one.

A mistake is named if its outputs are those of the candidate. Where several would do, a case does not tell them apart:
up to `MOST_NAMES` are named, more are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ...errors import LfRefError
from ...reference.ops import Array
from ..cases.case import Case
from ..comparison.divergence import compare
from ..comparison.report import Report
from ..traces.interchange import to_numpy
from ..traces.tensor_names import OUTPUTS
from ..traces.trace import Trace
from . import of_attention, of_inputs, of_weights
from .variant import Variant

MOST_NAMES = 3
LONGEST = 64  # tokens; in longer cases only mistakes of far positions are tried, since each is a forward pass
# The error of the candidate against the mistaken model, relative to that against the right one: by other rounding, and
# where the mistake is one of rounding.
_CLOSER, _CLOSER_IN_ROUNDING = 0.25, 0.7
_SLACK = 3.0  # a mistaken model may round worse than the right one, on which tolerances are measured

EVERYWHERE = (of_inputs.far_positions,)
TABLE = (
    of_inputs.windows,
    of_inputs.global_tokens,
    of_inputs.masks,
    of_inputs.positions,
    of_weights.projections,
    of_weights.layers,
    of_weights.activations,
    of_weights.omissions,
    of_attention.scores,
    of_attention.mask_constants,
    of_attention.softmaxes,
    *EVERYWHERE,
)


def causes(
    case: Case, candidate: Mapping[str, Any], expected: Trace, report: Report, options: Mapping[str, Any]
) -> tuple[str, ...]:
    """The known mistakes that reproduce a candidate which diverges from the trace `expected` of a case.

    report: of the comparison; options: the keyword arguments of `compare` that it was made with.
    """
    outputs = {name: to_numpy(name, candidate[name])[0].astype(np.float64) for name in OUTPUTS if _usable(name, report)}
    wrong = [name for name in outputs if not report.tensors[name].passed]
    if not wrong:
        return ()
    found: dict[str, None] = {}
    for title, variant, mistaken in known_mistakes(Variant.of(case, expected)):
        closer = _CLOSER_IN_ROUNDING if variant.approximate else _CLOSER
        if all(_error(outputs[name], mistaken[name]) <= closer * report.tensors[name].rmse for name in wrong) and (
            variant.approximate or _reproduces(candidate, variant.trace(), expected, outputs, options)
        ):
            found[title] = None
    return tuple(found) if len(found) <= MOST_NAMES else ()


def known_mistakes(right: Variant) -> Iterator[tuple[str, Variant, Mapping[str, Array]]]:
    """The mistakes that are possible in a case: the name, the variant and its outputs; a name may have several."""
    for mistakes in TABLE if right.visible.shape[-1] <= LONGEST else EVERYWHERE:
        for title, variant in mistakes(right):
            with suppress(LfRefError, LookupError):  # impossible in this case
                yield title, variant, variant.outputs()


def _usable(name: str, report: Report) -> bool:
    """Whether the candidate has an output in the right shape."""
    return name in report.tensors and report.tensors[name].count > 0


def _error(got: Array, wanted: Array) -> float:
    """Root mean square error; infinite where the candidate has NaN."""
    error = float(np.sqrt(np.square(got - wanted).mean())) if got.shape == wanted.shape else np.inf
    return error if np.isfinite(error) else np.inf


def _reproduces(
    candidate: Mapping[str, Any],
    mistaken: Trace,
    expected: Trace,
    outputs: Mapping[str, Array],
    options: Mapping[str, Any],
) -> bool:
    """Whether the candidate agrees with the mistaken model, and that differs from the right one."""
    if compare({name: mistaken[name] for name in outputs}, expected, **options).passed:
        return False
    return compare(candidate, mistaken, **{**options, "slack": _SLACK}).passed


def differs_from_run_to_run(one: Mapping[str, Any], other: Mapping[str, Any], report: Report) -> bool:
    """Whether two runs of a candidate differ about as much as the first does from what is expected."""
    for name in (name for name in OUTPUTS if _usable(name, report) and not report.tensors[name].passed):
        first, second = (to_numpy(name, run[name])[0].astype(np.float64) for run in (one, other))
        if 0.1 * report.tensors[name].rmse < _error(first, second) < np.inf:
            return True
    return False
