"""The report of a comparison: as text, as JSON, and as a plot."""

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
from ..traces.tensor_names import OUTPUTS, canonical_name, computation_order, lookup
from .html import page, row_style
from .plot import Point, draw_errors

_WIDTH = 100
_ALIKE = 0.8  # of difflib: the similarity of a name and its misspelling
_COLUMNS = {"max abs": 8, "max rel": 8, "RMSE": 8, "ratio": 8, "NaN": 4, "inf": 4}  # and their widths in letters
_LISTED = 20  # missing tensors, about those of a layer; of more only the first
_AROUND = 8  # tensors shown before the first divergent one; twice as many from it on


@accepts()
@dataclass(frozen=True)
class Tensor:
    """The comparison of one tensor.

    canonical_name: its name without aliases. passed, and `reason` if it failed. hints: of the first
    divergent tensor: where the errors are, and which mistake would cause them. shape, dtype: of the candidate. layout:
    how it was converted to expected_shape. max_abs: the largest absolute error, at index, where the candidate has `got`
    instead of `expected`; for attention outside of the window, an index of the dense map. max_rel: the largest relative
    error. rmse: root mean square error. gain: how much too large the values are on average, relative. size: root mean
    square of the expected values. error_ratio: the error divided by the expected error of the precision, NaN if not
    measured. nan, inf: how many where finite values are expected. count: the elements compared. judged: False if no
    tolerance applies to it.
    """

    name: str
    canonical_name: str
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
    error_ratio: float = math.nan
    nan: int = 0
    inf: int = 0
    count: int = 0
    judged: bool = True


@accepts()
@dataclass(frozen=True, repr=False)
class Report:
    """The comparison of a candidate with a trace.

    tensors: by name, in order of computation. precision, ignore_padding: as for `compare`. missing: tensors of the
    trace that the candidate does not have. unknown: names of the candidate that the trace does not have. tolerance,
    candidate, expected: descriptions of these.
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
        """Whether all compared tensors are within their tolerance."""
        return self.first_divergence is None

    @property
    def first_divergence(self) -> Tensor | None:
        """The first tensor, in order of computation, that exceeds its tolerance."""
        return next((tensor for tensor in self.tensors.values() if not tensor.passed), None)

    def to_json(self, indent: int | None = None) -> str:
        """The report as JSON, in lines with `indent`; NaN and infinities are strings."""
        first = self.first_divergence
        facts = asdict(self) | {
            "passed": self.passed,
            "first_divergence": None if first is None else first.name,
            "tensors": [asdict(tensor) for tensor in self.tensors.values()],
        }
        return json.dumps(_json_value(facts), indent=indent, allow_nan=False)

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the error of each tensor, layer by layer, into the file `path`.

        Raises:
            InputError: matplotlib is not installed, or the file cannot be written.
        """
        tensors = [tensor for tensor in self.tensors.values() if tensor.count or not tensor.passed]
        measured = any(not math.isnan(tensor.error_ratio) for tensor in tensors)
        points = [
            Point(
                tensor.name,
                (tensor.error_ratio if measured else tensor.max_abs) if tensor.count else math.inf,
                tensor.passed,
            )
            for tensor in tensors
        ]
        first = self.first_divergence
        title = "passed" if first is None else f"diverges first at {first.name}"
        label = f"error / expected error of {self.precision}" if measured else "largest absolute error"
        draw_errors(points, path, title, label)

    def __repr__(self) -> str:
        return f"<Report: {self.headline()}>"

    def __str__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        """The report as a table, for notebooks; the first tensor that diverges is marked."""
        first = self.first_divergence
        before, tensors, between, last = self._shown(False)
        rows = [(_cells(tensor, tensor is first), row_style(tensor.passed, tensor is first)) for tensor in tensors]
        if before:
            rows.insert(0, ([f"... {before} before"], ""))
        if between:
            rows.append(([f"... {between} between; print(report.text(everything=True)) shows all"], ""))
        rows += [(_cells(tensor, tensor is first), row_style(tensor.passed, tensor is first)) for tensor in last]
        header = ["tensor", *_COLUMNS]
        return page("\n".join(self._summary()), header, rows, "\n".join([self._legend(), *self._rest()]))

    def text(self, everything: bool = False, missing: bool = True) -> str:
        """The report as text.

        everything: all tensors, instead of those around the first divergence. missing: also the tensors that the
        candidate does not have.
        """
        lines = (*_wrapped(self._summary(missing)), "", *self._table(everything), *_wrapped(self._rest(missing)))
        return "\n".join(lines)

    def _summary(self, missing: bool = True) -> Iterator[str]:
        first = self.first_divergence
        judged = [tensor for tensor in self.tensors.values() if tensor.judged]
        if first is None:
            yield self.headline()
            nearest = max(judged, key=lambda tensor: -1.0 if math.isnan(tensor.error_ratio) else tensor.error_ratio)
            if not math.isnan(nearest.error_ratio):
                yield f"  the largest error is {_short(nearest.error_ratio)} x the expected one, at {nearest.name}"
        else:
            yield f"DIVERGES first at {first.name}"
            yield from _details(first)
            agreeing = [tensor.name for tensor in judged[: judged.index(first)]]
            yield f"  {self._diverging()}; the last that agrees: {(agreeing or ['none'])[-1]}"
            between = self._between(agreeing[-1] if agreeing else None, first)
            if between and missing:
                listed = ", ".join(between) if len(between) <= _LISTED else shortened(between)
                yield f"  missing in between, perhaps the first to diverge: {listed}"
        if self.unknown:
            names = [name + self._meant(name) for name in self.unknown]
            yield f"  not compared, since the trace has no such tensor: {shortened(names)}"
        yield f"  candidate: {self.candidate}"
        yield f"  expected: {self.expected}"
        yield f"  tolerance: {self.tolerance}{'; without masked tokens' if self.ignore_padding else ''}"

    def headline(self) -> str:
        """The result in one line."""
        if self.first_divergence is not None:
            return f"DIVERGES first at {self.first_divergence.name}, {self._diverging()} in {self.precision}"
        count = _count([tensor for tensor in self.tensors.values() if tensor.judged])
        return f"PASSED: {count} {'tensor agrees' if count == 1 else 'tensors agree'} in {self.precision}"

    def _diverging(self) -> str:
        judged = [tensor for tensor in self.tensors.values() if tensor.judged]
        failed = _count([tensor for tensor in judged if not tensor.passed])
        return f"{failed} of {_count(judged)} tensors diverge"

    def _between(self, agreeing: str | None, first: Tensor) -> list[str]:
        """The missing tensors between the last that agrees and the first that diverges."""
        start = (-1, 0, 0) if agreeing is None else computation_order(self.tensors[agreeing].canonical_name)
        return [
            name for name in self.missing if start < computation_order(name) < computation_order(first.canonical_name)
        ]

    def _meant(self, name: str) -> str:
        """A missing tensor whose name an unknown name is similar to."""
        found = get_close_matches(name, self.missing, 1, _ALIKE) if lookup(canonical_name(name)) is None else []
        return f" (is it {found[0]}?)" if found else ""

    def _shown(self, everything: bool) -> tuple[int, list[Tensor], int, list[Tensor]]:
        """The tensors to show: how many are left out before them, between them and the last one, and that one."""
        tensors = [tensor for tensor in self.tensors.values() if not self._repeats(tensor)]
        start, stop = 0, len(tensors)
        if not everything and len(tensors) > 3 * _AROUND:
            first = self.first_divergence
            middle = 0 if first is None else tensors.index(first)
            start = max(0, min(middle - _AROUND, len(tensors) - 3 * _AROUND))
            stop = start + 3 * _AROUND
        last = tensors[stop:][-1:]
        return start, tensors[start:stop], len(tensors) - stop - len(last), last

    def _table(self, everything: bool) -> Iterator[str]:
        before, tensors, between, last = self._shown(everything)
        yield f"  {'tensor':50} " + " ".join(f"{name:>{width}}" for name, width in _COLUMNS.items())
        if before:
            yield f"  ... {before} before"
        yield from map(_line, tensors)
        if between:
            yield f"  ... {between} between; text(everything=True) shows all"
        yield from map(_line, last)
        yield self._legend()

    def _legend(self) -> str:
        return f"  ratio: the error / the expected rounding error of {self.precision}"

    def _repeats(self, tensor: Tensor) -> bool:
        """Whether the row of the canonical name is the same; outputs are always shown."""
        first = self.tensors.get(tensor.canonical_name, tensor)
        same = (first.passed, first.max_abs, first.rmse) == (tensor.passed, tensor.max_abs, tensor.rmse)
        return first is not tensor and same and tensor.name not in OUTPUTS

    def _rest(self, missing: bool = True) -> Iterator[str]:
        other = sorted({tensor.dtype for tensor in self.tensors.values()} - {self.precision, ""})
        if other:
            yield f"  dtype: some tensors are {', '.join(other)}, not {self.precision}"
        turned = sorted({tensor.layout for tensor in self.tensors.values()} - {""})
        if turned:
            yield f"  layouts: {'; '.join(turned)}"
        if self.missing and missing:
            yield f"  missing: {shortened(self.missing)}"


