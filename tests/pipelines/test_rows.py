"""Batches: everything once, nothing too large, nothing lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref.pipelines.rows import Row, batches

MANY = settings(max_examples=100, deadline=None, derandomize=True, database=None)
PAD = 7


@MANY
@given(st.lists(st.integers(1, 23), max_size=17), st.integers(1, 61))
def test_batches_hold_every_row_once_and_keep_to_the_budget(lengths, budget):
    rows = [Row(np.arange(100, 100 + length), (0, min(2, length))) for length in lengths]
    seen = []
    for batch in batches(rows, budget, PAD):
        seen += batch.indices
        count, width = batch.input_ids.shape
        assert count == len(batch.indices)
        assert count * width <= budget or count == 1
        assert width == max(lengths[place] for place in batch.indices)
        for index, place in enumerate(batch.indices):
            length = lengths[place]
            assert batch.input_ids[index].tolist() == [*range(100, 100 + length), *[PAD] * (width - length)]
            assert batch.attention_mask[index].tolist() == [1] * length + [0] * (width - length)
            marked = min(2, length)
            assert batch.global_attention_mask[index].tolist() == [1] * marked + [0] * (width - marked)
    assert sorted(seen) == list(range(len(lengths)))


def test_rows_of_one_length_go_together():
    rows = [Row(np.arange(length)) for length in (3, 11, 3, 11, 3)]
    assert [batch.indices for batch in batches(rows, 22, PAD)] == [[1, 3], [0, 2, 4]]
