"""Tolerances: how large an error may be, as a multiple of the expected rounding error, or as a fixed relative error."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

import numpy as np

from ...errors import InputError
from ...reference.ops import Array
from ..traces.tensor_names import aliases
from ..traces.trace import Trace
from .calibration import Calibration, ExpectedError, calibrate


@dataclass(frozen=True)
class Multiples:
    """The multiples of the expected error of a precision that pass, and the reason.

    rms: for the root mean square error. largest: for the largest error. proportional: for the part of the error that
    is proportional to the values, as a multiple of the expected root mean square error.
    """

    rms: float
    largest: float
    proportional: float
    reason: str


_ROUNDS = (
    "all frameworks accumulate in float32, so two correct programs differ only in how often they round. HF's model "
    "was measured against the reference implementation on some 20 000 tensors of random models, of the demo and of a "
    "model of base size: beyond the DEVIATIONS, the root mean square error stays below 1.4 times and the largest error "
    "below 3.5 times the expected one, and the part proportional to the values below 0.05 times, when rounding to "
    "nearest. Truncation makes this part 0.6 times in one operation, and doubles the error of an embedding lookup; "
    "accumulation in bfloat16 triples the error."
)
_SUMS = (
    "a program is free to sum in any order: adding 3072 products one by one makes three times the error of a BLAS, "
    "which sums in blocks; errors of wrong programs are larger by a factor of a hundred and more"
)
MULTIPLES = {
    "float64": Multiples(6.0, 15.0, 1.0, _SUMS),
    "float32": Multiples(6.0, 15.0, 1.0, _SUMS),
    "float16": Multiples(1.7, 5.0, 0.25, _ROUNDS),
    "bfloat16": Multiples(1.7, 5.0, 0.25, _ROUNDS),
}
# With few independent errors the measured error varies: so many standard deviations are allowed on top.
DEVIATIONS = 4.0


@dataclass(frozen=True)
class FixedTolerance:
    """The largest error that passes, relative to the largest magnitude of a tensor, and the reason."""

    relative: float
    reason: str


# The largest errors of any tensor, measured on random models of 12 layers with peaked attention; the margin is for
# other weights and longer texts.
FIXED = {
    "float64": FixedTolerance(5e-14, "53 significand bits; measured up to 1.3e-14, with a margin of four"),
    "float32": FixedTolerance(2e-5, "24 significand bits; measured up to 4.9e-6, with a margin of four"),
    "float16": FixedTolerance(5e-2, "11 significand bits; measured up to 1.6e-2, with a margin of three"),
    "bfloat16": FixedTolerance(0.2, "8 significand bits; measured up to 6.5e-2, with a margin of three"),
}


@dataclass(frozen=True)
class Limits:
    """The limits of one tensor, all absolute errors, and the expected error where it was measured.

    largest: of the largest error. rms: of the root mean square error. proportional: of the root mean square of the part
    of the error that is proportional to the values.
    """

    largest: float
    rms: float = math.inf
    proportional: float = math.inf
    expected: ExpectedError | None = None


class Tolerance(Protocol):
    """Limits for each tensor."""

    title: str

    def limits(self, name: str, wanted: Array) -> Limits | None:
        """The limits of a tensor with the values `wanted`; None if it is not compared."""


class CalibratedTolerance:
    """Multiples of the expected rounding errors."""

    def __init__(self, calibration: Calibration, expected: Trace, slack: float) -> None:
        self._calibration, self._expected, self._slack = calibration, expected, slack
        self._multiples = MULTIPLES[calibration.precision]
        rms, largest = slack * self._multiples.rms, slack * self._multiples.largest
        self.title = (
            f"{rms:g} x the expected RMSE of {calibration.precision}, {largest:g} x its largest error; more for "
            "small tensors"
        )

    def limits(self, name: str, wanted: Array) -> Limits | None:
        """As in `Tolerance`."""
        error = self._calibration.get(name) or self._calibration.get(self._expected.canonical_name(name))
        if error is None:
            return None
        margin, multiples = DEVIATIONS / math.sqrt(error.effective_count), self._multiples
        largest = self._slack * (multiples.largest + margin) * error.largest
        if error.effective_count == 1:  # one error is its own root mean square and proportional part
            return Limits(largest, expected=error)
        proportional = (
            abs(error.proportional) + multiples.proportional * error.rms + DEVIATIONS * error.proportional_std
        )
        rms = self._slack * (multiples.rms + margin) * error.rms
        return Limits(largest, rms, self._slack * proportional, error)


class RelativeTolerance:
    """A relative error for each tensor, by its largest magnitude: of the first name pattern that matches."""

    def __init__(self, relative_errors: Mapping[str, float], title: str) -> None:
        self._relative_errors, self.title = dict(relative_errors), title

    def limits(self, name: str, wanted: Array) -> Limits | None:
        """As in `Tolerance`."""
        known = (name, *aliases(name))
        for pattern, number in self._relative_errors.items():
            if any(fnmatchcase(other, pattern) for other in known):
                finite = np.where(np.isfinite(wanted), wanted, 0)
                return Limits(number * float(np.abs(finite).max(initial=0.0)))
        return None


def tolerance_of(given: Any, slack: float, expected: Trace, precision: str, ignore_padding: bool) -> Tolerance:
    """The tolerance for the argument `tolerance` of `compare`, times the slack.

    Raises:
        InputError: the argument is invalid, or the trace lacks the model to measure on.
    """
    if not _number("slack", slack):
        raise InputError("slack must be greater than 0, got 0")
    if given is None:
        given = "fixed" if expected.model is None else "calibrated"
    if isinstance(given, Calibration):
        if (given.precision, given.ignore_padding) != (precision, ignore_padding):
            raise InputError(
                f"the calibration is of {given.precision} with ignore_padding={given.ignore_padding}, the comparison "
                f"of {precision} with ignore_padding={ignore_padding}"
            )
        return CalibratedTolerance(given, expected, slack)
    if isinstance(given, str) and given == "calibrated":
        return CalibratedTolerance(_measured(expected, precision, ignore_padding), expected, slack)
    if isinstance(given, str) and given == "fixed":
        number = slack * FIXED[precision].relative
        return RelativeTolerance({"*": number}, f"{number:g} of the largest magnitude, fixed for {precision}")
    if isinstance(given, Mapping):
        relative_errors = {str(name): slack * _number("tolerance", value) for name, value in given.items()}
        return RelativeTolerance(relative_errors, "of the largest magnitude, by name")
    number = slack * _number("tolerance", given)
    return RelativeTolerance({"*": number}, f"{number:g} of the largest magnitude")


def _measured(expected: Trace, precision: str, ignore_padding: bool) -> Calibration:
    if expected.model is None:
        raise InputError(
            "calibrated tolerances are measured on the model, which this trace lacks: load it with "
            "Trace.load(path, model=...), or pass tolerance='fixed' or a number"
        )
    key = (precision, ignore_padding)
    if key not in expected.calibrations:
        expected.calibrations[key] = calibrate(expected, precision, ignore_padding)
    return expected.calibrations[key]


def _number(name: str, value: Any) -> float:
    if isinstance(value, np.integer | np.ndarray) and not np.ndim(value):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating) or not 0 <= value < math.inf:
        kinds = (
            "'calibrated', 'fixed', a Calibration, numbers by name, or a number" if name == "tolerance" else "a number"
        )
        raise InputError(f"{name} must be {kinds} of at least 0, got {value!r}")
    return float(value)
