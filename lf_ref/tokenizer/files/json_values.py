"""Read JSON files of unknown origin: every value is checked, and every error names the file and the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import CheckpointError, InputError
from ..added_token import AddedToken
from ..arguments import shown

_LARGEST_FILE = 1 << 25  # bytes; the vocabularies of Longformers take 2 MB, the largest of any BPE about 20


def read_text(path: Path) -> str:
    """Read a small UTF-8 file."""
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise CheckpointError(f"{path} has {size} bytes; a tokenizer's file has at most {_LARGEST_FILE}")
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02X}") from None


def read_json(path: Path, kind: type[Any] = dict) -> Any:
    """Read the JSON value in a file, which is of this type: by default an object."""
    text = read_text(path)
    try:
        value = json.loads(text)
    except RecursionError:
        raise CheckpointError(f"{path} is not usable JSON: it is nested too deeply") from None
    except ValueError as error:
        raise CheckpointError(f"{path} is not usable JSON: {error}") from None
    return expect(value, kind, str(path))


_WANTED = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "an integer"}


def expect(value: Any, kind: type[Any], where: str) -> Any:
    """Return a value of one JSON type; refuse others, and name `where` they are."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CheckpointError(f"{where} must be {_WANTED[kind]}, got {shown(value)}")
    return value


_TOKEN_OPTIONS = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")


def read_added_token(value: Any, where: str, *, special: bool = False) -> AddedToken:
    """Read an added token from its object in a JSON file.

    Args:
        value: the object; "__type" and "id" are allowed beside the options of an `AddedToken`.
        where: the file and key of the value, for errors.
        special: make it special even if the object does not.
    """
    expect(value, dict, where)
    unknown = value.keys() - {*_TOKEN_OPTIONS, "__type", "id"}
    if unknown:
        raise CheckpointError(f"{where} has the unknown keys {shown(sorted(unknown))} of an added token")
    options = {name: value[name] for name in _TOKEN_OPTIONS if name in value}
    if special:
        options["special"] = True
    if "content" not in options:
        raise CheckpointError(f"{where} has no content")
    try:
        return AddedToken(**options)
    except InputError as error:
        raise CheckpointError(f"{where}: {error}") from None
