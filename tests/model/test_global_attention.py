"""Where the helpers put global attention, against masks written by hand; and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from lf_ref import InputError, global_attention
from lf_ref.model.global_attention import after_question, on_first_token, on_positions, on_question, on_token_ids

# <s> a b </s></s> c d e </s> and, with another question, <s> a </s></s> c d e f </s>.
PAIRS = [[0, 7, 8, 2, 2, 11, 12, 13, 2], [0, 7, 2, 2, 11, 12, 13, 14, 2]]


def assert_mask(got, expected):
    assert isinstance(got, np.ndarray)
    assert got.dtype == np.int64
    assert got.tolist() == expected


def test_on_first_token():
    assert_mask(on_first_token([[0, 5, 2], [0, 2, 1]]), [[1, 0, 0], [1, 0, 0]])
    assert_mask(on_first_token([0, 5, 2]), [1, 0, 0])
    assert_mask(on_first_token([[[0, 5], [0, 2]]]), [[[1, 0], [1, 0]]])
    assert_mask(on_first_token([[9]]), [[1]])


def test_on_question_is_what_stands_before_the_first_separator():
    assert_mask(on_question(PAIRS), [[1, 1, 1, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0]])
    assert_mask(on_question(PAIRS[1]), [1, 1, 0, 0, 0, 0, 0, 0, 0])
    assert_mask(on_question([[0, 2, 2, 2]]), [[1, 0, 0, 0]])
    assert_mask(on_question([[0, 5, 9, 9, 6, 9, 2]], sep_token_id=9), [[1, 1, 0, 0, 0, 0, 0]])


def test_after_question_is_what_stands_behind_the_first_two_separators():
    assert_mask(after_question(PAIRS), [[0, 0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1, 1]])
    assert_mask(after_question([PAIRS]), [[[0, 0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1, 1, 1, 1]]])
    # HF's default reaches to the end, padding included, which the model then leaves out.
    assert_mask(after_question([[0, 5, 2, 2, 6, 2, 1, 1]]), [[0, 0, 0, 0, 1, 1, 1, 1]])
    assert_mask(after_question([0, 9, 9, 9], sep_token_id=9), [0, 0, 0, 1])


@pytest.mark.parametrize("helper", [on_question, after_question])
@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[0, 5, 2, 2, 6, 2], [0, 5, 2, 6, 7, 2]], r"row 1 .* has 2 separators \(id 2\); exactly 3"),
        # Two wrong rows that add up to a right total, which is all that HF looks at.
        ([[0, 2, 2, 2, 2], [0, 5, 2, 6, 2]], "row 0 .* has 4 separators"),
        ([[0, 5, 6, 7]], "row 0 .* has 0 separators"),
        ([[[0, 2, 2, 2], [0, 2, 2, 2]], [[0, 2, 2, 2], [0, 2, 2, 5]]], r"row 1 \(choice 1\) .* has 2 separators"),
    ],
)
def test_rows_without_exactly_three_separators_are_named(helper, ids, message):
    with pytest.raises(InputError, match=message):
        helper(ids)


def test_on_token_ids():
    ids = [[0, 7, 8, 7, 2], [0, 8, 8, 9, 2]]
    assert_mask(on_token_ids(ids, [7, 9]), [[0, 1, 0, 1, 0], [0, 0, 0, 1, 0]])
    assert_mask(on_token_ids(ids, 8), [[0, 0, 1, 0, 0], [0, 1, 1, 0, 0]])
    assert_mask(on_token_ids(ids[0], (0, 2)), [1, 0, 0, 0, 1])
    assert_mask(on_token_ids(ids, np.array([5])), [[0] * 5] * 2)
    assert_mask(on_token_ids(ids, []), [[0] * 5] * 2)


def test_on_positions():
    ids = [[0, 7, 8, 7, 2], [0, 8, 8, 9, 2]]
    assert_mask(on_positions(ids, [1, 3]), [[0, 1, 0, 1, 0]] * 2)
    assert_mask(on_positions(ids, [-1, 0, 0]), [[1, 0, 0, 0, 1]] * 2)
    assert_mask(on_positions(ids, 4), [[0, 0, 0, 0, 1]] * 2)
    assert_mask(on_positions(ids[0], [-5]), [1, 0, 0, 0, 0])
    assert_mask(on_positions(ids, []), [[0] * 5] * 2)


@pytest.mark.parametrize("position", [5, -6, 10**6])
def test_positions_outside_the_sequence_are_named(position):
    with pytest.raises(InputError, match=f"position {position} lies outside the sequence of 5 tokens"):
        on_positions([[0, 7, 8, 7, 2]], [0, position])


@pytest.mark.parametrize("positions", [[1.0], ["1"], "1", [[1], [2]], [True], [[1], [2, 3]], [None]])
def test_positions_that_are_no_list_of_integers(positions):
    with pytest.raises(InputError, match="positions"):
        on_positions([[0, 7, 8, 7, 2]], positions)


@pytest.mark.parametrize("token_ids", [[7.0], ["<s>"], "<s>", [[1], [2, 3]], [None]])
def test_token_ids_that_are_no_list_of_integers(token_ids):
    with pytest.raises(InputError, match="token_ids"):
        on_token_ids([[0, 7, 8, 7, 2]], token_ids)


HELPERS = {
    "on_first_token": (),
    "on_question": (),
    "after_question": (),
    "on_token_ids": ([2],),
    "on_positions": ([0],),
}


@pytest.mark.parametrize("name", HELPERS)
@pytest.mark.parametrize(
    "ids",
    [[[0, 5, 2], [0, 2]], [], [[]], np.zeros((3, 0), np.int64), 5, "a text", ["a text"], [[0.5, 2.0]], None],
    ids=repr,
)
def test_what_are_no_token_ids_is_refused(name, ids):
    with pytest.raises(InputError, match="input_ids"):
        getattr(global_attention, name)(ids, *HELPERS[name])


@pytest.mark.parametrize("name", HELPERS)
def test_nothing_of_the_callers_is_changed(name):
    ids = np.array(PAIRS, np.int32)
    ids.flags.writeable = False
    mask = getattr(global_attention, name)(ids, *HELPERS[name])
    assert mask.shape == ids.shape
    assert mask.flags.writeable
    assert not np.shares_memory(mask, ids)
    assert getattr(global_attention, name)(PAIRS, *HELPERS[name]).tolist() == mask.tolist()
