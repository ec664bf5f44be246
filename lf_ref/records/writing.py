"""Results into files, by the ending of the name, one after another and renamed when all are there."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError
from ..files import replacing
from . import strict_json
from .columns import Table, vectors
from .record import ERROR, RESULT, Record

Rows = Iterable[tuple[Record, Any]]
TABLES, ARRAYS = (".csv", ".parquet"), (".npy", ".npz")
LINES = (".jsonl",)


def path_to_write(out: str, endings: Sequence[str]) -> Path:
    """The path of a file to write, checked before the work begins.

    out: the path as given; endings: those that its name may have.

    Raises:
        InputError: it has another ending, is a folder, or lies in none.
    """
    path = Path(out)
    if path.suffix not in endings:
        raise InputError(f"--out must end in {', '.join(endings[:-1])} or {endings[-1]}, got {out}")
    if path.is_dir():
        raise InputError(f"--out {out} is a folder")
    if not path.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {path.parent}")
    return path


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a temporary file beside `path`, and rename it at the end.

    Raises:
        InputError: it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise InputError(f"--out {path} cannot be written: {error.strerror or error}") from error


def write(path: Path, rows: Rows, table: Table, *, alone: bool = False) -> None:
    """Write records with their results into a file.

    path: of the file, whose ending says what it is. rows: records with their results, or the InputError in place of
    one. table: the columns of a table. alone: whether there is one array, to be written as it is.

    Raises:
        InputError: the file cannot be written.
    """
    with writing(path) as temporary, open(temporary, "wb") as file:
        if path.suffix in LINES:
            for record, result in rows:
                file.write(json_line(record, result).encode("utf-8", "backslashreplace") + b"\n")
        elif path.suffix == ".csv":
            _write_csv(file, rows, table)
        elif path.suffix == ".parquet":
            from .parquet import write_parquet

            write_parquet(file, rows, table)
        else:
            from .arrays import write_npy, write_npz

            arrays = (vectors(result) for _, result in rows)
            write_npz(file, arrays) if path.suffix == ".npz" else write_npy(file, arrays, alone)


def json_line(record: Record, result: Any, *, ascii_only: bool = False) -> str:
    """A result as a line of JSON: with the other fields of its input, if it has any, under "result", else alone.

    An error stands under "error", with the other fields, or with the number of the input as its "id".
    """
    if isinstance(result, InputError):
        found: Any = {**record.mark, ERROR: str(result)}
    else:
        found = {**record.rest, RESULT: result} if record.rest else result
    return strict_json.dumps(found, ascii_only=ascii_only)


def _write_csv(file: BinaryIO, rows: Rows, table: Table) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.types)
    for record, result in rows:
        writer.writerow(map(_cell, table.row(record, result).values()))
    text.detach()


def _cell(value: Any) -> str:
    """A text as it is, nothing for None, and anything else as JSON."""
    if isinstance(value, str):
        return value
    text = strict_json.dumps(value)
    found = strict_json.loads(text)
    return found if isinstance(found, str) else "" if found is None else text
