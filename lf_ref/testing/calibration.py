"""What error a precision must be expected to make at each place of a forward: measured, not guessed.

The definition runs on the same inputs once more, in that precision, and is judged by float64. Two programs that
compute the same in the same precision do not make the same errors, but errors of the same size: that size is the unit
in which `compare` tells the error of a candidate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..hf_names import accepts, accepts_names
from ..model.base import LongformerPreTrainedModel
from ..reference.ops import Array
from .names import BAND, COLUMNS
from .placing import Index, Placer, outputs_of
from .rounding import PRECISIONS, Precision, Rounder, check_precision
from .run import counted, layout_of
from .tracing import Trace, trace


@dataclass(frozen=True)
class ExpectedError:
    """Of one tensor: what error to expect, and how much of it is luck.

    rms: the root mean square of the error. largest: its largest magnitude. numbers: how many independent numbers carry
    the error, (sum e^2)^2 / sum e^4: of a peaked softmax or a saturated tanh far fewer than there are. gained: the
    root mean square of the part of the error that is in proportion to the values, negative where it makes them
    smaller. wobble: its standard deviation, were the errors independent.
    """

    rms: float
    largest: float
    numbers: float
    gained: float
    wobble: float


@accepts()
class Calibration(Mapping[str, ExpectedError]):
    """The expected error of each place and output of a trace, by its first name.

    errors: by the first name of a place. precision: a key of `PRECISIONS`. ignore_padding: whether masked tokens were
    left out.
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
        """As JSON values, to be kept with expected outputs; `from_dict` takes them."""
        errors = {name: asdict(error) for name, error in self._errors.items()}
        return {"precision": self.precision, "ignore_padding": self.ignore_padding, "errors": errors}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Calibration:
        """A calibration from the fields that `to_dict` gave."""
        errors = {name: ExpectedError(**error) for name, error in fields["errors"].items()}
        return cls(errors, fields["precision"], fields["ignore_padding"])


@accepts_names()
def calibrate(expected: Trace, precision: str, ignore_padding: bool = False) -> Calibration:
    """Measure the expected errors of a precision on the model and inputs of a trace.

    expected: the trace; precision: a key of `PRECISIONS`; ignore_padding: leave out tokens that the mask hides.

    The errors of float64 are those of float32 scaled by the size of one rounding: there is nothing wider to judge
    float64 by. Where the trace itself is in the precision asked for, its own errors come on top.

    Raises:
        InputError: no such precision, or no trace. ValueError: the trace does not know its model.
    """
    precision = check_precision(precision)
    if not isinstance(expected, Trace):
        raise InputError(f"expected must be what trace() gave, got {type(expected).__name__}")
    if expected.model is None:
        raise ValueError("the trace does not know its model")
    asked = PRECISIONS[precision]
    run = PRECISIONS["float32"] if precision == "float64" else asked
    truth = expected
    if expected.run.dtype != "float64":
        given: dict[str, Any] = expected.run.inputs
        truth = trace(in_dtype(expected.model, "float64"), names=list(expected.places), **given)
    meter = _Meter(truth, expected, ignore_padding)
    imitation: Any = in_dtype(expected.model, "float32", run.round).observed(_Rounding(meter, run.round), "numpy")
    inputs = {
        name: run.round(value.astype(np.float32)) if name == "inputs_embeds" else value
        for name, value in expected.run.inputs.items()
    }
    with np.errstate(all="ignore"):  # what overflows is a result like any other
        for name, value in outputs_of(imitation(**inputs, return_dict=True)).items():
            if name in expected.run.outputs and expected.place(name) == name:
                meter.put(name, value.shape, (), value)
    scale = asked.unit / run.unit * (math.sqrt(2.0) if precision == expected.run.dtype else 1.0)
    errors = {name: meter.sums[expected.place(name)].error(scale, asked) for name in expected.places}
    return Calibration(errors, precision, ignore_padding)