def shortened(names: Sequence[str]) -> str:
    """The first three names, and the number of the rest."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _count(tensors: list[Tensor]) -> int:
    """The number of tensors, aliases counted once; outputs count beside the tensors that they are equal to."""
    return len({tensor.name if tensor.name in OUTPUTS else tensor.canonical_name for tensor in tensors})


def _details(tensor: Tensor) -> Iterator[str]:
    yield f"  {tensor.reason}"
    if tensor.index or tensor.count:
        ratio = "" if math.isnan(tensor.error_ratio) else f", {_short(tensor.error_ratio)} x the expected error"
        yield f"  worst at {list(tensor.index)}: {got_and_expected(tensor)}{ratio}"
    yield from (f"  {hint}" for hint in tensor.hints)


def got_and_expected(tensor: Tensor) -> str:
    """Both values at the largest error, with enough digits to differ."""
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
    cells = zip(_metrics(tensor), _COLUMNS.values(), strict=True)
    return f"{mark} {name:50} " + " ".join(f"{metric:>{width}}" for metric, width in cells)


def _metrics(tensor: Tensor) -> list[str]:
    """A cell for each of `_COLUMNS`."""
    metrics = (tensor.max_abs, tensor.max_rel, tensor.rmse, tensor.error_ratio)
    return [*map(_short, metrics), str(tensor.nan), str(tensor.inf)]


def _cells(tensor: Tensor, first: bool) -> list[str]:
    """The row of a tensor as cells."""
    name = tensor.name + (" ← first divergence" if first else "")
    return [name, *_metrics(tensor)] if tensor.count else [f"{name}: {tensor.reason}"]


def _short(number: float) -> str:
    if math.isnan(number):
        return "-"
    return f"{number:.1e}" if number != 0 and not 0.01 <= number < 1000 else f"{number:.3g}"


def _json_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
