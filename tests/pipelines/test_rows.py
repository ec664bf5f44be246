"""Batches and windows: everything once, nothing too large, nothing lost."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref import InputError
from lf_ref.pipelines.rows import Row, batches, windows

MANY = settings(max_examples=100, deadline=None, derandomize=True, database=None)
PAD = 7


@MANY
@given(st.lists(st.integers(1, 23), max_size=17), st.integers(1, 61))
def test_batches_hold_every_row_once_and_keep_to_the_budget(lengths, budget):
    rows = [Row(np.arange(100, 100 + length), (0, min(2, length))) for length in lengths]
    seen = []
    for batch in batches(rows, budget, PAD):
        seen += batch.places
        count, width = batch.input_ids.shape
        assert count == len(batch.places)
        assert count * width <= budget or count == 1
        assert width == max(lengths[place] for place in batch.places)
        for index, place in enumerate(batch.places):
            length = lengths[place]
            assert batch.input_ids[index].tolist() == [*range(100, 100 + length), *[PAD] * (width - length)]
            assert batch.attention_mask[index].tolist() == [1] * length + [0] * (width - length)
            marked = min(2, length)
            assert batch.global_attention_mask[index].tolist() == [1] * marked + [0] * (width - marked)
    assert sorted(seen) == list(range(len(lengths)))


def test_rows_of_one_length_go_together():
    rows = [Row(np.arange(length)) for length in (3, 11, 3, 11, 3)]
    assert [batch.places for batch in batches(rows, 22, PAD)] == [[1, 3], [0, 2, 4]]


@MANY
@given(st.integers(0, 97), st.integers(1, 31), st.data())
def test_windows_cover_everything_and_overlap_as_told(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    found = windows(length, size, overlap)
    places = [list(range(length))[window] for window in found]
    assert sorted({place for window in places for place in window}) == list(range(length))
    assert all(len(window) == size for window in places[:-1])
    assert len(places[-1]) <= size
    for before, after in pairwise(places):
        assert len(set(before) & set(after)) == overlap
        assert after[-1] > before[-1]


@pytest.mark.parametrize("overlap", [-1, 5, 6])
def test_windows_that_do_not_move_are_refused(overlap):
    with pytest.raises(InputError, match=r"the stride must lie in 0 \.\.\. 4"):
        windows(11, 5, overlap)
