"""The texts of a command: from its arguments, a file, or the lines of a file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..errors import InputError

# An input, and the other keys of its JSON object, which are copied to the output beside the answer under `RESULT`.
Record = tuple[Any, dict[str, Any]]
RESULT = "result"
TEXT = "text"


@dataclass(frozen=True)
class Lines:
    """A file with one text, or one JSON object, on each line; it is read line by line."""

    path: str

    def name(self, index: int) -> str:
        """The name of a line in messages, by its index from 0."""
        return f"line {index + 1} of {_name(self.path)}"

    def count(self) -> int | None:
        """The number of lines; None for standard input, which can be read only once."""
        if not os.path.isfile(self.path):
            return None
        with _opened(self.path) as file:
            return sum(1 for _ in file)

    def texts(self) -> Iterator[str]:
        """The lines, without their ends.

        Raises:
            InputError: a line is empty or not UTF-8, or the file cannot be read.
        """
        with _opened(self.path) as file:
            for index, line in enumerate(file):
                yield _text(line, self.name(index))

    def records(self, *keys: str) -> Iterator[Record]:
        """The inputs of the lines, each with the other keys of its JSON object.

        A line that starts with "{" is a JSON object, whose input are the values of `keys`; any other line is a text, if
        one of the keys is "text". If that is the only key, the input is the text itself.

        Raises:
            InputError: a line is empty, not UTF-8 or not JSON, or the file cannot be read; an object has no text; the
                rest has the key that the answer goes under.
        """
        for index, line in enumerate(self.texts()):
            name = self.name(index)
            if TEXT in keys and not line.lstrip().startswith("{"):
                yield (line if len(keys) == 1 else {TEXT: line}), {}
                continue
            given = _object(line, name, keys)
            rest = {key: given.pop(key) for key in list(given) if key not in keys}
            if RESULT in rest:
                raise InputError(
                    f'{name} has the key "{RESULT}", under which the answer is printed: give it another name'
                )
            if TEXT in keys and TEXT not in given:
                raise InputError(f"{name} must have the key {TEXT}, got {', '.join([*given, *rest]) or 'none'}")
            yield (given[TEXT] if keys == (TEXT,) else given), rest

    def pairs(self, second: str | None) -> Iterator[Record]:
        """The same for texts and pairs, {"text": ..., "text_pair": ...}; those that are no pair get a second text.

        second: this text, or None.

        Raises:
            InputError: as for `records`; or a line has a second text already.
        """
        for index, (given, rest) in enumerate(self.records(TEXT, "text_pair")):
            if second is not None and given.get("text_pair") is not None:
                raise InputError(f"{self.name(index)} has a text_pair, so there is nothing for --pair to do")
            yield ({**given, "text_pair": second} if second is not None else given), rest


def one_or_lines(text: str | None, file: str | None, lines: str | None, what: str = "a text") -> str | Lines:
    """The text of the command line or of the file, or the lines; none of the three stands for standard input.

    Raises:
        InputError: more than one is given; or none, and standard input is a terminal or empty.
    """
    given = [value for value in (text, file, lines) if value is not None]
    ways = f"give {what} as an argument, --file PATH or --lines PATH (- for standard input)"
    if len(given) > 1:
        raise InputError(f"{ways}, only one of them; got {len(given)}")
    if lines is not None:
        return Lines(lines)
    return document(text, file, what) if given else piped(ways)


def document(text: str | None, file: str | None, what: str = "a text") -> str:
    """The text of the command line or of the file; neither of the two stands for standard input.

    Raises:
        InputError: both are given; or neither, and standard input is a terminal or empty; or there is no text in it.
    """
    ways = f"give either {what} as an argument or --file PATH (- for standard input)"
    if text is not None and file is not None:
        raise InputError(f"{ways}, not both")
    if text is not None:
        return argument(text)
    if file is None:
        return piped(ways)
    with _opened(file) as content:
        return _text(content.read(), _name(file))


def piped(ways: str) -> str:
    """The text of standard input, if that is a file or a pipe; ways: the ways to give a text, for the error."""
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(ways)
    with _opened("-") as content:
        given = content.read()
    if not given.strip():
        raise InputError(f"{ways}; standard input is empty")
    return _text(given, _name("-"))


def argument(text: str) -> str:
    """A text of the command line, which must not be empty."""
    try:
        text.encode()
    except UnicodeEncodeError as error:  # bytes that are no UTF-8 come in as lone surrogates
        raise InputError(f"the text is not UTF-8: character {error.start} is {text[error.start]!r}") from error
    if not text.strip():
        raise InputError("the text is empty")
    return text


def _object(line: str, name: str, keys: Sequence[str]) -> dict[str, Any]:
    """A line that must be a JSON object with these keys."""
    wanted = "{" + ", ".join(f'"{key}": ...' for key in keys) + "}"
    hint = f'; a text that starts with {{ is written as {{"{TEXT}": ...}}' if TEXT in keys else ""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON: {error}{hint}") from error
    if not isinstance(found, dict):
        raise InputError(f"{name} must be a JSON object, {wanted}, got {type(found).__name__}")
    return found


def _name(path: str) -> str:
    return "standard input" if path == "-" else path


def _text(content: bytes, name: str) -> str:
    """Bytes as a text, without a byte order mark and without the line end that closes it."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = f"byte {content[error.start]:#04x} at offset {error.start}"
        raise InputError(f"{name} is not UTF-8: {at}") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise InputError(f"{name} is empty")
    return text


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
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
        raise InputError(f"{_name(path)} cannot be read: {error.strerror or error}") from error
