"""How large an error may be: in units of what the precision must be expected to make, or by a fixed number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

import numpy as np

from ..errors import InputError
from ..reference.ops import Array
from .calibration import Calibration, ExpectedError, calibrate
from .names import aliases
from .tracing import Trace


@dataclass(frozen=True)
class Multiples:
    """How many times the expected error of a precision passes.

    rms: of the root mean square of the error. largest: of the largest error. gained: of the root mean square of the
    expected error, for that of the part of the error which is in proportion to the values, and so makes all of them too
    small or too large.
    """

    rms: float
    largest: float
    gained: float
    reason: str


_ROUNDS = (
    "sums are added up in float32 by all, so that two sound programs differ by how often they round. Measured on HF's "
    "Longformer against the definition, on some 20 000 tensors of random models, on the demo and on one of base size: "
    "less what DEVIATIONS allow for, the root mean square stays below 1.4 times, the largest error below 3.5 times the "
    "expected one, and no more than 0.05 times it is gained where rounding is to nearest. Cutting off bits instead "
    "gains 0.6 in one operation, and makes twice the error in a table; a sum in bfloat16 makes three times."
)
_SUMS = (
    "the order of summation is the program's own affair: adding up 3072 products one after the other makes three times "
    "the error of a BLAS that adds them up in blocks, and what is wrong is wrong by a hundred times and more"
)
MULTIPLES = {
    "float64": Multiples(6.0, 15.0, 1.0, _SUMS),
    "float32": Multiples(6.0, 15.0, 1.0, _SUMS),
    "float16": Multiples(1.7, 5.0, 0.25, _ROUNDS),
    "bfloat16": Multiples(1.7, 5.0, 0.25, _ROUNDS),
}
# Where few numbers carry the error all this is a matter of luck: so many standard deviations are allowed on top.
DEVIATIONS = 4.0


@dataclass(frozen=True)
class FixedTolerance:
    """The largest error that passes, relative to the largest magnitude of a tensor, and why it is this number."""

    relative: float
    reason: str


# The errors were measured on random models of 12 layers with peaked attention, at the place where they are largest; the
# room is for other weights and longer texts.
FIXED = {
    "float64": FixedTolerance(5e-14, "53 binary digits; measured up to 1.3e-14, with four times that for room"),
    "float32": FixedTolerance(2e-5, "24 binary digits; measured up to 4.9e-6, with four times that for room"),
    "float16": FixedTolerance(5e-2, "11 binary digits; measured up to 1.6e-2, with three times that for room"),
    "bfloat16": FixedTolerance(0.2, "8 binary digits; measured up to 6.5e-2, with three times that for room"),
}


@dataclass(frozen=True)
class Allowed:
    """What passes for one tensor: absolute errors, and the expected ones where they were measured.

    gained: root mean square of the part of the error that is in proportion to the values.
    """

    largest: float
    rms: float = math.inf
    gained: float = math.inf
    expected: ExpectedError | None = None


class Tolerance(Protocol):
    """How large an error may be, for each tensor."""

    title: str

    def allowed(self, name: str, wanted: Array) -> Allowed | None:
        """wanted: the numbers expected. None: the tensor is not judged."""


class Calibrated:
    """A multiple of the expected errors."""

    def __init__(self, calibration: Calibration, expected: Trace, slack: float) -> None:
        self._calibration, self._expected, self._slack = calibration, expected, slack
        self._multiples = MULTIPLES[calibration.precision]
        rms, largest = slack * self._multiples.rms, slack * self._multiples.largest
        self.title = (
            f"{rms:g} x the expected RMSE of {calibration.precision}, {largest:g} x its largest error; more where "
            "numbers are few"
        )

    def allowed(self, name: str, wanted: Array) -> Allowed | None:
        """As in `Tolerance`."""
        error = self._calibration.get(name) or self._calibration.get(self._expected.place(name))
        if error is None:
            return None
        luck, times = DEVIATIONS / math.sqrt(error.numbers), self._multiples
        largest = self._slack * (times.largest + luck) * error.largest
        if error.numbers == 1:  # its error is its root mean square, and in proportion to it: one limit is enough
            return Allowed(largest, expected=error)
        gained = abs(error.gained) + times.gained * error.rms + DEVIATIONS * error.wobble
        rms = self._slack * (times.rms + luck) * error.rms
        return Allowed(largest, rms, self._slack * gained, error)


class Fixed:
    """A number for each tensor, relative to its largest magnitude: by patterns of names, the first that fits."""

    def __init__(self, numbers: Mapping[str, float], title: str) -> None:
        self._numbers, self.title = dict(numbers), title

    def allowed(self, name: str, wanted: Array) -> Allowed | None:
        """As in `Tolerance`."""
        known = (name, *aliases(name))
        for pattern, number in self._numbers.items():
            if any(fnmatchcase(other, pattern) for other in known):
                finite = np.where(np.isfinite(wanted), wanted, 0)
                return Allowed(number * float(np.abs(finite).max(initial=0.0)))
        return None


def tolerance_of(given: Any, slack: float, expected: Trace, precision: str, ignore_padding: bool) -> Tolerance:
    """What `compare` was given as a tolerance, times the slack.

    Raises:
        InputError: it is of no known kind, or is to be measured although the trace does not know its model.
    """
    if not _number("slack", slack):
        raise InputError("slack must be more than 0, got 0")
    if given is None:
        given = "fixed" if expected.model is None else "calibrated"
    if isinstance(given, Calibration):
        if (given.precision, given.ignore_padding) != (precision, ignore_padding):
            raise InputError(
                f"the calibration is of {given.precision} with ignore_padding={given.ignore_padding}, asked for are "
                f"{precision} and ignore_padding={ignore_padding}"
            )
        return Calibrated(given, expected, slack)
    if isinstance(given, str) and given == "calibrated":
        return Calibrated(_measured(expected, precision, ignore_padding), expected, slack)
    if isinstance(given, str) and given == "fixed":
        number = slack * FIXED[precision].relative
        return Fixed({"*": number}, f"{number:g} of the largest magnitude, fixed for {precision}")
    if isinstance(given, Mapping):
        numbers = {str(name): slack * _number("tolerance", value) for name, value in given.items()}
        return Fixed(numbers, "of the largest magnitude, given by name")
    number = slack * _number("tolerance", given)
    return Fixed({"*": number}, f"{number:g} of the largest magnitude")


def _measured(expected: Trace, precision: str, ignore_padding: bool) -> Calibration:
    if expected.model is None:
        raise InputError(
            "tolerances are measured on the model, which this trace does not know: load it with "
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
