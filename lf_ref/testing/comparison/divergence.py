"""The first tensor of a candidate that diverges from a trace, in order of computation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import InputError
from ...hf_names import accepts_names
from ..traces.named_tensors import NamedTensors
from ..traces.recorder import masked_value
from ..traces.tensor_names import BAND, SINGLE_OUTPUT
from ..traces.trace import Trace
from ..traces.valid_elements import layout_of, valid_elements
from .attention_hints import format_ranges
from .candidates import read_candidate
from .hints import hints
from .layouts import DENSE_TO_BAND, attention_outside_window, in_trace_layout
from .metrics import MASKED_SCORE, Difference, difference
from .precisions import check_precision
from .report import Report, Tensor
from .shape_hints import shape_hints
from .tolerances import Limits, Tolerance, tolerance_of


@accepts_names()
def compare(
    candidate: Any,
    expected: Trace,
    *,
    precision: Any = "float32",
    tolerance: Any = None,
    slack: float = 1.0,
    ignore_padding: bool = False,
) -> Report:
    """Find where a candidate goes wrong.

    Args:
        candidate: a mapping of names to arrays of any library; a trace; the path of a .npz or .safetensors file; a
            callable that takes the inputs of the trace by name and returns a mapping; or one array, which is compared
            with the last output that has as many axes. Names are those of the trace; it need not have all of them.
        expected: a trace, best of float64.
        precision: the dtype that the candidate computes in: "float32", "bfloat16", "float16" or "float64".
        tolerance: "calibrated" measures the rounding error of the precision for each tensor on these inputs, and allows
            a fixed multiple; this is the default if the trace has its model. "fixed" uses the table
            `lf_ref.testing.FIXED`. A number, or a mapping of name patterns to numbers, is relative to the largest
            magnitude of a tensor. A `Calibration` reuses one measured before.
        slack: a factor on all limits: more than 1 for a candidate that is known to round more often.
        ignore_padding: leave out tokens that the attention mask hides.

    Raises:
        InputError: the candidate is empty or has no name of the trace, or an argument is invalid.
        CheckpointError: a file is damaged.
    """
    if not isinstance(expected, Trace):
        raise InputError(f"expected must be a trace, as trace() returns it, got {type(expected).__name__}")
    precision = check_precision(precision)
    given = read_candidate(candidate, expected)
    if not given:
        raise InputError("the candidate is empty: pass one tensor or more, by the names of the trace")
    only = _only(given, expected)
    sources = {name: SINGLE_OUTPUT if name == only else _source(name, given, expected) for name in expected}
    common = {name: source for name, source in sources.items() if source is not None}
    if not common:
        raise InputError(
            f"the candidate has no name of the trace: it has {_some(list(given))}; the trace has "
            f"{_some(list(expected))}; rename its tensors, in torch with capture_torch(rename=...)"
        )
    allowance = tolerance_of(tolerance, slack, expected, precision, ignore_padding)
    judge = _TensorComparison(given, expected, allowance, precision, ignore_padding)
    tensors = {name: judge(name, source) for name, source in common.items()}
    if not any(tensor.judged for tensor in tensors.values()):
        raise InputError(f"no pattern of the tolerance matches a tensor of the candidate: {_some(list(common))}")
    offered = {expected.canonical_name(name) for name in common}
    return Report(
        tensors=tensors,
        missing=tuple(name for name in expected.canonical_names if expected.canonical_name(name) not in offered),
        unknown=tuple(name for name in given if name not in expected and name not in common.values()),
        precision=precision,
        tolerance=allowance.title,
        candidate=given.title,
        expected=repr(expected),
        ignore_padding=ignore_padding,
    )


def _only(given: NamedTensors, expected: Trace) -> str | None:
    """The output to compare with the only tensor that a model returned: the last one with as many axes.

    For an encoder without a pooler these are the hidden states, and for a trace with a loss the logits.
    """
    outputs = [name for name in expected.run.outputs if name not in given]
    if SINGLE_OUTPUT not in given or not outputs:
        return None
    try:
        axes = given.convert(SINGLE_OUTPUT)[0].ndim
    except InputError:  # reported as a divergence, as for any other tensor
        return outputs[-1]
    return ([name for name in outputs if expected[name].ndim == axes] or outputs)[-1]


def _source(name: str, given: NamedTensors, expected: Trace) -> str | None:
    """The candidate's name for a tensor: a single dense attention map holds the rows of global queries too."""
    if name in given:
        return name
    local = name.removesuffix("_global")
    if local == name or not local.endswith((".scores", ".probabilities")) or local not in given:
        return None
    shape = np.shape(given[local])
    return local if len(shape) == 4 and shape[2] == shape[3] and shape != expected[local].shape else None


