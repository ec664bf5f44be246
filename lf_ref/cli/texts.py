"""The single text of a command: from its arguments, a file, or standard input."""

from __future__ import annotations

import sys

from ..errors import InputError
from ..records.sources import decoded, display, opened, whole


def document(text: str | None, file: str | None, what: str = "a text") -> str:
    """The text of the command line or of the file; neither of the two stands for standard input.

    Raises:
        InputError: both are given; or neither, and standard input is a terminal or empty; or there is no text in it.
    """
    ways = f"give either {what} as an argument or --file PATH (- for standard input)"
    if text is not None and file is not None:
        raise InputError(f"{ways}, not both")
    return one_text(text, file, ways)


def one_text(text: str | None, file: str | None, ways: str) -> str:
    """The text of the command line, of the file, or of standard input; ways: the ways to give one, for the error."""
    if text is not None:
        return argument(text)
    return piped(ways) if file is None else whole(file)


def piped(ways: str) -> str:
    """The text of standard input, if that is a file or a pipe; ways: the ways to give a text, for the error."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(ways)
    with opened("-") as content:
        given = content.read()
    if not given.strip():
        raise InputError(f"{ways}; standard input is empty")
    return decoded(given, display("-"))


def argument(text: str) -> str:
    """A text of the command line, which must not be empty."""
    try:
        text.encode()
    except UnicodeEncodeError as error:  # bytes that are no UTF-8 come in as lone surrogates
        raise InputError(f"the text is not UTF-8: character {error.start} is {text[error.start]!r}") from error
    if not text.strip():
        raise InputError("the text is empty")
    return text
