"""Read and check a vocabulary and its merges: vocab.json and merges.txt, or the same within a tokenizer.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ..arguments import shown
from .json_values import expect, read_text

_LARGEST_ID = (1 << 31) - 1


def check_vocab(vocab: Mapping[str, int], where: str) -> dict[str, int]:
    """Return a vocabulary, token to id, whose ids are distinct integers in range; gaps are allowed."""
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
                raise CheckpointError(f"{where}: the token {shown(token)} must not contain a lone surrogate") from None


def read_merges(path: Path) -> list[str]:
    """Read the merges of a merges.txt, one "left right" per line, without the "#version" line.

    HF 4 drops the first line in any case, and the last line if no newline ends it. So it loses a merge of a file
    without a version line, or without a final newline.
    """
    lines = read_text(path).replace("\r\n", "\n").split("\n")
    if lines[0].startswith("#version"):
        del lines[0]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def check_merges(merges: Sequence[Any], where: str) -> list[str]:
    """Return merges as "left right"; each may be given so or as [left, right]."""
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
