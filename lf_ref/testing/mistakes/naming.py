"""The search for the mistake that a candidate made: the reference implementation runs with each known one.

A mistake is found if its outputs are those of the candidate. Several may do, where a case does not tell them apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from ...errors import LfRefError
from ...reference.ops import Array
from ..cases.case import Case
from ..comparison.divergence import compare
from ..comparison.report import Report
from ..traces.named_tensors import NamedTensors
from ..traces.tensor_names import OUTPUTS
from ..traces.trace import Trace
from ..traces.valid_elements import valid_elements
from . import of_attention, of_inputs, of_weights
from .variant import Variant, Variants

_LONG = 64  # tokens; in longer cases a forward pass is slow, and only mistakes of far positions are searched for
# The largest error against the mistaken model, relative to that against the right one: of all outputs, and of each
# tensor. Simulated softmaxes in lower precision come as close as 0.25 to real ones, other operations 0.8 at best.
_CLOSE, _CLOSER = 0.5, 0.8
_CHANCE = 1e-6  # the chance that so many elements come so close
_SLACK = 3.0  # a mistaken model may round worse than the right one, on which tolerances are measured

_FAR: tuple[Callable[[Variant], Variants], ...] = (of_inputs.far_positions,)
_TABLE = (
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
    *_FAR,
)


def known_mistakes(right: Variant, tables: Collection[Callable[[Variant], Variants]] = _TABLE) -> Variants:
    """The mistakes that may show in a case, by name; a name may have several variants."""
    for mistakes in tables:
        yield from mistakes(right)


def causes(
    case: Case,
    candidate: Mapping[str, Any],
    expected: Trace,
    report: Report,
    options: Mapping[str, Any],
    suspects: Collection[str] = (),
) -> tuple[str, ...]:
    """The known mistakes that reproduce a candidate which diverges from the trace `expected` of a case.

    report: of the comparison; options: the keyword arguments of `compare` that it was made with. suspects: mistakes
    that were found in other cases; if one of them does, no other is searched for.
    """
    diverging = _Diverging(NamedTensors(candidate, ""), expected, report, options)
    right = Variant.of(case, expected)
    found = diverging.reproduced_by(pair for pair in known_mistakes(right) if pair[0] in suspects)
    if found or not diverging.outputs:
        return found
    if right.visible.shape[-1] <= _LONG:
        return diverging.reproduced_by(known_mistakes(right))
    return diverging.reproduced_by(known_mistakes(right, _FAR)) if diverging.begins_right() else ()


def differs_from_run_to_run(one: Mapping[str, Any], other: Mapping[str, Any], expected: Trace, report: Report) -> bool:
    """Whether two runs of a candidate differ about as much as the first does from the trace `expected`.

    report: of the first run.
    """
    first, second = _Diverging(NamedTensors(one, ""), expected, report, {}), NamedTensors(other, "")
    return any(
        0.1 * report.tensors[name].rmse < first.error(name, second[name]) < np.inf
        for name in first.outputs
        if name in second
    )


class _Diverging:
    """A candidate, and the report on it. options: as for `causes`.

    outputs: those that diverge and have the right shape, in float64.
    """

    def __init__(self, candidate: NamedTensors, expected: Trace, report: Report, options: Mapping[str, Any]) -> None:
        self.candidate, self.expected, self.report, self.options = candidate, expected, report, options
        tensors = ((name, report.tensors.get(name)) for name in OUTPUTS if name in candidate)
        wrong = [name for name, tensor in tensors if tensor is not None and tensor.count and not tensor.passed]
        self.outputs = {name: candidate[name].astype(np.float64) for name in wrong}

    def error(self, name: str, other: Array, first: int | None = None) -> float:
        """The root mean square error of an output against another array; infinite where the output has NaN.

        first: the number of tokens that count; all if None.
        """
        output, expected = self.outputs[name], self.expected
        if output.shape != other.shape:
            return math.inf
        counts = valid_elements(expected.canonical_name(name), output.ndim, expected.run, self.report.ignore_padding)
        counts = np.broadcast_to(counts, output.shape)
        if first is not None:
            output, other, counts = output[:, :first], other[:, :first], counts[:, :first]
        with np.errstate(all="ignore"):
            error = math.sqrt(float(np.square(output - other)[counts].sum()) / max(1, int(counts.sum())))
        return error if math.isfinite(error) else math.inf

    def begins_right(self) -> bool:
        """Whether the errors are smaller in the first tokens than in all: a far position does not concern them."""
        shape = self.expected.run.visible.shape
        return any(
            output.shape[:2] == shape
            and self.error(name, self.expected[name], _LONG) < 0.5 * self.report.tensors[name].rmse
            for name, output in self.outputs.items()
        )

    def reproduced_by(self, mistakes: Iterator[tuple[str, Variant]]) -> tuple[str, ...]:
        """The names of those of the mistakes that reproduce the candidate."""
        found: dict[str, None] = {}
        for title, variant in mistakes:
            with suppress(LfRefError, LookupError):  # the mistake is impossible in this case
                if self._is_near(variant) and self._agrees(variant):
                    found[title] = None
        return tuple(found)

    def _is_near(self, variant: Variant) -> bool:
        """Whether the outputs are nearer to those of the variant than chance would bring them."""
        squares = total = 0.0
        for name in self.outputs:
            tensor, error = self.report.tensors[name], self.error(name, variant.outputs[name])
            if not error <= _CLOSER * tensor.rmse:
                return False
            squares, total = squares + tensor.count * (error / tensor.rmse) ** 2, total + tensor.count
        ratio = math.sqrt(squares / total)
        return ratio <= _CLOSE and ratio**total <= _CHANCE

    def _agrees(self, variant: Variant) -> bool:
        """Whether all tensors of the candidate agree with the variant, and that differs from the right model."""
        again = compare(self.candidate, variant.trace, **{**self.options, "slack": _SLACK}).tensors
        if variant.approximate:
            wrong = {name: tensor for name, tensor in self.report.tensors.items() if not tensor.passed}
            return all(again[name].rmse <= _CLOSER * tensor.rmse for name, tensor in wrong.items())
        if not all(tensor.passed for tensor in again.values()):
            return False
        mistaken = {name: variant.outputs[name] for name in self.outputs}
        return not compare(mistaken, self.expected, **self.options).passed
