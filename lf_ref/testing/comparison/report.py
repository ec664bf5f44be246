"""What `compare` found, for people, as JSON, and as a plot."""

from __future__ import annotations

import json
import math
import os
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from ...hf_names import accepts
from ..traces.tensor_names import OUTPUTS, order, place_of, primary
from .plot import Point, draw_errors

_WIDTH = 100
_ALIKE = 0.8  # of difflib: how much of two names must be the same for one to be a slip of the other
_AROUND = 8  # tensors shown before the first divergent one, and twice as many from it on


@accepts()
@dataclass(frozen=True)
class Tensor:
    """How one tensor of the candidate compares.

    place: the first name of what `name` stands for. passed, and `reason` where it did not. hints: on the first
    divergent tensor, where the errors are, and what mistake would look like that. shape, dtype: the candidate's.
    layout: what was done to bring it to expected_shape. max_abs: the largest absolute error, at index, where the
    candidate has `got` instead of `expected`; what a dense map sees outside of the window is at an index of that map.
    max_rel: the largest relative error. rmse: root mean square error. gain: how much too large the values are on the
    whole, relative. size: the root mean square of the expected values. units: the error in units of the expected one of
    the precision, NaN where that was not measured. nan, inf: how many where numbers are expected. count: the numbers
    compared. judged: False where no tolerance was given for it.
    """

    name: str
    place: str
    passed: bool
    reason: str = ""
    hints: tuple[str, ...] = ()
    shape: tuple[int, ...] | None = None
    expected_shape: tuple[int, ...] = ()
    dtype: str = ""
    layout: str = ""
    max_abs: float = math.nan
    index: tuple[int, ...] = ()
    got: float = math.nan
    expected: float = math.nan
    max_rel: float = math.nan
    rmse: float = math.nan
    gain: float = math.nan
    size: float = math.nan
    units: float = math.nan
    nan: int = 0
    inf: int = 0
    count: int = 0
    judged: bool = True


@accepts()
@dataclass(frozen=True)
class Report:
    """The judgement of a candidate.

    tensors: by name, in order of computation. precision, ignore_padding: as for `compare`. missing: places of the trace
    that the candidate does not have. unknown: names of the candidate that the trace does not have. tolerance,
    candidate, expected: what they were, in words.
    """

    tensors: dict[str, Tensor]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    precision: str
    tolerance: str
    candidate: str
    expected: str
    ignore_padding: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing that was compared differs by more than it may."""
        return self.first_divergence is None

    @property
    def first_divergence(self) -> Tensor | None:
        """The first tensor, in order of computation, that differs by more than it may."""
        return next((tensor for tensor in self.tensors.values() if not tensor.passed), None)

    def to_json(self, indent: int | None = None) -> str:
        """Everything as JSON, in lines with `indent`; what is no finite number is written as a string."""
        first = self.first_divergence
        facts = asdict(self) | {
            "passed": self.passed,
            "first_divergence": None if first is None else first.name,
            "tensors": [asdict(tensor) for tensor in self.tensors.values()],
        }
        return json.dumps(_plain(facts), indent=indent, allow_nan=False)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the errors over the places, layer by layer, into the file `path`.

        Raises:
            InputError: matplotlib is not installed, or the file cannot be written.
        """
        tensors = [tensor for tensor in self.tensors.values() if tensor.count or not tensor.passed]
        measured = any(not math.isnan(tensor.units) for tensor in tensors)
        points = [
            Point(
                tensor.name, (tensor.units if measured else tensor.max_abs) if tensor.count else math.inf, tensor.passed
            )
            for tensor in tensors
        ]
        first = self.first_divergence
        title = "passed" if first is None else f"diverges first at {first.name}"
        label = f"error / expected error of {self.precision}" if measured else "largest absolute error"
        draw_errors(points, path, title, label)

    def __str__(self) -> str:
        return self.text()

    def text(self, everything: bool = False) -> str:
        """The report for people; everything: all tensors, instead of those around the first divergence."""
        return "\n".join((*_wrapped(self._summary()), "", *self._table(everything), *_wrapped(self._rest())))

    def _summary(self) -> Iterator[str]:
        first = self.first_divergence
        judged = [tensor for tensor in self.tensors.values() if tensor.judged]
        if first is None:
            count = _places(judged)
            yield f"PASSED: {count} {'tensor agrees' if count == 1 else 'tensors agree'} in {self.precision}"
            nearest = max(judged, key=lambda tensor: -1.0 if math.isnan(tensor.units) else tensor.units)
            if not math.isnan(nearest.units):
                yield f"  the largest error is {_short(nearest.units)} x the expected one, at {nearest.name}"
        else:
            failed = _places([tensor for tensor in judged if not tensor.passed])
            yield f"DIVERGES first at {first.name}"
            yield from _details(first)
            agreeing = [tensor.name for tensor in judged[: judged.index(first)]]
            yield f"  {failed} of {_places(judged)} tensors diverge; the last that agrees: {(agreeing or ['none'])[-1]}"
            between = self._between(agreeing[-1] if agreeing else None, first)
            if between:
                yield f"  not offered in between, so that it may be there: {', '.join(between)}"
        if self.unknown:
            names = [name + self._meant(name) for name in self.unknown]
            yield f"  not compared, as the trace has no such name: {shortened(names)}"
        yield f"  candidate: {self.candidate}"
        yield f"  expected: {self.expected}"
        yield f"  tolerance: {self.tolerance}{'; masked tokens left out' if self.ignore_padding else ''}"

    def _between(self, agreeing: str | None, first: Tensor) -> list[str]:
        """The places before the first divergence, and behind what agrees, that the candidate does not have."""
        start = (-1, 0, 0) if agreeing is None else order(self.tensors[agreeing].place)
        return [name for name in self.missing if start < order(name) < order(first.place)]

    def _meant(self, name: str) -> str:
        """What a name that no place bears may be a slip of: a place that is missing."""
        found = get_close_matches(name, self.missing, 1, _ALIKE) if place_of(primary(name)) is None else []
        return f" (is it {found[0]}?)" if found else ""

    def _table(self, everything: bool) -> Iterator[str]:
        tensors = [tensor for tensor in self.tensors.values() if not self._repeats(tensor)]
        start, stop = 0, len(tensors)
        if not everything and len(tensors) > 3 * _AROUND:
            first = self.first_divergence
            middle = 0 if first is None else tensors.index(first)
            start = max(0, min(middle - _AROUND, len(tensors) - 3 * _AROUND))
            stop = start + 3 * _AROUND
        yield f"  {'place':50} {'max abs':>8} {'max rel':>8} {'RMSE':>8} {'units':>8} {'NaN':>4} {'inf':>4}"
        if start:
            yield f"  ... {start} before"
        yield from map(_line, tensors[start:stop])
        if stop + 1 < len(tensors):
            yield f"  ... {len(tensors) - stop - 1} between; text(everything=True) shows all"
        if stop < len(tensors):
            yield _line(tensors[-1])
        yield f"  units: the error over the one to expect of {self.precision}"

    def _repeats(self, tensor: Tensor) -> bool:
        """Whether another name of the same place says the same already; outputs are shown all the same."""
        first = self.tensors.get(tensor.place, tensor)
        same = (first.passed, first.max_abs, first.rmse) == (tensor.passed, tensor.max_abs, tensor.rmse)
        return first is not tensor and same and tensor.name not in OUTPUTS

    def _rest(self) -> Iterator[str]:
        other = sorted({tensor.dtype for tensor in self.tensors.values()} - {self.precision, ""})
        if other:
            yield f"  dtype: some tensors are {', '.join(other)}, not {self.precision}"
        turned = sorted({tensor.layout for tensor in self.tensors.values()} - {""})
        if turned:
            yield f"  layouts: {'; '.join(turned)}"
        if self.missing:
            yield f"  not offered: {shortened(self.missing)}"


