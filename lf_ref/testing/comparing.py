"""A candidate judged by a trace, place by place, in order of computation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InputError
from ..reference.ops import Array
from .candidates import Candidate, read_candidate
from .layouts import readings
from .measuring import Difference, difference
from .names import OUTPUTS
from .report import Report, Tensor
from .run import counted, layout_of
from .tolerances import Allowed, Tolerance, check_precision, tolerance_of
from .tracing import Trace


def compare(
    candidate: Any,
    expected: Trace,
    *,
    precision: Any = "float32",
    tolerance: Any = None,
    ignore_padding: bool = False,
) -> Report:
    """Find where a candidate goes wrong.

    Args:
        candidate: a mapping of names to arrays of any library; a trace; the path of a .npz or .safetensors file; a
            callable that takes the inputs of the trace by name and returns a mapping; or one array, which is compared
            with the last output. Names are those of the trace; it need not have all of them.
        expected: what `trace` gave, best in float64.
        precision: what the candidate computes in: "float32", "bfloat16", "float16" or "float64".
        tolerance: "calibrated" measures what error the precision makes at each place on these inputs, and lets pass a
            stated multiple; that is the default where the trace knows its model. "fixed" takes the table
            `lf_ref.testing.tolerances.FIXED`. A number, or numbers by patterns of names, are relative to the largest
            magnitude of a tensor. A `Calibration` that was measured before.
        ignore_padding: leave out tokens that the attention mask hides.

    Raises:
        InputError: the candidate has no name of the trace, or an argument is of the wrong kind.
        CheckpointError: a file is damaged.
    """
    if not isinstance(expected, Trace):
        raise InputError(f"expected must be what trace() gave, got {type(expected).__name__}")
    precision = check_precision(precision)
    given = read_candidate(candidate, expected)
    common = [name for name in expected if name in given]
    if not common:
        raise InputError(
            f"the candidate has no name of the trace: it has {_some(list(given))}; the trace has "
            f"{_some(list(expected))}; capture_torch(rename=...) maps names"
        )
    allowance = tolerance_of(tolerance, expected, precision, ignore_padding)
    tensors = [_judge(name, given, expected, allowance, ignore_padding) for name in common]
    offered = {expected.place(name) for name in common}
    return Report(
        tensors={tensor.name: tensor for tensor in tensors},
        missing=tuple(name for name in expected.places if expected.place(name) not in offered),
        unknown=tuple(name for name in given if name not in expected),
        precision=precision,
        tolerance=allowance.title,
        candidate=given.title,
        expected=repr(expected),
        ignore_padding=ignore_padding,
    )


def _judge(name: str, given: Candidate, expected: Trace, tolerance: Tolerance, ignore_padding: bool) -> Tensor:
    wanted = expected[name]
    try:
        got, dtype = given.host(name)
    except InputError as error:
        return Tensor(name, False, str(error), expected_shape=wanted.shape)
    found = readings(name, got, expected)
    facts: dict[str, Any] = {"shape": got.shape, "expected_shape": wanted.shape, "dtype": dtype}
    if not found:
        return Tensor(name, False, f"shape {got.shape}, expected {wanted.shape}", **facts)
    mask = counted(expected.place(name), wanted.ndim, expected.run, ignore_padding)
    measured = [(difference(array, wanted, mask), how, array) for how, array in found]
    best, how, array = min(measured, key=lambda entry: (entry[0].largest, entry[0].rmse))
    allowed = tolerance.allowed(name, wanted, best.count)
    units = _units(best, allowed)
    reason = _reason(best, allowed)
    if reason and allowed is not None:
        reason += _where(name, array, wanted, mask, allowed, expected)
    return Tensor(
        name,
        not reason,
        reason,
        **facts,
        layout=how,
        max_abs=best.largest,
        index=best.index,
        got=best.got,
        expected=best.wanted,
        max_rel=best.relative,
        rmse=best.rmse,
        units=units,
        nan=best.nan,
        inf=best.inf,
        count=best.count,
        judged=allowed is not None,
        allowed=math.nan if allowed is None else allowed.largest,
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
    return "too large an error on the whole" if found.rmse > allowed.rms else ""


def _where(name: str, got: Array, wanted: Array, mask: Array, allowed: Allowed, expected: Trace) -> str:
    """Which tokens differ by too much, where it is not all of them: the kind of token often is the fault."""
    if layout_of(expected.place(name), expected.run) != "tokens" or wanted.ndim < 2 or name in OUTPUTS:
        return ""
    visible, is_global = expected.run.visible, expected.run.is_global
    with np.errstate(invalid="ignore"):
        error = np.abs(np.asarray(got, np.float64) - wanted) > allowed.largest
    off = (error & np.broadcast_to(mask, wanted.shape)).reshape(*visible.shape, -1).any(axis=2)
    if not off.any():
        return ""
    kinds = {"masked": ~visible, "global": is_global, "local": visible & ~is_global}
    parts = [f"{int((off & kind).sum())} of {int(kind.sum())} {title}" for title, kind in kinds.items() if kind.any()]
    return f" at {', '.join(parts)} tokens"


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
