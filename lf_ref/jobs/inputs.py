"""The files that a job reads: how many rows each has, where they begin, and some of its rows."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..records import strict_json
from ..records.columns import types_of
from ..records.parquet import ParquetRows, arrow_type
from ..records.record import Record
from ..records.sources import Lines, decoded, display

PARQUET, LINES = (".parquet",), (".jsonl", ".ndjson")


@dataclass(frozen=True)
class InputFile:
    """A file as it was when the job began.

    path: as it was given. size: in bytes. mtime_ns: when it was changed last. rows: how many it has. offsets: of JSON
    lines, where each part begins, in bytes.
    """

    path: str
    size: int
    mtime_ns: int
    rows: int = 0
    offsets: tuple[int, ...] = ()

    @property
    def state(self) -> tuple[int, int]:
        """What changes when the file does."""
        return self.size, self.mtime_ns


def stated(path: str) -> InputFile:
    """A file with its size and time alone.

    Raises:
        InputError: it cannot be read, or its ending is none that a job reads.
    """
    if Path(path).suffix not in PARQUET + LINES:
        raise InputError(f"{display(path)}: a job reads files that end in {', '.join(PARQUET + LINES)}")
    try:
        found = os.stat(path)
    except OSError as error:
        raise InputError(f"{display(path)} cannot be read: {error.strerror or error}") from error
    return InputFile(path, found.st_size, found.st_mtime_ns)


def scanned(
    file: InputFile, required: Collection[str], keep: Collection[str], rows_per_part: int
) -> tuple[InputFile, dict[str, Any]]:
    """Count the rows of a file; return it with them, and Arrow's types of the fields to keep.

    Raises:
        InputError: it cannot be read, or does not have a required field or one to keep.
    """
    if Path(file.path).suffix in PARQUET:
        table = ParquetRows(file.path, required)
        types = table.columns or {}
        _check_fields(file.path, [*required, *keep], types)
        return _with(file, table.count() or 0), {name: types[name] for name in keep}
    offsets: list[int] = []
    fields: dict[str, None] = {}
    rows, has_objects = 0, False

    def records() -> Iterator[Record]:
        nonlocal rows, has_objects
        for rows, (offset, value) in enumerate(_json_lines(file.path), start=1):
            if (rows - 1) % rows_per_part == 0:
                offsets.append(offset)
            if isinstance(value, Mapping):
                has_objects = True
                fields.update(dict.fromkeys(value))
                yield Record("", rows, None, {name: value[name] for name in keep if value.get(name) is not None})

    types = types_of(records())
    if has_objects:  # other lines are texts, or errors of their own
        _check_fields(file.path, [*required, *keep], fields)
    return _with(file, rows, offsets), {name: arrow_type(type_) for name, type_ in types.items()}


def _with(file: InputFile, rows: int, offsets: Iterable[int] = ()) -> InputFile:
    return InputFile(file.path, file.size, file.mtime_ns, rows, tuple(offsets))


def _check_fields(path: str, wanted: Iterable[str], fields: Collection[str]) -> None:
    for name in wanted:
        if name not in fields:
            raise InputError(f"{display(path)} has no field {name!r}; it has {', '.join(fields) or 'none'}")


def rows_of(file: InputFile, folder: str, first: int, last: int, offset: int, fields: Collection[str]) -> Iterator[Any]:
    """Some rows of a file: a mapping with those of the fields that it has, a text, or the InputError in place of it.

    folder: that relative paths start from. first, last: of the rows, from 0. offset: where the first begins, in bytes.

    Raises:
        InputError: the file changed since the job began, or cannot be read.
    """
    path = os.path.join(folder, file.path)
    if stated(path).state != file.state:
        raise InputError(f"{display(file.path)} changed since the job began")
    if Path(path).suffix in PARQUET:
        yield from ParquetRows(path, fields).read(first, last, list(fields))
        return
    for _, (_, value) in zip(range(last - first), _json_lines(path, offset), strict=False):
        yield {name: value[name] for name in fields if name in value} if isinstance(value, Mapping) else value


def _json_lines(path: str, start: int = 0) -> Iterator[tuple[int, Any]]:
    """The lines from a position on, each with its own, in bytes: an object, a text, or the InputError in its place."""
    for offset, line in Lines(path).raw(start):
        yield offset, _value(line)


def _value(line: bytes | InputError) -> Any:
    if isinstance(line, InputError):
        return line
    try:
        value = strict_json.loads(decoded(line, "the line"))
    except InputError as error:
        return error
    except (ValueError, RecursionError) as error:
        return InputError(f"the line is not JSON: {error}")
    return value if isinstance(value, str | dict) else InputError("the line is neither a JSON object nor a JSON string")
