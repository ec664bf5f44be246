"""Error metrics against NumPy, block by block."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lf_ref.testing.comparison import metrics
from lf_ref.testing.comparison.metrics import difference


@pytest.mark.parametrize("block", [1, 5, 10_000])
@pytest.mark.parametrize("shape", [(), (7,), (3, 7), (2, 3, 5), (2, 3, 4, 5)])
def test_the_measures_are_what_they_say(shape, block, monkeypatch):
    monkeypatch.setattr(metrics, "_BLOCK", block)
    rng = np.random.default_rng(1)
    wanted = rng.standard_normal(shape)
    got = wanted + 1e-3 * rng.standard_normal(shape)
    mask = np.asarray(rng.random(shape) < (0.8 if shape else 1.1))
    error = np.where(mask, np.abs(got - wanted), 0)
    found = difference(got, wanted, mask)
    index = np.unravel_index(int(error.argmax()), shape)
    assert (found.largest, found.index) == (error.max(), tuple(map(int, index)))
    assert (found.got, found.wanted) == (got[index], wanted[index])
    assert found.count == mask.sum()
    for measured, expected in (
        (found.relative, (error / np.abs(wanted)).max()),
        (found.rmse, math.sqrt(np.square(error).sum() / mask.sum())),
        (found.size, math.sqrt(np.square(wanted[mask]).mean())),
        (found.gain, ((got - wanted) * wanted)[mask].sum() / np.square(wanted[mask]).sum()),
    ):
        assert measured == pytest.approx(expected, rel=1e-12)
    assert (found.nan, found.inf) == (0, 0)


def test_nan_and_infinity_are_counted():
    wanted = np.array([[1.0, 2.0, 3.0, 4.0, np.inf, np.nan, -np.inf, 0.0]])
    got = np.array([[np.nan, np.inf, -np.inf, 4.0, np.inf, np.nan, -np.inf, 0.0]])
    everything = np.ones((1, 1), bool)
    found = difference(got, wanted, everything)
    assert (found.nan, found.inf, found.largest, found.index) == (1, 2, math.inf, (0, 0))
    assert (found.rmse, found.count) == (0, 5)
    assert difference(wanted, wanted, everything).largest == 0
    for place, value in ((4, 1.0), (4, -np.inf), (5, 1.0), (6, 0.0), (6, np.inf), (6, np.nan)):
        other = wanted.copy()
        other[0, place] = value
        assert difference(other, wanted, everything).largest == math.inf, (place, value)
    assert difference(np.zeros((0, 3)), np.zeros((0, 3)), np.ones((1, 1), bool)).count == 0
