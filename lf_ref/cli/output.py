"""How results are printed: JSON, or for people to read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from .texts import Lines

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


def answer_lines(pipe: Pipeline[Any], items: Iterable[Any], lines: Lines, **options: Any) -> None:
    """Run a pipeline on many inputs and print each result as a line of JSON as it comes."""
    if sys.stdout is not None and sys.stdout.isatty():
        pipe.quiet = True  # the lines themselves show the progress, and a bar would stand between them
    for result in pipe.stream(items, name=lines.name, **options):
        print_json(result)


def print_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON, in letters that standard output can write."""
    echo(json.dumps(value, ensure_ascii=not _writes_unicode(), indent=indent))


def echo(text: str = "") -> None:
    """Print a line; what standard output cannot write becomes a backslash and its number."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding))


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print rows in columns, those named in `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        echo("  ".join(cells).rstrip())


def visible(text: str) -> str:
    """A text on one line: white space but the space, and what cannot be seen, as escapes."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _writes_unicode() -> bool:
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
