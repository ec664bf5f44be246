"""What runs in a worker: a shard, which is a pure function of the plan and the inputs, becomes a part."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..batches.task import Task
from ..errors import InputError, JobError
from ..records import strict_json
from ..records.answers import answers
from ..records.parquet import pa, pq, record_batches, schema_of
from ..records.record import ERROR, Fields, Record
from .fingerprint import fingerprint
from .inputs import rows_of
from .output import Output
from .parts import METADATA, Counts, errors_name, part_name
from .plan import FILE, ROW, Plan


@dataclass(frozen=True)
class Setting:
    """What a worker has to know; it can be pickled, and holds no weights.

    plan: of the job. task: what to load. fields: of the inputs. output: the folder, or URI, of the parts. folder: that
    relative paths of inputs start from.
    """

    plan: Plan
    task: Task
    fields: Fields
    output: str
    folder: str


class Worker:
    """Turns shards into parts: the same one for the same shard, whoever does it and however often.

    setting: of the job. num_threads: of the model.

    Raises:
        InputError, CheckpointError, ConfigError: the model cannot be loaded, or is not the one of the plan.
    """

    def __init__(self, setting: Setting, num_threads: int | None) -> None:
        self.setting = setting
        self.output = Output(setting.output)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the driver has shown them
            self.answering = setting.task.load(num_threads)
        if fingerprint(self.answering.pipe) != setting.plan.job["model"]:
            raise InputError(f"the model {setting.task.model} is not the one that the job began with")
        self.answering.try_out()

    def __call__(self, number: int) -> str | None:
        """Write a part, if it is not there yet. Returns None, or why it cannot be made.

        Raises:
            JobError: the output cannot be read or written.
        """
        try:
            if not self.output.has(part_name(number)):
                self._write(number)
        except JobError:
            raise
        except Exception as error:  # one part must not end the job
            return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        return None

    def _write(self, number: int) -> None:
        plan, pipe = self.setting.plan, self.answering.pipe
        errors: list[bytes] = []
        before = pipe.tokens_run

        def rows() -> Iterator[tuple[Record, Any]]:
            for record, result in answers(self.answering.stream, self._records(number), "record"):
                if isinstance(result, InputError):
                    line = strict_json.dumps({**record.rest, ERROR: str(result)})
                    errors.append(line.encode("utf-8", "backslashreplace") + b"\n")
                else:
                    yield record, result

        table = plan.table(self.answering.answers)
        schema = schema_of(table)
        part = pa.Table.from_batches([*record_batches(rows(), table, schema)], schema)
        said = {"job": plan.id, "part": number, **Counts(len(part), len(errors), pipe.tokens_run - before)._asdict()}
        if errors:  # before the part: where that is, all is there
            self.output.write(errors_name(number), b"".join(errors))
        with self.output.writing(part_name(number)) as path:
            pq.write_table(part.replace_schema_metadata({METADATA: json.dumps(said)}), path)

    def _records(self, number: int) -> Iterator[Record]:
        """The inputs of a shard, each with the columns that its row of the part begins with."""
        setting = self.setting
        file, first, last, offset = setting.plan.shards[number]
        keep = setting.plan.job["keep"]
        names = setting.fields.names.values()
        wanted = [*dict.fromkeys([*names, *keep])]
        for row, value in enumerate(rows_of(file, setting.folder, first, last, offset, wanted), start=first):
            has_fields = isinstance(value, dict)
            given = {name: value[name] for name in names if name in value} if has_fields else value
            record = setting.fields.record(f"row {row} of {file.path}", row, given)
            kept = {name: value.get(name) if has_fields else None for name in keep}
            yield Record(record.name, row, record.given, {FILE: file.path, ROW: row, **kept})
