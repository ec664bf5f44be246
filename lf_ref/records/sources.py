"""Sources of inputs: the lines of a file, files, and the rows of a CSV file, all read as they are used."""

from __future__ import annotations

import csv
import glob
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import IO, Any, BinaryIO

from ..errors import InputError
from . import strict_json
from .record import ID

# The longest line, and the longest value of a CSV file, in bytes: a file without line ends must not fill the memory.
LONGEST = 1 << 26


class Source:
    """Inputs one after another, each a name for messages, and a text, a mapping, or the InputError in place of either.

    A mapping has an InputError in place of a value that could not be read.

    unit: what there is many of. columns: the types of the fields that each input has, if they are known beforehand.
    """

    unit: str
    columns: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        raise NotImplementedError

    def count(self) -> int | None:
        """How many inputs there are, or None if only reading them tells."""
        return None

    def kept(self) -> AbstractContextManager[Any]:
        """A context in which the source can be read more than once."""
        return nullcontext()


class Text(Source):
    """One text, which stands on the command line or is a whole file."""

    unit = "texts"
    columns: dict[str, Any] | None = {}  # noqa: RUF012 - never changed

    def __init__(self, text: str) -> None:
        self.text = text

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        yield "the text", self.text


class Lines(Source):
    """The lines of a file: a JSON object has named fields, a JSON string is a text, any other line is the text itself.

    path: of the file, or "-" for standard input.
    """

    unit = "lines"

    def __init__(self, path: str) -> None:
        if path != "-" and not os.path.exists(path):
            with opened(path):  # reports why; a pipe must not be opened twice
                pass
        self.path = path
        self._copy: IO[bytes] | None = None
        self._warned = False

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        with self._opened() as file:
            for number, line in enumerate(_lines(file), start=1):
                name = f"line {number} of {display(self.path)}"
                yield name, self._value(line, name)

    def count(self) -> int | None:
        """The number of lines; None for standard input and pipes, which can be read only once."""
        if self._copy is None and not os.path.isfile(self.path):
            return None
        with self._opened() as file:
            return sum(1 for _ in _lines(file))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A context in which standard input, or a pipe, is copied into a temporary file."""
        if os.path.isfile(self.path):
            yield
            return
        with tempfile.TemporaryFile() as copy:
            try:
                copy.writelines(self._pieces())
                copy.flush()
            except OSError as error:
                where = f"the copy of {display(self.path)} in {tempfile.gettempdir()}"
                raise InputError(f"{where} cannot be written: {error.strerror or error}") from error
            self._copy = copy
            yield

    def _pieces(self) -> Iterator[bytes]:
        with self._opened() as file:
            while piece := file.read(1 << 20):
                yield piece

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO | IO[bytes]]:
        if self._copy is not None:
            self._copy.seek(0)
            yield self._copy
        else:
            with opened(self.path) as file:
                yield file

    def _value(self, line: bytes | None, name: str) -> Any:
        if line is None:
            return InputError(f"{name} is longer than {LONGEST >> 20} MiB")
        try:
            text = decoded(line, name)
        except InputError as error:
            return error
        if text.lstrip()[:1] not in ("{", '"'):
            return text
        try:
            found = strict_json.loads(text)
        except (ValueError, RecursionError) as error:
            self._warn(text, name, error)
            return text
        return found if isinstance(found, str | dict) else text

    def _warn(self, text: str, name: str, error: Exception) -> None:
        if text.lstrip().startswith("{") and not self._warned:
            self._warned = True
            warnings.warn(
                f"{name} begins with {{ and is not JSON ({error}): it is read as a text, and so is each such line",
                stacklevel=2,
            )


class Files(Source):
    """Files with one text each; the path of a file is its `id`.

    paths: of the files. field: the name of the text.
    """

    unit = "files"
    columns: dict[str, Any] | None = {ID: "string"}  # noqa: RUF012 - never changed

    def __init__(self, paths: Sequence[str], field: str) -> None:
        self.paths = paths
        self.field = field

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for path in self.paths:
            name = display(path)
            yield name, {ID: name, self.field: self._text(path)}

    def count(self) -> int | None:
        """The number of files."""
        return len(self.paths)

    def _text(self, path: str) -> str | InputError:
        try:
            return whole(path)
        except InputError as error:
            return error


class CsvRows(Source):
    """The rows of a CSV file, whose first row has the names of the columns."""

    unit = "rows"

    def __init__(self, path: str) -> None:
        self.path = path
        with self._reader() as rows:
            header = next(rows, None)
        if header is None:
            raise InputError(f"{display(path)} is empty: a CSV file begins with the names of its columns")
        check_columns(path, header)
        self.columns = dict.fromkeys(header, "string")

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        with self._reader() as rows:
            header = next(rows)
            for number, row in enumerate(filter(None, rows), start=1):  # blank lines are no rows
                name = f"row {number} of {display(self.path)}"
                error = InputError(f"{name} has {len(row)} values, and the header has {len(header)} names")
                # of too many values the last column's is not known
                values = row if len(row) <= len(header) else row[: len(header) - 1]
                yield name, {**dict.fromkeys(header, error), **dict(zip(header, values, strict=False))}

    @contextmanager
    def _reader(self) -> Iterator[Iterator[list[str]]]:
        before = csv.field_size_limit(LONGEST)
        try:
            with opened(self.path) as file:
                yield self._rows(file)
        finally:
            csv.field_size_limit(before)

    def _rows(self, file: BinaryIO) -> Iterator[list[str]]:
        lines = (line.decode("utf-8-sig" if place == 0 else "utf-8") for place, line in enumerate(_whole_lines(file)))
        rows = csv.reader(lines, strict=True)
        try:
            yield from rows
        except (csv.Error, UnicodeDecodeError) as error:
            where = f"{display(self.path)}, line {rows.line_num + isinstance(error, UnicodeDecodeError)}"
            what = "not UTF-8" if isinstance(error, UnicodeDecodeError) else "not CSV"
            raise InputError(f"{where}: {what}: {error}") from error


def check_columns(path: str, names: Sequence[str]) -> None:
    """Refuse a table that has two columns of one name."""
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{display(path)} has the column {name!r} twice")


def find(patterns: Iterable[str]) -> list[str]:
    """The paths of the files that names, patterns and folders stand for, each once.

    A folder stands for all files in it and in the folders below it, in the order of their paths, but for hidden ones.

    Raises:
        InputError: one of them stands for no file.
    """
    paths: dict[str, None] = {}
    for pattern in patterns:
        if os.path.isdir(pattern):
            found = [str(path) for path in Path(pattern).rglob("*") if not _is_hidden(path.relative_to(pattern))]
        elif os.path.lexists(pattern):
            paths[pattern] = None
            continue
        else:
            found = glob.glob(pattern, recursive=True)
        files = sorted(path for path in found if os.path.isfile(path))
        if not files:
            what = "holds no files" if os.path.isdir(pattern) else "is no file, no folder, and no pattern of files here"
            raise InputError(f"{display(pattern)} {what}")
        paths.update(dict.fromkeys(files))
    return list(paths)


def whole(path: str) -> str:
    """The text of a file, or of standard input.

    Raises:
        InputError: it cannot be read, is not UTF-8, or is empty.
    """
    with opened(path) as file:
        return decoded(file.read(), display(path))


def display(path: str) -> str:
    """A path in messages and results; bytes of it that are not UTF-8 are escaped."""
    return "standard input" if path == "-" else os.fsencode(path).decode("utf-8", "backslashreplace")


def decoded(content: bytes, name: str) -> str:
    """Bytes as a text, without a byte order mark and without the line end that closes it.

    Raises:
        InputError: they are not UTF-8, or there is nothing but white space.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = f"byte {content[error.start]:#04x} at offset {error.start}"
        raise InputError(f"{name} is not UTF-8: {at}{_hint(content)}") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise InputError(f"{name} is empty")
    return text


@contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """The bytes of a file, or of standard input; a failure is an InputError."""
    try:
        if path == "-":
            if sys.stdin is None:
                raise InputError("standard input is closed")
            yield sys.stdin.buffer
        else:
            with open(path, "rb") as file:
                yield file
    except OSError as error:
        raise InputError(f"{display(path)} cannot be read: {error.strerror or error}") from error


def _hint(content: bytes) -> str:
    return "; it is a Parquet file: lines= reads its rows" if content.startswith(b"PAR1") else ""


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _lines(file: BinaryIO | IO[bytes]) -> Iterator[bytes | None]:
    """The lines of a file; None for one that is too long."""
    while line := file.readline(LONGEST):
        fits = True
        while len(line) == LONGEST and not line.endswith(b"\n"):
            fits, line = False, file.readline(LONGEST)
        yield line if fits else None


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    for line in _lines(file):
        if line is None:
            raise csv.Error(f"a line is longer than {LONGEST >> 20} MiB")
        yield line