def shortened(names: Sequence[str]) -> str:
    """The first three names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _places(tensors: list[Tensor]) -> int:
    """How many tensors there are, those under several names counted once; outputs count beside their places."""
    return len({tensor.name if tensor.name in OUTPUTS else tensor.place for tensor in tensors})


def _details(tensor: Tensor) -> Iterator[str]:
    yield f"  {tensor.reason}"
    if tensor.index or tensor.count:
        units = "" if math.isnan(tensor.units) else f", {_short(tensor.units)} x the expected error"
        yield f"  worst at {list(tensor.index)}: {got_and_expected(tensor)}{units}"
    yield from (f"  {hint}" for hint in tensor.hints)


def got_and_expected(tensor: Tensor) -> str:
    """Both numbers at the worst place, with the digits that tell them apart."""
    digits = next((d for d in (6, 9) if f"{tensor.got:.{d}g}" != f"{tensor.expected:.{d}g}"), 17)
    return f"got {tensor.got:.{digits}g}, expected {tensor.expected:.{digits}g}"


def _wrapped(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        indent = "  " * line.startswith(" ")
        yield from textwrap.wrap(line.strip(), _WIDTH, initial_indent=indent, subsequent_indent="    ")


def _line(tensor: Tensor) -> str:
    mark = " " if tensor.passed else "!"
    name = tensor.name if len(tensor.name) <= 50 else "..." + tensor.name[-47:]
    if not tensor.count:
        return f"{mark} {name:50} {tensor.reason}"
    numbers = (tensor.max_abs, tensor.max_rel, tensor.rmse, tensor.units)
    cells = " ".join(f"{_short(number):>8}" for number in numbers)
    return f"{mark} {name:50} {cells} {tensor.nan:4} {tensor.inf:4}"


def _short(number: float) -> str:
    if math.isnan(number):
        return "-"
    return f"{number:.1e}" if number != 0 and not 0.01 <= number < 1000 else f"{number:.3g}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