def in_dtype(model: LongformerPreTrainedModel, dtype: str, rounder: Rounder | None = None) -> LongformerPreTrainedModel:
    """The same model by the definition in another dtype, its weights rounded to a precision."""
    weights: dict[str, Array] = {}
    for name, value in model.weights.items():
        array = np.asarray(value).astype(dtype, copy=False)
        weights[name] = array if rounder is None else rounder(array)
    return type(model)(model.config, weights, dtype=dtype, backend="numpy", num_threads=None)


class _Rounding:
    """Rounds what it is told and passes it on, to an observer and to the rest of the forward."""

    def __init__(self, observer: Placer, rounder: Rounder) -> None:
        self._observer, self._round = observer, rounder

    def begin(self, inputs: Any) -> None:
        self._observer.begin(inputs)

    def __call__(self, name: str, array: Array, row: int | None = None, /) -> Array:
        return self._observer(name, self._round(array), row)


@dataclass
class _Sums:
    """Over the errors e and the true values x of one tensor."""

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
        """Some more of them; 0 where they do not count. groups: sums of e^2 over errors that are not independent."""
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
        """The error times a factor, but never less than that of rounding the values once.

        That is what a table of vectors is read with, and no luck with a few numbers makes a sum more exact.
        """
        count = max(1.0, self.count)
        most = max(1.0, count / 3)  # what (sum e^2)^2 / sum e^4 is for normally distributed errors
        rms, size = scale * math.sqrt(self.e2 / count), math.sqrt(self.x2 / count)
        floor, largest = _MEAN_ROUNDING * precision.unit * size, max(scale * self.largest, precision.unit * self.top)
        if rms <= floor:
            rms, wobble = floor, 0.0
            numbers = min(most, self.x2**2 / self.x4) if self.x4 else most
        else:
            wobble = scale * math.sqrt(self.e2x2) / self.x2 * size if self.x2 else 0.0
            numbers = min(most, self.e2**2 / self.e4, self.e2**2 / self.groups4 if self.groups4 else most)
        gained = scale * self.ex / self.x2 * size if self.x2 else 0.0
        return ExpectedError(rms, largest, numbers, gained, max(wobble, rms / math.sqrt(numbers)))


class _Meter(Placer):
    """Adds up the errors of a run against the truth, piece by piece; nothing is kept."""

    def __init__(self, truth: Trace, expected: Trace, ignore_padding: bool) -> None:
        known = {expected.place(name) for name in expected.places}
        super().__init__(expected.run.config, known.__contains__)
        self._truth, self._run, self._ignore_padding = truth, expected.run, ignore_padding
        self.sums = {name: _Sums() for name in known}

    def put(self, name: str, shape: tuple[int, ...], index: Index, piece: Array) -> None:
        """As in `Placer`."""
        mask = np.broadcast_to(counted(name, len(shape), self._run, self._ignore_padding), shape)[index]
        wanted = np.asarray(self._truth[name][index], np.float64)
        use = mask & np.isfinite(wanted) & np.isfinite(piece)
        wanted = np.where(use, wanted, 0.0)
        error = np.where(use, piece, 0.0) - wanted
        self.sums[name].add(error, wanted, int(use.sum()), self._groups(name, np.square(error)))

    def _groups(self, name: str, squares: Array) -> list[Array]:
        """Of a map of attention: the key of a global token is in the scores of all queries, each query in its row.

        squares: [S, columns], of one head.
        """
        layout = layout_of(name, self._run)
        if layout not in (BAND, COLUMNS):
            return []
        slots = int(self._run.is_global.sum(axis=1).max())
        return [squares[:, :slots].sum(axis=0), squares[:, slots:].sum(axis=1)]


# The root mean square of one rounding, relative to its largest: it is spread evenly over -1 ... 1 half steps, and the
# step is the same for all numbers between two powers of two.
_MEAN_ROUNDING = 0.4
