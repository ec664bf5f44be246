"""Named entities from the scores of tokens: words, groups of words, and the entities of overlapping windows merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..config_rules import Label
from ..reference.ops import Array

STRATEGIES = ("none", "simple", "first", "average", "max")


@dataclass(frozen=True)
class Piece:
    """A token, a word or a group of words with a label.

    tokens: as in the vocabulary. scores: float64 [labels], of a token or word. start, end: characters of the text.
    index: of a token among those of its row. continues: whether a token belongs to the word of the one before it.
    """

    tokens: tuple[str, ...]
    scores: Array
    label: Label
    score: float
    start: int
    end: int
    index: int
    continues: bool


def labelled(piece: Piece, scores: Array, labels: dict[int, Label]) -> Piece:
    """The piece with the best label of these scores."""
    best = int(scores.argmax())
    return replace(piece, scores=scores, label=labels[best], score=float(scores[best]))


def continues_word(text: str, start: int, before: tuple[int, int] | None) -> bool:
    """Whether a token that starts at `start` belongs to the word of the token before it, which has the span `before`.

    It does unless white space stands where it starts or right before that. Tokens that are pieces of one character
    belong together, and so do a token that is a space and nothing else, of which no span is left, and what follows it.

    >>> text = "New York's end"
    >>> [continues_word(text, start, before) for start, before in [(0, None), (4, (0, 3)), (8, (4, 8)), (11, (8, 10))]]
    [False, False, True, False]
    """
    if before is None:
        return False
    if start < before[1] or before == (start, start):
        return True
    return not any(letter.isspace() for letter in text[max(start - 1, 0) : start + 1])


def words(pieces: Iterable[Piece], strategy: str, labels: dict[int, Label]) -> Iterator[Piece]:
    """Join the tokens of each word under one label: of its first token, of its surest one, or of the mean scores."""
    for group in _runs(pieces, lambda before, after: after.continues):
        scores = [piece.scores for piece in group]
        if strategy == "first":
            chosen = scores[0]
        elif strategy == "max":
            chosen = max(scores, key=np.max)
        else:
            chosen = np.mean(scores, axis=0)
        yield labelled(_joined(group), chosen, labels)


def groups(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join neighbours of one label: B-X begins an entity; I-X, and a label without B- or I-, continue it.

    The score is the mean of their scores.
    """
    for group in _runs(pieces, lambda before, after: _kind(after) == _kind(before) and not _begins(after)):
        label = group[0].label
        label = label.split("-", 1)[-1] if isinstance(label, str) else label
        yield replace(_joined(group), label=label, score=float(np.mean([piece.score for piece in group])))


def merge_windows(entities: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of overlapping entities of different windows take the longest; of equally long ones the surest."""
    kept: list[dict[str, Any]] = []
    for entity in sorted(entities, key=lambda entity: entity["start"]):
        if not kept or not _overlap(kept[-1], entity):
            kept.append(entity)
        elif _weight(entity) > _weight(kept[-1]):
            kept[-1] = entity
    return kept


def _overlap(before: dict[str, Any], after: dict[str, Any]) -> bool:
    same = (before["start"], before["end"]) == (after["start"], after["end"])  # a token of white space may be empty
    return same or after["start"] < before["end"]


def _weight(entity: dict[str, Any]) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]


def _runs(pieces: Iterable[Piece], together: Callable[[Piece, Piece], bool]) -> Iterator[list[Piece]]:
    """Cut a sequence wherever two neighbours do not belong together."""
    sequence = list(pieces)
    cuts = [place for place, (before, after) in enumerate(pairwise(sequence), start=1) if not together(before, after)]
    for start, stop in pairwise([0, *cuts, len(sequence)]):
        if start < stop:
            yield sequence[start:stop]


def _joined(group: Sequence[Piece]) -> Piece:
    tokens = tuple(token for piece in group for token in piece.tokens)
    return replace(group[0], tokens=tokens, end=group[-1].end)


def _begins(piece: Piece) -> bool:
    return isinstance(piece.label, str) and piece.label.startswith("B-")


def _kind(piece: Piece) -> Label:
    """A label without its B- or I-; one that is no word has none."""
    label = piece.label
    return label[2:] if isinstance(label, str) and label[:2] in ("B-", "I-") else label
