"""Calibration: the rounding error to expect of a precision, measured for each tensor of a forward pass.

The reference implementation runs on the same inputs again, in the precision, and is compared with float64. Two programs
that compute the same function in the same precision make different rounding errors, but of the same size: `compare`
reports errors relative to that size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ...errors import InputError
from ...hf_names import accepts, accepts_names
from ...model.base import LongformerPreTrainedModel
from ...reference.ops import Array
from ..traces.recorder import Index, Recorder, output_arrays
from ..traces.tensor_names import BAND, COLUMNS
from ..traces.trace import Trace, trace
from ..traces.valid_elements import layout_of, valid_elements
from .precisions import PRECISIONS, Precision, Rounder, check_precision


@dataclass(frozen=True)
class ExpectedError:
    """The expected rounding error of one tensor, and its spread.

    rms: root mean square of the error. largest: its largest magnitude. effective_count: the effective number of
    independent errors, (sum e^2)^2 / sum e^4; for a peaked softmax or a saturated tanh far smaller than the number of
    elements. proportional: root mean square of the part of the error that is proportional to the values, negative where
    it shrinks them. proportional_std: the standard deviation of `proportional` for independent errors.
    """

    rms: float
    largest: float
    effective_count: float
    proportional: float
    proportional_std: float


@accepts()
class Calibration(Mapping[str, ExpectedError]):
    """The expected error of each tensor of a trace, by its canonical name.

    errors: by canonical name. precision: "float64", "float32", "bfloat16" or "float16". ignore_padding: whether masked
    tokens were left out.
    """

    def __init__(self, errors: Mapping[str, ExpectedError], precision: str, ignore_padding: bool) -> None:
        self._errors = dict(errors)
        self.precision, self.ignore_padding = precision, ignore_padding

    def __getitem__(self, name: str) -> ExpectedError:
        return self._errors[name]

    def __iter__(self) -> Any:
        return iter(self._errors)

    def __len__(self) -> int:
        return len(self._errors)

    def to_dict(self) -> dict[str, Any]:
        """The calibration as JSON values, to store it beside expected outputs; `from_dict` reads them."""
        errors = {name: asdict(error) for name, error in self._errors.items()}
        return {"precision": self.precision, "ignore_padding": self.ignore_padding, "errors": errors}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Calibration:
        """The calibration whose `to_dict` returned these fields."""
        errors = {name: ExpectedError(**error) for name, error in fields["errors"].items()}
        return cls(errors, fields["precision"], fields["ignore_padding"])


@accepts_names()
def calibrate(expected: Trace, precision: str, ignore_padding: bool = False) -> Calibration:
    """Measure the expected errors of a precision on the model and inputs of a trace.

    expected: the trace; precision: "float64", "float32", "bfloat16" or "float16"; ignore_padding: leave out tokens that
    the attention mask hides.

    The errors of float64 are those of float32, scaled by the ratio of the unit roundoffs, for want of a wider dtype to
    compare it with. If the trace itself has the precision, its own errors are added.

    Raises:
        InputError: the precision is unknown, or expected is no trace. ValueError: the trace has no model.
    """
    precision = check_precision(precision)
    if not isinstance(expected, Trace):
        raise InputError(f"expected must be a trace, as trace() returns it, got {type(expected).__name__}")
    if expected.model is None:
        raise ValueError("the trace has no model: load it with Trace.load(path, model=...)")
    target = PRECISIONS[precision]
    simulated = PRECISIONS["float32"] if precision == "float64" else target
    truth = expected
    if expected.run.dtype != "float64":
        given: dict[str, Any] = expected.run.inputs
        truth = trace(in_dtype(expected.model, "float64"), names=list(expected.canonical_names), **given)
    recorder = _ErrorRecorder(truth, expected, ignore_padding)
    rounder = simulated.round
    model: Any = in_dtype(expected.model, "float32", rounder).observed(_RoundingObserver(recorder, rounder), "numpy")
    inputs = {
        name: rounder(value.astype(np.float32)) if name == "inputs_embeds" else value
        for name, value in expected.run.inputs.items()
    }
    with np.errstate(all="ignore"):  # an overflow is a result like any other
        for name, value in output_arrays(model(**inputs, return_dict=True)).items():
            if name in expected.run.outputs and expected.canonical_name(name) == name:
                recorder.put(name, value.shape, (), value)
    both = math.sqrt(2.0) if precision == expected.run.dtype else 1.0  # the candidate's errors and those of the trace
    scale = both * target.unit_roundoff / simulated.unit_roundoff
    errors = {
        name: recorder.sums[expected.canonical_name(name)].error(scale, target) for name in expected.canonical_names
    }
    return Calibration(errors, precision, ignore_padding)


def scaled(calibration: Calibration, factor: float) -> Calibration:
    """The calibration with all errors times a factor; their effective counts do not change."""
    sizes = ("rms", "largest", "proportional", "proportional_std")
    errors = {
        name: replace(error, **{field: factor * getattr(error, field) for field in sizes})
        for name, error in calibration.items()
    }
    return Calibration(errors, calibration.precision, calibration.ignore_padding)


def in_dtype(model: LongformerPreTrainedModel, dtype: str, rounder: Rounder | None = None) -> LongformerPreTrainedModel:
    """The same model in another dtype by the reference implementation, its weights rounded to a precision."""
    weights: dict[str, Array] = {}
    for name, value in model.weights.items():
        array = np.asarray(value).astype(dtype, copy=False)
        weights[name] = array if rounder is None else rounder(array)
    return type(model)(model.config, weights, dtype=dtype, backend="numpy", num_threads=None)


class _RoundingObserver:
    """Rounds each tensor, for an observer and for the rest of the forward pass."""

    def __init__(self, observer: Recorder, rounder: Rounder) -> None:
        self._observer, self._round = observer, rounder

    def begin(self, inputs: Any) -> None:
        self._observer.begin(inputs)

    def __call__(self, name: str, array: Array, row: int | None = None, /) -> Array:
        return self._observer(name, self._round(array), row)


@dataclass
class _ErrorSums:
    """Sums over the errors e and the true values x of one tensor."""

    count: float = 0.0
    e2: float = 0.0
    e4: float = 0.0
    x2: float = 0.0
    x4: float = 0.0
    ex: float = 0.0
    e2x2: float = 0.0
    groups4: float = 0.0
    largest: float = 0.0
    top: float = 0.0

    def add(self, e: Array, x: Array, count: int, groups: list[Array]) -> None:
        """Add `count` elements; e and x are 0 elsewhere. groups: sums of e^2 over errors that are not independent."""
        square, size = np.square(e), np.square(x)
        self.count += count
        self.e2 += float(square.sum())
        self.groups4 += sum(float(np.square(group).sum()) for group in groups)
        self.e4 += float(np.square(square).sum())
        self.x2 += float(size.sum())
        self.x4 += float(np.square(size).sum())
        self.ex += float((e * x).sum())
        self.e2x2 += float((square * size).sum())
        self.largest = max(self.largest, float(np.abs(e).max(initial=0.0)))
        self.top = max(self.top, float(np.abs(x).max(initial=0.0)))

    def error(self, scale: float, precision: Precision) -> ExpectedError:
        """The expected error times a factor, but at least the error of rounding the values once.

        An embedding lookup has exactly that error, and a sum over a few lucky elements is not more exact.
        """
        count = max(1.0, self.count)
        most = max(1.0, count / 3)  # (sum e^2)^2 / sum e^4 of normally distributed errors
        rms, size = scale * math.sqrt(self.e2 / count), math.sqrt(self.x2 / count)
        floor, largest = (
            _RMS_OF_ROUNDING * precision.unit_roundoff * size,
            max(scale * self.largest, precision.unit_roundoff * self.top),
        )
        if rms <= floor:
            rms, proportional_std = floor, 0.0
            effective_count = min(most, self.x2**2 / self.x4) if self.x4 else most
        else:
            proportional_std = scale * math.sqrt(self.e2x2) / self.x2 * size if self.x2 else 0.0
            effective_count = min(most, self.e2**2 / self.e4, self.e2**2 / self.groups4 if self.groups4 else most)
        proportional = scale * self.ex / self.x2 * size if self.x2 else 0.0
        proportional_std = max(proportional_std, rms / math.sqrt(effective_count))
        return ExpectedError(rms, largest, effective_count, proportional, proportional_std)


class _ErrorRecorder(Recorder):
    """Sums the errors of a forward pass against the true values, piece by piece, without storing tensors."""

    def __init__(self, truth: Trace, expected: Trace, ignore_padding: bool) -> None:
        known = {expected.canonical_name(name) for name in expected.canonical_names}
        super().__init__(expected.run.config, known.__contains__)
        self._truth, self._run, self._ignore_padding = truth, expected.run, ignore_padding
        self.sums = {name: _ErrorSums() for name in known}

    def put(self, name: str, shape: tuple[int, ...], index: Index, piece: Array) -> None:
        """As in `Recorder`."""
        mask = np.broadcast_to(valid_elements(name, len(shape), self._run, self._ignore_padding), shape)[index]
        wanted = np.asarray(self._truth[name][index], np.float64)
        use = mask & np.isfinite(wanted) & np.isfinite(piece)
        wanted = np.where(use, wanted, 0.0)
        error = np.where(use, piece, 0.0) - wanted
        self.sums[name].add(error, wanted, int(use.sum()), self._groups(name, np.square(error)))

    def _groups(self, name: str, squares: Array) -> list[Array]:
        """Sums of an attention map: the key of a global token is in the scores of all queries, a query in its row.

        squares: [S, columns], of one head.
        """
        layout = layout_of(name, self._run)
        if layout not in (BAND, COLUMNS):
            return []
        slots = int(self._run.is_global.sum(axis=1).max())
        return [squares[:, :slots].sum(axis=0), squares[:, slots:].sum(axis=1)]


# The root mean square error of one rounding, relative to the largest: errors are uniform over -1 ... 1 half steps, and
# the step is the same for all values between two powers of two.
_RMS_OF_ROUNDING = 0.4
