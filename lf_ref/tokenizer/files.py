"""Read vocabulary files that a stranger may have written: every fact is checked, and every refusal names its place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, InputError
from .added import AddedToken
from .inputs import shown

_LARGEST_FILE = 1 << 25  # bytes; the vocabularies of Longformers take 2 MB, the largest of any BPE about 20
_LARGEST_ID = (1 << 31) - 1


def read_text(path: Path) -> str:
    """The text of a small UTF-8 file."""
    try:
        size = path.stat().st_size
        if size > _LARGEST_FILE:
            raise CheckpointError(f"{path} has {size} bytes; a tokenizer's file has at most {_LARGEST_FILE}")
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not UTF-8: byte {error.start} is 0x{error.object[error.start]:02X}") from None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file."""
    text = read_text(path)
    try:
        value = json.loads(text)
    except RecursionError:
        raise CheckpointError(f"{path} is not usable JSON: it is nested too deeply") from None
    except ValueError as error:
        raise CheckpointError(f"{path} is not usable JSON: {error}") from None
    return expect(value, dict, str(path))


_WANTED = {dict: "an object", list: "a list", str: "a string", bool: "true or false", int: "an integer"}


def expect(value: Any, kind: type[Any], where: str) -> Any:
    """Let a value of one JSON type through."""
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CheckpointError(f"{where} must be {_WANTED[kind]}, got {shown(value)}")
    return value


def check_vocab(vocab: Mapping[str, int], where: str) -> dict[str, int]:
    """Token to id, with integers that are in range and differ. Ids need not be without gaps."""
    checked: dict[str, int] = dict(expect(vocab, dict, where))
    if not checked:
        raise CheckpointError(f"{where} has no tokens")
    if set(map(type, checked.values())) != {int} or set(map(type, checked)) != {str}:
        token, token_id = next((t, i) for t, i in checked.items() if type(i) is not int or type(t) is not str)
        raise CheckpointError(f"{where}: the id of {shown(token)} must be an integer, got {shown(token_id)}")
    if min(checked.values()) < 0 or max(checked.values()) > _LARGEST_ID:
        token, token_id = next((t, i) for t, i in checked.items() if not 0 <= i <= _LARGEST_ID)
        raise CheckpointError(f"{where}: the id of {shown(token)} must be in 0..{_LARGEST_ID}, got {shown(token_id)}")
    if len(set(checked.values())) < len(checked):
        first: dict[int, str] = {}
        token, token_id = next((t, i) for t, i in checked.items() if first.setdefault(i, t) != t)
        raise CheckpointError(f"{where}: {shown(first[token_id])} and {shown(token)} both have the id {token_id}")
    _check_encodable(checked, where)
    return checked


def _check_encodable(tokens: Mapping[str, int], where: str) -> None:
    try:
        "".join(tokens).encode()
    except UnicodeEncodeError as error:
        at, length = error.start, 0
        for token in tokens:
            length += len(token)
            if length > at:
                raise CheckpointError(
                    f"{where}: the token {shown(token)} holds a lone surrogate, which no text has"
                ) from None


def read_merges(path: Path) -> list[str]:
    """The merges of a merges.txt, one "left right" in a line, without its "#version" line.

    (HF 4 drops the first line unseen, and the last one where no newline ends it: a file without a version line, or
    without a final newline, loses a merge there.)
    """
    lines = read_text(path).replace("\r\n", "\n").split("\n")
    if lines[0].startswith("#version"):
        del lines[0]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def check_merges(merges: Sequence[Any], where: str) -> list[str]:
    """Merges given as "left right" or as [left, right], all as "left right"."""
    if all(isinstance(merge, str) for merge in merges):
        return list(merges)
    checked = []
    for number, merge in enumerate(merges):
        if isinstance(merge, (list, tuple)) and len(merge) == 2 and all(isinstance(part, str) for part in merge):
            merge = " ".join(merge)
        if not isinstance(merge, str):
            raise CheckpointError(f'{where}[{number}] must be "left right" or ["left", "right"], got {shown(merge)}')
        checked.append(merge)
    return checked


_TOKEN_OPTIONS = ("content", "single_word", "lstrip", "rstrip", "normalized", "special")


def added_token(value: Any, where: str, *, special: bool = False) -> AddedToken:
    """An added token from the object that JSON files have for it.

    Args:
        value: the object; "__type" and "id" are allowed beside the options of an `AddedToken`.
        where: the place of the value, for errors.
        special: whether it is special even if the object does not say so.
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
