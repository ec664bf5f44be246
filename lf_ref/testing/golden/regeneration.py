"""Golden files that several tests share: each test adds its cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import InputError, LfRefError
from ..cases.standard_cases import standard_cases
from . import creation
from .golden_file import Golden, load_golden

_ALL = "standard"


@dataclass(frozen=True)
class Written:
    """A golden file that this run has written: for these cases, and with these arguments of `make_golden`."""

    golden: Golden
    cases: frozenset[str]
    arguments: dict[str, Any]

    def __str__(self) -> str:
        """The contents in words."""
        count, size = len(self.golden.cases), self.golden.path.stat().st_size
        return f"{count} case{'s' * (count != 1)}, {size / 1e6:.1f} MB"


def regenerate(path: Path, cases: str | Sequence[str], written: dict[Path, Written], **arguments: Any) -> None:
    """Write a golden file with some cases, and with those of other tests: of this run, and in the file that is there.

    cases, arguments: as for `make_golden`. written: the files of this run, by path; this one is added.

    Raises:
        InputError: as for `make_golden`, or another test needs the file with other arguments.
    """
    before = written.get(path)
    if before is None:
        known = _cases_of(path, arguments["model"])
    elif before.arguments != arguments:
        raise InputError(f"{path.name} is wanted with {before.arguments} by one test, and with {arguments} by another")
    else:
        known = before.cases
    wanted = known | ({cases} if isinstance(cases, str) else set(cases))
    if before is not None and (wanted == known or _ALL in known):
        return
    order = [case.name for case in standard_cases()]
    some = [*(name for name in order if name in wanted), *sorted(wanted.difference(order))]
    path.parent.mkdir(parents=True, exist_ok=True)
    creation.make_golden(path, [_ALL] if _ALL in wanted else some, **arguments)
    written[path] = Written(load_golden(path), wanted, arguments)


def _cases_of(path: Path, model: Any) -> frozenset[str]:
    """The standard cases of a golden file of this model; none if there is no such file."""
    try:
        golden = load_golden(path)
    except LfRefError:
        return frozenset()
    if golden.manifest.get("checkpoint", {}).get("name") != (None if model is None else str(model)):
        return frozenset()
    return frozenset(case.name for case in golden.cases) & {case.name for case in standard_cases()}
