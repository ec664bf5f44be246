"""The plan of a job, which its manifest holds: what the results depend on, and the rows of each part."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ..errors import InputError
from ..records.columns import BOOLEAN, FLOAT, INTEGER, STRING, Answers, Table
from ..records.parquet import arrow_type, pa
from ..records.record import ERROR
from ..records.sources import display
from .inputs import InputFile, scanned, stated

MANIFEST = "manifest.json"
FILE, ROW = "file", "row"
# The types that values of JSON are fitted to.
_NAMES = {arrow_type(name): name for name in (STRING, INTEGER, FLOAT, BOOLEAN)}


class Shard(NamedTuple):
    """Some rows of a file: from first, counted from 0, up to last; offset: where they begin, of JSON lines."""

    file: InputFile
    first: int
    last: int
    offset: int


@dataclass(frozen=True)
class Plan:
    """What a job is.

    job: what the results depend on beside the inputs: lf_ref's version, task, options, dtype, backend, the fingerprint
    of the model, fields and rows per part. files: the inputs. kept: the Arrow schema of the fields to keep, in base64.
    """

    job: Mapping[str, Any]
    files: tuple[InputFile, ...]
    kept: str

    @cached_property
    def id(self) -> str:
        """A hash of all that the results depend on."""
        content = {**self.job, "inputs": [(file.path, *file.state) for file in self.files]}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @cached_property
    def shards(self) -> list[Shard]:
        """The rows of each part, by its number."""
        step = self.job["rows_per_part"]
        return [
            Shard(file, first, min(first + step, file.rows), file.offsets[index] if file.offsets else 0)
            for file in self.files
            for index, first in enumerate(range(0, file.rows, step))
        ]

    @property
    def rows(self) -> int:
        """The rows of all inputs."""
        return sum(file.rows for file in self.files)

    def table(self, answers: Answers) -> Table:
        """The columns of a part."""
        schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(self.kept)))
        kept = {field.name: _NAMES.get(field.type, field.type) for field in schema}
        return Table({FILE: STRING, ROW: INTEGER, **kept}, answers)

    def to_json(self) -> bytes:
        """The content of the manifest."""
        content = {"job": self.job, "id": self.id, "kept": self.kept, "inputs": [asdict(file) for file in self.files]}
        return (json.dumps(content, indent=1) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes, where: str) -> Plan:
        """The plan that a manifest holds; where: names the manifest in messages.

        Raises:
            InputError: it is not that of a job.
        """
        try:
            found = json.loads(content)
            files = [InputFile(**{**one, "offsets": tuple(one["offsets"])}) for one in found["inputs"]]
            plan = cls(dict(found["job"]), tuple(files), found["kept"])
            if plan.id == found["id"]:
                return plan
        except (ValueError, TypeError, LookupError, AttributeError):
            pass
        raise InputError(f"{where} is not the manifest of a job: give another output")


def planned(job: Mapping[str, Any], files: Sequence[InputFile], required: Sequence[str], answers: Answers) -> Plan:
    """The plan of a job, for which all inputs are looked through.

    job: as in `Plan`; required: the fields that a file must have; answers: the columns of the results.

    Raises:
        InputError: an input cannot be read, lacks a field, or has one to keep in another type than the others.
    """
    taken = {FILE, ROW, ERROR, *answers.types}
    for name in job["keep"]:
        if name in taken:
            raise InputError(
                f"keep= names {name!r}, which is a column of the results; these are {', '.join(sorted(taken))}"
            )
    done: list[InputFile] = []
    types: dict[str, Any] = {}
    for file in files:
        one, own = scanned(file, required, job["keep"], job["rows_per_part"])
        done.append(one)
        for name, type_ in own.items() if one.rows else ():
            before = types.setdefault(name, type_)
            if {before, type_} == {pa.int64(), pa.float64()}:
                types[name] = pa.float64()
            elif before != type_:
                raise InputError(f"{display(file.path)} has {name!r} as {type_}, and files before it as {before}")
    schema = pa.schema([(name, types.get(name, pa.string())) for name in job["keep"]])
    return Plan(job, tuple(done), base64.b64encode(schema.serialize()).decode())


def check_same(plan: Plan, job: Mapping[str, Any], paths: Sequence[str], where: str) -> None:
    """Check that a job is the one of a plan, and that its inputs are as they were.

    Raises:
        InputError: it differs, or an input changed.
    """
    other = [name for name in job if plan.job.get(name) != job[name]]
    if [file.path for file in plan.files] != list(paths):
        other.append("inputs")
    if other:
        raise InputError(
            f"{where} holds another job ({', '.join(other)}: not the same): give its arguments, or another output"
        )
    for file in plan.files:
        if stated(file.path).state != file.state:
            raise InputError(f"{display(file.path)} changed since the job in {where} began: give another output")
