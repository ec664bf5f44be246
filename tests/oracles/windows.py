"""Documents in overlapping windows, by their definition, token by token. Imports nothing of the program under test."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Model = Callable[[list[int]], Array]


def windows_of(tokens: int, room: int, stride: int, side: str = "right") -> list[range]:
    """The tokens of each window, in the order of the text.

    From the end that truncation keeps, every window but the last has `room` tokens, and `stride` of them are those of
    the window before; the last one ends with the text.
    """
    windows = []
    seen = 0  # tokens read so far
    while not windows or seen < tokens:
        first = max(0, seen - stride)
        seen = min(first + room, tokens)
        windows.append(range(first, seen) if side == "right" else range(tokens - seen, tokens - first))
    return windows if side == "right" else windows[::-1]


def owner(token: int, windows: Sequence[range]) -> int:
    """The window in which a token stands furthest from an edge, of equals the first."""
    distances = [min(token - window[0], window[-1] - token) if token in window else -1 for window in windows]
    return distances.index(max(distances))


def document_states(ids: Sequence[int], windows: Sequence[range], cls: int, sep: int, model: Model) -> Array:
    """A state for each token of `<s> document </s>`, of the window that owns it.  # -> [tokens + 2, hidden]"""
    rows = [model([cls, *(ids[token] for token in window), sep]) for window in windows]
    inner = []
    for token in range(len(ids)):
        index = owner(token, windows)
        inner.append(rows[index][1 + token - windows[index][0]])
    return np.stack([rows[0][0], *inner, rows[-1][-1]])


def document_logits(rows: Sequence[Sequence[float]], windows: Sequence[range], aggregation: str) -> list[float]:
    """The logits of a document: of each label the largest of all windows, or the mean over the document's tokens, of
    which each counts for the first window that has it."""
    labels = range(len(rows[0]))
    if aggregation == "max":
        return [max(row[label] for row in rows) for label in labels]
    first = [next(i for i, window in enumerate(windows) if token in window) for token in range(windows[-1].stop)]
    return [sum(rows[index][label] for index in first) / len(first) for label in labels]