@dataclass
class _TensorComparison:
    """Compares tensor after tensor; the first that diverges gets hints."""

    given: NamedTensors
    expected: Trace
    tolerance: Tolerance
    precision: str
    ignore_padding: bool
    _has_hints: bool = False

    def __call__(self, name: str, source: str) -> Tensor:
        """The tensor `name` of the trace, which the candidate has as `source`."""
        expected, wanted = self.expected, self.expected[name]
        canonical = expected.canonical_name(name)
        try:
            got, dtype = self.given.convert(source)
        except InputError as error:
            return Tensor(name, canonical, False, str(error).removeprefix(f"{source} "), expected_shape=wanted.shape)
        facts: dict[str, Any] = {"shape": got.shape, "expected_shape": wanted.shape, "dtype": dtype}
        found = in_trace_layout(name, got, expected)
        if not found:
            limits = self.tolerance.limits(name, wanted)
            notes = tuple(shape_hints(name, got, expected, 0.0 if limits is None else limits.largest))
            return Tensor(name, canonical, False, f"has shape {got.shape}, expected {wanted.shape}", notes, **facts)
        mask = valid_elements(canonical, wanted.ndim, expected.run, self.ignore_padding)
        measured = [(difference(array, wanted, mask), how, array) for how, array in found]
        best, how, array = min(measured, key=lambda entry: (entry[0].largest, entry[0].rmse))
        allowed = self.tolerance.limits(name, wanted)
        reason = _reason(best, allowed)
        outside = ""
        if allowed is not None and how == DENSE_TO_BAND and layout_of(canonical, expected.run) == BAND:
            least = MASKED_SCORE if ".scores" in canonical else allowed.largest
            offsets, where = attention_outside_window(name, got, expected, self.ignore_padding, least)
            if where:
                outside = f"neighbours outside of its window, at offset {format_ranges(offsets)}"
            if where and not reason:
                reason = f"attends to {outside}"
                value, nothing = float(got[where]), masked_value(canonical)
                best = replace(best, largest=value - nothing, index=where, got=value, wanted=nothing)
        error_ratio, found_hints = _error_ratio(best, allowed), list[str]()
        if reason and allowed is not None and not self._has_hints:
            self._has_hints = True
            found_hints = hints(
                name, array, allowed.largest, self.ignore_padding, expected, self.precision, error_ratio
            )
            if outside and outside not in reason:
                found_hints.insert(0, f"it wrongly attends to: {outside}")
        return Tensor(
            name,
            canonical,
            not reason,
            reason,
            tuple(found_hints),
            **facts,
            layout=how,
            max_abs=best.largest,
            index=best.index,
            got=best.got,
            expected=best.wanted,
            max_rel=best.relative,
            rmse=best.rmse,
            gain=best.gain,
            size=best.size,
            error_ratio=error_ratio,
            nan=best.nan,
            inf=best.inf,
            count=best.count,
            judged=allowed is not None,
        )


def _error_ratio(found: Difference, allowed: Limits | None) -> float:
    """The error divided by the expected error: the larger ratio of the root mean squares and of the largest errors."""
    if allowed is None or allowed.expected is None:
        return math.nan
    pairs = ((found.rmse, allowed.expected.rms), (found.largest, allowed.expected.largest))
    return max(0.0 if error == 0 else error / expected if expected else math.inf for error, expected in pairs)


def _reason(found: Difference, allowed: Limits | None) -> str:
    """Why a tensor fails; "" if it passes."""
    if allowed is None:
        return ""
    if found.nan or found.inf:
        return f"{found.nan} NaN and {found.inf} infinite where finite values are expected"
    if found.largest > allowed.largest:
        return "its error is too large"
    if found.rmse > allowed.rms:
        return "its root mean square error is too large, though no single error is"
    if abs(found.gain) * found.size > allowed.proportional:
        more = "large" if found.gain > 0 else "small"
        return f"its values are too {more} on average, by {abs(found.gain):.2g} of their size"
    return ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
