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
from .rounding import PRECISIONS
from .tracing import Trace

# A candidate passes while its error is at most so many times the expected one. Two sound programs differ by their order
# of summation and by how often they round. Measured on HF's Longformer in every precision against the definition, on
# some 20 000 tensors of random models and on the demo: less what the next constant allows for, the root mean square
# of the error stays below 1.4 times, the largest error below 3.5 times the expected one. Cutting off bits instead of
# rounding to nearest makes twice the error, a sum in bfloat16 three times.
RMS_MULTIPLE, LARGEST_MULTIPLE = 1.7, 5.0
# Where few numbers carry the error all this is a matter of luck: so many standard deviations are allowed on top.
DEVIATIONS = 4.0
# The part of the error that is in proportion to the values, and so makes all of them too small or too large, over the
# root mean square of the expected error. It is luck alone where rounding is to nearest: measured as above, never more
# than 0.05 beyond it. One operation whose result is cut off has 0.6.
GAIN_MULTIPLE = 0.25


@dataclass(frozen=True)
class FixedTolerance:
    """The largest error that passes, relative to the largest magnitude of a tensor, and why it is this number."""

    relative: float
    reason: str


FIXED = {
    "float64": FixedTolerance(1e-12, "two roundings of 1e-16 in each of some hundred operations, with room for sums"),
    "float32": FixedTolerance(2e-5, "as for float64, 2**29 times larger: measured errors of 12 layers are about 5e-6"),
    "float16": FixedTolerance(2e-2, "11 binary digits; measured errors of 12 layers are about 5e-3"),
    "bfloat16": FixedTolerance(0.15, "8 binary digits; measured errors of 12 layers are about 0.04"),
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

    def __init__(self, calibration: Calibration, expected: Trace) -> None:
        self._calibration, self._expected = calibration, expected
        self.title = (
            f"{RMS_MULTIPLE:g} x the expected RMSE of {calibration.precision}, {LARGEST_MULTIPLE:g} x its largest "
            "error; more where numbers are few"
        )

    def allowed(self, name: str, wanted: Array) -> Allowed | None:
        """As in `Tolerance`."""
        error = self._calibration.get(name) or self._calibration.get(self._expected.place(name))
        if error is None:
            return None
        luck = DEVIATIONS / math.sqrt(max(1.0, error.numbers))
        return Allowed(
            largest=(LARGEST_MULTIPLE + luck) * error.largest,
            rms=(RMS_MULTIPLE + luck) * error.rms,
            gained=abs(error.gained) + GAIN_MULTIPLE * error.rms + DEVIATIONS * error.wobble,
            expected=error,
        )


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


def tolerance_of(given: Any, expected: Trace, precision: str, ignore_padding: bool) -> Tolerance:
    """What `compare` was given as a tolerance.

    Raises:
        InputError: it is of no known kind, or is to be measured although the trace does not know its model.
    """
    if given is None:
        given = "fixed" if expected.model is None else "calibrated"
    if isinstance(given, Calibration):
        if (given.precision, given.ignore_padding) != (precision, ignore_padding):
            raise InputError(
                f"the calibration is of {given.precision} with ignore_padding={given.ignore_padding}, asked for are "
                f"{precision} and ignore_padding={ignore_padding}"
            )
        return Calibrated(given, expected)
    if given == "calibrated":
        if expected.model is None:
            raise InputError(
                "tolerances are measured on the model, which this trace does not know: load it with "
                "Trace.load(path, model=...), or pass tolerance='fixed' or a number"
            )
        key = (precision, ignore_padding)
        if key not in expected.calibrations:
            expected.calibrations[key] = calibrate(expected, precision, ignore_padding)
        return Calibrated(expected.calibrations[key], expected)
    if given == "fixed":
        entry = FIXED[precision]
        return Fixed(
            {"*": entry.relative}, f"{entry.relative:g} of the largest magnitude, the fixed one of {precision}"
        )
    if isinstance(given, Mapping):
        return Fixed({str(name): _number(value) for name, value in given.items()}, "given for each name")
    number = _number(given)
    return Fixed({"*": number}, f"{number:g} of the largest magnitude")


def check_precision(precision: Any) -> str:
    """A key of `PRECISIONS`, from its name or from a dtype of any library.

    Raises:
        InputError: it is none.
    """
    name = str(getattr(precision, "name", None) or precision).rpartition(".")[2]
    if name not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    return name


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.floating) or not value >= 0:
        raise InputError(
            f"tolerance must be 'calibrated', 'fixed', a number of at least 0, numbers by name, or a Calibration, "
            f"got {value!r}"
        )
    return float(value)
