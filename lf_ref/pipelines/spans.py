"""The best answer spans of a window, from the scores of their start and end tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..reference.ops import Array
from .scores import best, softmax

# How many lengths of answers are looked at together.
_LENGTHS = 64


@dataclass(frozen=True)
class Spans:
    """The best spans, the best first.

    starts, ends: int64 [n], first and last token, counted from the first of the document's. scores: float64 [n].
    null_score: the score of no answer.
    """

    starts: Array
    ends: Array
    scores: Array
    null_score: float


def best_spans(start_logits: Array, end_logits: Array, document: slice, most: int, max_answer_len: int) -> Spans:
    """The spans of a document's tokens with the largest product of start and end probability.

    The probabilities are over the document's tokens and the first token of the row, which stands for no answer. Equal
    scores go to the shorter span, then to the earlier one.

    start_logits, end_logits: float [S]; document: the slice of its tokens in the row; most: number of spans;
    max_answer_len: of a span, in tokens.
    """
    start, end = (softmax(np.concatenate([logits[:1], logits[document]])) for logits in (start_logits, end_logits))
    null_score = float(start[0] * end[0])
    start, end = start[1:], end[1:]
    tokens = len(start)
    longest = min(max_answer_len, tokens)
    places = np.empty(0, np.int64)  # length of the span - 1, times tokens, plus its start
    scores = np.empty(0, np.float64)
    for shortest in range(0, longest, _LENGTHS):
        extras = range(shortest, min(shortest + _LENGTHS, longest))
        places = np.concatenate([places, *(extra * tokens + np.arange(tokens - extra) for extra in extras)])
        scores = np.concatenate([scores, *(start[: tokens - extra] * end[extra:] for extra in extras)])
        kept = best(scores, most)
        places, scores = places[kept], scores[kept]
    lengths, starts = np.divmod(places, max(1, tokens))
    return Spans(starts, starts + lengths, scores, null_score)
