"""Print results as JSON or as text, and write files of results."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .texts import RESULT, Lines, Record

if TYPE_CHECKING:
    from ..pipelines import Pipeline

Show = Callable[[Any], None]


def answer(pipe: Pipeline[Any], given: Any, as_json: bool, show: Show, **options: Any) -> None:
    """Run a pipeline on one input and print its result."""
    result = pipe(given, **options)
    if as_json:
        print_json(result, indent=2)
    else:
        show(result)


def answer_lines(pipe: Pipeline[Any], records: Iterable[Record], lines: Lines, **options: Any) -> None:
    """Run a pipeline on many inputs and print each result as a line of JSON as it comes.

    Where an input has other values with it, the line is an object of these and, under `RESULT`, the result, so that
    answers can be joined; else the result alone.
    """
    waiting: deque[dict[str, Any]] = deque()  # a pipeline reads ahead

    def inputs() -> Iterator[Any]:
        for given, rest in records:
            waiting.append(rest)
            yield given

    for result in stream_lines(pipe, inputs(), lines, **options):
        print_line(result, waiting.popleft())


def stream_lines(pipe: Pipeline[Any], inputs: Iterable[Any], lines: Lines, **options: Any) -> Iterator[Any]:
    """Yield the result of each line, and show how many of all lines are done."""
    with line_progress(pipe.task, lines, pipe.quiet) as bar:
        pipe.quiet = True  # one bar is enough
        for result in pipe.stream(inputs, name=lines.name, **options):
            yield result
            bar.update()


def line_progress(what: str, lines: Lines, quiet: bool) -> AbstractContextManager[Any]:
    """Progress that counts lines. On a terminal the results themselves show it, and a bar would stand between them."""
    from ..progress import progress

    shown = sys.stdout is not None and sys.stdout.isatty()
    return progress(what, lines.count(), "lines", quiet=quiet or shown)


def print_line(result: Any, rest: dict[str, Any]) -> None:
    """Print a result as a line of JSON, with the other values of its input."""
    print_json({**rest, RESULT: result} if rest else result)


def print_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON; characters that standard output cannot encode are escaped."""
    echo(json.dumps(value, ensure_ascii=not _writes_unicode(), indent=indent))


def echo(text: str = "") -> None:
    """Print a line; characters that standard output cannot encode are escaped."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print rows in columns, those named in `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        echo("  ".join(cells).rstrip())


def visible(text: str) -> str:
    """A text on one line: other white space than the space, and invisible characters, are escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def path_to_write(out: str, endings: Sequence[str]) -> Path:
    """The file of --out, checked before the work begins."""
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
    """Yield a temporary file beside that of --out, and rename it at the end."""
    from ..files import replacing

    try:
        with replacing(path) as temporary:
            yield temporary
    except OSError as error:
        raise InputError(f"--out {path} cannot be written: {error.strerror or error}") from error


def _writes_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
