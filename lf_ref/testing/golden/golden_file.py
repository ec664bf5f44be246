"""Golden files, read: the cases, and their expected tensors and errors in the form that `compare` takes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...hf_names import accepts, accepts_names
from ..cases.case import select_cases
from ..comparison.calibration import Calibration
from ..comparison.layouts import in_trace_layout
from ..comparison.precisions import check_precision
from ..comparison.report import Report
from ..traces.named_tensors import NamedTensors
from ..traces.tensor_names import OUTPUTS, all_names, canonical_name
from ..traces.trace import Trace
from .format import CaseRecord, read_golden
from .samples import full_index, take_sample


@accepts()
class Golden:
    """A golden file, read and checked.

    path: of the file. manifest: of the file, as JSON values. records: the contents for each case, in order.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], records: Sequence[CaseRecord]) -> None:
        self.path, self.manifest = path, manifest
        self.cases = tuple(record.case for record in records)
        self._records = {record.case.name: record for record in records}

    def __repr__(self) -> str:
        return f"<Golden {self.path}: {len(self.cases)} cases>"

    def with_cases(self, cases: str | Sequence[str]) -> Golden:
        """The file with these cases alone, in this order; "standard" for all.

        Raises:
            InputError: there is no such case.
        """
        chosen = select_cases(self.cases, cases)
        return Golden(self.path, self.manifest, [self._records[case.name] for case in chosen])

    def expected(self, case: str) -> Trace:
        """The expected tensors of a case, at the stored indices, as `compare` takes them.

        Raises:
            InputError: there is no such case.
        """
        return self._record(case).trace()

    def calibration(self, case: str, precision: str, ignore_padding: bool = False) -> Calibration:
        """The expected rounding errors of a precision for each tensor of a case, measured on all tokens.

        ignore_padding: the attribute of the calibration.

        Raises:
            InputError: the case, the precision or its errors are missing.
        """
        errors = self._record(case).errors.get(check_precision(precision), {})
        if not errors:
            raise InputError(f"{self.path} has no expected errors of {precision}; pass tolerance='fixed' or a number")
        return Calibration(errors, precision, ignore_padding)

    def sample(self, case: str, candidate: Mapping[str, Any]) -> tuple[NamedTensors, tuple[str, ...]]:
        """The part of a candidate that the file can judge, for the case of that name.

        Returns the candidate's tensors at the stored indices, and the names of those that the file does not hold,
        though the model has them.

        Raises:
            InputError: a tensor of which the file stores a sample fits no layout.
        """
        record, expected = self._record(case), self.expected(case)
        full, known = record.shapes(), {*all_names(record.run.config.num_hidden_layers)} - {*OUTPUTS}
        given = NamedTensors(candidate, type(candidate).__name__)
        changed: dict[str, Any] = {}
        for name in given:
            tensor = record.tensors.get(expected.canonical_name(name))
            if tensor is None and canonical_name(name) in known:
                changed[name] = None
            elif tensor is not None and tensor.values.shape != tensor.shape:
                array = given[name]
                layouts = in_trace_layout(name, array, full)
                if not layouts:
                    raise InputError(f"{name} has shape {array.shape}, expected {tensor.shape}")
                changed[name] = take_sample(layouts[0][1], tensor.indices)
        return given.replaced(changed), tuple(name for name, value in changed.items() if value is None)

    def locate(self, case: str, report: Report) -> Report:
        """The report on the stored elements of a case, with its indices converted to those of the full tensors.

        Raises:
            InputError: there is no such case.
        """
        known = self._record(case).tensors
        tensors = {
            name: replace(tensor, index=full_index(tensor.index, known[tensor.canonical_name].indices))
            if tensor.index
            else tensor
            for name, tensor in report.tensors.items()
        }
        return replace(report, tensors=tensors)

    def _record(self, case: str) -> CaseRecord:
        if case not in self._records:
            raise InputError(f"{self.path} has no case {case!r}; it has {', '.join(self._records)}")
        return self._records[case]


@accepts_names()
def load_golden(path: str | os.PathLike[str]) -> Golden:
    """Read the golden file at `path`; tensors are views of it.

    Raises:
        CheckpointError: the file is damaged, hostile, or not a golden file.
    """
    path = Path(path)
    return Golden(path, *read_golden(path))
