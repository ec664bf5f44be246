"""A candidate judged by a trace, place by place, in order of computation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...errors import InputError
from ...hf_names import accepts_names
from ..traces.named_tensors import NamedTensors
from ..traces.recorder import nothing_in
from ..traces.tensor_names import BAND, ONLY
from ..traces.trace import Trace
from ..traces.valid_elements import counted, layout_of
from .attention_hints import listed
from .candidates import read_candidate
from .hints import hints
from .layouts import FOLDED, readings, seen_beyond
from .metrics import UNSEEN, Difference, difference
from .precisions import check_precision
from .report import Report, Tensor
from .tolerances import Allowed, Tolerance, tolerance_of


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
        expected: what `trace` gave, best in float64.
        precision: what the candidate computes in: "float32", "bfloat16", "float16" or "float64".
        tolerance: "calibrated" measures what error the precision makes at each place on these inputs, and lets pass a
            stated multiple; that is the default where the trace knows its model. "fixed" takes the table
            `lf_ref.testing.tolerances.FIXED`. A number, or numbers by patterns of names, are relative to the largest
            magnitude of a tensor. A `Calibration` that was measured before.
        slack: what is allowed times this: more than 1 for a candidate that is known to round more often.
        ignore_padding: leave out tokens that the attention mask hides.

    Raises:
        InputError: the candidate is empty or has no name of the trace, or an argument is of the wrong kind.
        CheckpointError: a file is damaged.
    """
    if not isinstance(expected, Trace):
        raise InputError(f"expected must be what trace() gave, got {type(expected).__name__}")
    precision = check_precision(precision)
    given = read_candidate(candidate, expected)
    if not given:
        raise InputError("the candidate is empty: give it one tensor or more, by the names of the trace")
    only = _only(given, expected)
    sources = {name: ONLY if name == only else _source(name, given, expected) for name in expected}
    common = {name: source for name, source in sources.items() if source is not None}
    if not common:
        raise InputError(
            f"the candidate has no name of the trace: it has {_some(list(given))}; the trace has "
            f"{_some(list(expected))}; capture_torch(rename=...) maps names"
        )
    allowance = tolerance_of(tolerance, slack, expected, precision, ignore_padding)
    judge = _Judge(given, expected, allowance, precision, ignore_padding)
    tensors = {name: judge(name, source) for name, source in common.items()}
    if not any(tensor.judged for tensor in tensors.values()):
        raise InputError(f"no pattern of the tolerance is like a name that the candidate has: {_some(list(common))}")
    offered = {expected.place(name) for name in common}
    return Report(
        tensors=tensors,
        missing=tuple(name for name in expected.places if expected.place(name) not in offered),
        unknown=tuple(name for name in given if name not in expected and name not in common.values()),
        precision=precision,
        tolerance=allowance.title,
        candidate=given.title,
        expected=repr(expected),
        ignore_padding=ignore_padding,
    )


def _only(given: NamedTensors, expected: Trace) -> str | None:
    """Which output is meant by the only tensor that a model returned: the last that has as many axes, if any has.

    So it is the hidden states of an encoder without a pooler, and the logits where the trace has a loss too.
    """
    outputs = [name for name in expected.run.outputs if name not in given]
    if ONLY not in given or not outputs:
        return None
    try:
        axes = given.host(ONLY)[0].ndim
    except InputError:  # a divergence, as of any other tensor
        return outputs[-1]
    return ([name for name in outputs if expected[name].ndim == axes] or outputs)[-1]


def _source(name: str, given: NamedTensors, expected: Trace) -> str | None:
    """The candidate's name for a tensor: one dense map of attention has the rows of global queries among the others."""
    if name in given:
        return name
    local = name.removesuffix("_global")
    if local == name or not local.endswith((".scores", ".probabilities")) or local not in given:
        return None
    shape = np.shape(given[local])
    return local if len(shape) == 4 and shape[2] == shape[3] and shape != expected[local].shape else None


@dataclass
class _Judge:
    """Compares one tensor after the other; the first that diverges is looked at more closely."""

    given: NamedTensors
    expected: Trace
    tolerance: Tolerance
    precision: str
    ignore_padding: bool
    _found_one: bool = False

    def __call__(self, name: str, source: str) -> Tensor:
        """The tensor `name` of the trace, which the candidate has as `source`."""
        expected, wanted = self.expected, self.expected[name]
        place = expected.place(name)
        try:
            got, dtype = self.given.host(source)
        except InputError as error:
            return Tensor(name, place, False, str(error).removeprefix(f"{source} "), expected_shape=wanted.shape)
        facts: dict[str, Any] = {"shape": got.shape, "expected_shape": wanted.shape, "dtype": dtype}
        found = readings(name, got, expected)
        if not found:
            return Tensor(name, place, False, f"has shape {got.shape}, expected {wanted.shape}", **facts)
        mask = counted(place, wanted.ndim, expected.run, self.ignore_padding)
        measured = [(difference(array, wanted, mask), how, array) for how, array in found]
        best, how, array = min(measured, key=lambda entry: (entry[0].largest, entry[0].rmse))
        allowed = self.tolerance.allowed(name, wanted)
        reason = _reason(best, allowed)
        if not reason and allowed is not None and how == FOLDED and layout_of(place, expected.run) == BAND:
            least = UNSEEN if ".scores" in place else allowed.largest
            offsets, where = seen_beyond(name, got, expected, self.ignore_padding, least)
            if where:
                reason = f"sees neighbours outside of its window, at offset {listed(offsets)}"
                value, nothing = float(got[where]), nothing_in(place)
                best = replace(best, largest=value - nothing, index=where, got=value, wanted=nothing)
        units, notes = _units(best, allowed), list[str]()
        if reason and allowed is not None and not self._found_one:
            self._found_one = True
            notes = hints(name, array, allowed.largest, self.ignore_padding, expected, self.precision, units)
        return Tensor(
            name,
            place,
            not reason,
            reason,
            tuple(notes),
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
            units=units,
            nan=best.nan,
            inf=best.inf,
            count=best.count,
            judged=allowed is not None,
        )


def _units(found: Difference, allowed: Allowed | None) -> float:
    """The error in units of the expected one: of the root mean squares or of the largest, whichever is more."""
    if allowed is None or allowed.expected is None:
        return math.nan
    pairs = ((found.rmse, allowed.expected.rms), (found.largest, allowed.expected.largest))
    return max(0.0 if error == 0 else error / expected if expected else math.inf for error, expected in pairs)


def _reason(found: Difference, allowed: Allowed | None) -> str:
    """Why a tensor does not pass; "" if it does."""
    if allowed is None:
        return ""
    if found.nan or found.inf:
        return f"{found.nan} NaN and {found.inf} infinite where finite numbers are expected"
    if found.largest > allowed.largest:
        return "too large an error"
    if found.rmse > allowed.rms:
        return "too large an error on the whole, though not at one place"
    if abs(found.gain) * found.size > allowed.gained:
        more = "large" if found.gain > 0 else "small"
        return f"all values are too {more} on the whole, by {abs(found.gain):.2g} of them"
    return ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
