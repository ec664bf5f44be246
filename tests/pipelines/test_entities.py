"""Tokens to words to names, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from lf_ref.pipelines.entities import Piece, continues_word, groups, labelled, merge_windows, words

LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "LOC"}
TEXT = "New York's\nend 🙂!"


def pieces(*given):
    """Pieces of TEXT from (start, end, scores)."""
    found, before = [], None
    for index, (start, end, scores) in enumerate(given):
        array = np.array(scores)
        piece = Piece((TEXT[start:end],), array, "", 0.0, start, end, index, continues_word(TEXT, start, before))
        found.append(labelled(piece, array, LABELS))
        before = start, end
    return found


def summary(found):
    return [(piece.label, round(piece.score, 6), TEXT[piece.start : piece.end]) for piece in found]


@pytest.mark.parametrize(
    ("start", "before", "continues"),
    [
        (0, None, False),
        (4, (0, 3), False),  # a space between
        (3, (0, 3), False),  # the token begins with its space
        (6, (4, 6), True),  # Yo|rk
        (8, (6, 8), True),  # an apostrophe ends no word
        (11, (8, 10), False),  # a line end between
        (11, (10, 11), False),  # after a token that is the line end
        (15, (11, 14), False),
        (15, (15, 15), True),  # after a space whose span is trimmed away
        (15, (15, 16), True),  # the second piece of one character
        (16, (15, 16), True),
    ],
)
def test_where_words_begin(start, before, continues):
    assert continues_word(TEXT, start, before) is continues


WORD = [(4, 6, [0.1, 0.5, 0.3, 0.1]), (6, 8, [0.0, 0.0, 0.3, 0.7]), (8, 10, [0.9, 0.05, 0.05, 0.0])]


@pytest.mark.parametrize(
    ("strategy", "label", "score"),
    [("first", "B-PER", 0.5), ("max", "O", 0.9), ("average", "O", 1 / 3)],
)
def test_a_word_has_one_label(strategy, label, score):
    found = list(words(pieces((0, 3, [0.2, 0.2, 0.2, 0.4]), *WORD), strategy, LABELS))
    assert summary(found) == [("LOC", 0.4, "New"), (label, round(score, 6), "York's")]
    assert found[1].tokens == ("Yo", "rk", "'s")


def test_groups_of_one_label():
    def one(start, end, label):
        return (start, end, [0.9 if index == label else 0.1 / 3 for index in LABELS])

    found = list(
        groups(pieces(one(0, 3, 1), one(4, 6, 2), one(6, 8, 1), one(8, 10, 1), one(11, 14, 3), one(15, 16, 3)))
    )
    assert [(piece.label, TEXT[piece.start : piece.end]) for piece in found] == [
        ("PER", "New Yo"),
        ("PER", "rk"),
        ("PER", "'s"),
        ("LOC", "end 🙂"),
    ]
    assert found[0].score == pytest.approx(0.9)


def test_a_group_may_begin_without_b_and_has_the_mean_score():
    found = list(groups(pieces((0, 3, [0, 0, 0.9, 0.1]), (4, 6, [0.3, 0.1, 0.5, 0.1]), (6, 8, [0.6, 0.1, 0.1, 0.2]))))
    assert summary(found) == [("PER", 0.7, "New Yo"), ("O", 0.6, "rk")]


def test_nothing_comes_of_nothing():
    assert list(words([], "first", LABELS)) == []
    assert list(groups([])) == []
    assert merge_windows([]) == []


def entity(start, end, score=0.5):
    return {"start": start, "end": end, "score": score}


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ([entity(5, 9), entity(0, 3)], [entity(0, 3), entity(5, 9)]),
        ([entity(0, 3), entity(3, 5)], [entity(0, 3), entity(3, 5)]),
        ([entity(0, 5, 0.9), entity(2, 9, 0.1)], [entity(2, 9, 0.1)]),
        ([entity(0, 5, 0.3), entity(0, 5, 0.4)], [entity(0, 5, 0.4)]),
        ([entity(0, 5, 0.4), entity(0, 5, 0.4)], [entity(0, 5, 0.4)]),
        ([entity(0, 5), entity(4, 9), entity(8, 13)], [entity(0, 5), entity(8, 13)]),
        ([entity(2, 2, 0.4), entity(2, 2, 0.6)], [entity(2, 2, 0.6)]),
    ],
)
def test_windows_agree_on_one_account(found, kept):
    assert merge_windows(found) == kept
