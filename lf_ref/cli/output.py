"""Print results as JSON or as text."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from ..records import strict_json


def print_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON; characters that standard output cannot encode are escaped."""
    echo(strict_json.dumps(value, ascii_only=not writes_unicode(), indent=indent))


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


def writes_unicode() -> bool:
    """Whether standard output encodes all characters."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")
