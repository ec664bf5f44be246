"""A golden file that was read: what each case expects, in the form that a comparison takes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...hf_names import accepts, accepts_names
from ..comparison.calibration import Calibration
from ..comparison.precisions import check_precision
from ..comparison.report import Report
from ..traces.interchange import to_host
from ..traces.tensor_names import bare
from ..traces.trace import Trace
from .format import Record, read_golden
from .samples import full_index, take


@accepts()
class Golden:
    """A golden file that was read and checked.

    path: where it is. manifest: what it says about itself, as JSON values. records: its cases, with what is expected of
    them. cases: in order.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], records: Sequence[Record]) -> None:
        self.path, self.manifest = path, manifest
        self.cases = tuple(record.case for record in records)
        self._records = {record.case.name: record for record in records}

    def __repr__(self) -> str:
        return f"<Golden {self.path}: {len(self.cases)} cases>"

    def expected(self, case: str) -> Trace:
        """The expected tensors of a case, at the kept places, as `compare` takes them.

        Raises:
            InputError: there is no such case.
        """
        return self._record(case).trace()

    def calibration(self, case: str, precision: str, ignore_padding: bool = False) -> Calibration:
        """What error a precision must be expected to make at each place of a case, as it was measured on all tokens.

        ignore_padding: what the calibration is to say of itself.

        Raises:
            InputError: there is no such case, precision, or measurement.
        """
        errors = self._record(case).errors.get(check_precision(precision), {})
        if not errors:
            raise InputError(f"{self.path} has no expected errors of {precision}; pass tolerance='fixed' or a number")
        return Calibration(errors, precision, ignore_padding)

    def sample(self, case: str, candidate: Mapping[str, Any]) -> dict[str, Any]:
        """The kept places of the candidate's tensors, for the case of that name.

        Raises:
            InputError: one of which only some places are kept has another shape.
        """
        record, expected = self._record(case), self.expected(case)
        found = dict(candidate)
        for name, value in candidate.items():
            tensor = record.tensors.get(expected.place(bare(name)))
            if tensor is not None and tensor.values.shape != tensor.shape:
                array, _ = to_host(name, value)
                if array.shape != tensor.shape:
                    raise InputError(f"{name} has shape {array.shape}, expected {tensor.shape}")
                found[name] = take(array, tensor.kept)
        return found

    def locate(self, case: str, report: Report) -> Report:
        """A report on kept places of a case, with the indices of the full tensors in it.

        Raises:
            InputError: there is no such case.
        """
        known = self._record(case).tensors
        tensors = {
            name: replace(tensor, index=full_index(tensor.index, known[tensor.place].kept)) if tensor.index else tensor
            for name, tensor in report.tensors.items()
        }
        return replace(report, tensors=tensors)

    def _record(self, case: str) -> Record:
        if case not in self._records:
            raise InputError(f"{self.path} has no case {case!r}; it has {', '.join(self._records)}")
        return self._records[case]


@accepts_names()
def load_golden(path: str | os.PathLike[str]) -> Golden:
    """Read the golden file at `path`; tensors are views of it.

    Raises:
        CheckpointError: it is damaged, hostile, or no golden file.
    """
    path = Path(path)
    return Golden(path, *read_golden(path))
