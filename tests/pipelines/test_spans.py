"""The best spans against all spans, tried one by one."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_ref.pipelines.spans import best_spans

MANY = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def all_spans(start, end, document, most, longest):
    """The oracle: every span, by loops and Python floats."""
    kept = [0, *range(len(start))[document]]
    starts, ends = {}, {}
    for logits, probabilities in ((start, starts), (end, ends)):
        total = math.fsum(math.exp(logits[place]) for place in kept)
        for place in kept:
            probabilities[place] = math.exp(logits[place]) / total
    spans = []
    for length in range(1, longest + 1):
        for first in kept[1:]:
            last = first + length - 1
            if last in ends:
                shift = kept[1] if len(kept) > 1 else 0
                spans.append((starts[first] * ends[last], first - shift, last - shift))
    spans.sort(key=lambda span: -span[0])
    return spans[:most], starts[0] * ends[0]


@MANY
@given(st.data())
def test_against_all_spans(data):
    length = data.draw(st.integers(1, 97))
    first = data.draw(st.integers(1, length))
    document = slice(first, data.draw(st.integers(first, length)))
    most, longest = data.draw(st.integers(1, 13)), data.draw(st.integers(1, 101))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    start, end = rng.normal(scale=3, size=(2, length))
    spans = best_spans(start, end, document, most, longest)
    expected, null_score = all_spans(start, end, document, most, longest)
    assert math.isclose(spans.null_score, null_score, rel_tol=1e-12)
    assert list(zip(spans.starts.tolist(), spans.ends.tolist(), strict=True)) == [span[1:] for span in expected]
    np.testing.assert_allclose(spans.scores, [span[0] for span in expected], rtol=1e-12)


def test_equal_scores_go_to_the_shorter_then_the_earlier():
    flat = np.zeros(7)
    spans = best_spans(flat, flat, slice(2, 6), 6, 3)
    assert list(zip(spans.starts, spans.ends, strict=True)) == [(0, 0), (1, 1), (2, 2), (3, 3), (0, 1), (1, 2)]


def test_large_logits_do_not_overflow():
    logits = np.array([0.0, 5000.0, -5000.0, 4999.0])
    spans = best_spans(logits, logits[[0, 2, 3, 1]], slice(1, 4), 1, 9)
    assert np.isfinite(spans.scores).all()
    assert (spans.starts[0], spans.ends[0]) == (0, 1) or spans.scores[0] > 0.2
