"""How two tensors differ, in float64, some millions of numbers at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...reference.ops import Array

_BLOCK = 1 << 21  # numbers in float64 at a time
# What a query does not see has the score -inf here. Implementations write -inf, the lowest number of their dtype, -1e9
# or -10000: any of these will do, since the softmax makes 0 of it.
UNSEEN = -5000.0


@dataclass
class Difference:
    """How one tensor differs from another, over the numbers that count.

    largest: the largest absolute error (inf where one of the two is no number, and the other is), at `index`, where
    the two hold `got` and `wanted`. relative: the largest relative error, where something other than 0 is wanted.
    rmse: the root mean square of the finite errors. gain: how much too large the values are on the whole, relative: the
    slope of the errors over the wanted values; it is 0 but for luck where rounding is to the nearest. size: the root
    mean square of the wanted values. nan, inf: how many the candidate has where numbers are wanted. count: the numbers
    that are wanted and no infinity.
    """

    largest: float = 0.0
    index: tuple[int, ...] = ()
    got: float = math.nan
    wanted: float = math.nan
    relative: float = 0.0
    rmse: float = 0.0
    gain: float = 0.0
    size: float = 0.0
    nan: int = 0
    inf: int = 0
    count: int = 0


def difference(got: Array, wanted: Array, counted: Array) -> Difference:
    """Measure; the three have one shape, or `counted`, bool, broadcasts to it."""
    found = Difference()
    squares = slope = norms = 0.0
    flat = (math.prod(got.shape[:2]), *got.shape[2:]) if got.ndim > 2 else (got.shape or (1,))
    mask = np.broadcast_to(counted, got.shape).reshape(flat) if got.ndim > 2 else np.broadcast_to(counted, flat)
    one, other = got.reshape(flat), wanted.reshape(flat)
    step = max(1, _BLOCK // max(1, math.prod(flat[1:])))
    for start in range(0, flat[0], step):
        block = slice(start, start + step)
        use = mask[block]
        a, b = (np.asarray(array[block], np.float64) for array in (one, other))
        finite, seen = np.isfinite(b), np.isfinite(a)
        found.nan += int((np.isnan(a) & finite & use).sum())
        found.inf += int((np.isinf(a) & finite & use).sum())
        found.count += int((finite & use).sum())
        same = (a == b) | (np.isnan(a) & np.isnan(b)) | ((b == -np.inf) & (a <= UNSEEN))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            error = np.where(same | ~use, 0.0, np.where(finite & seen, np.abs(a - b), np.inf))
            relative = np.where(b != 0, error / np.abs(b), 0.0)
        if error.size and error.max() > found.largest:
            place = int(error.argmax())
            found.largest, found.got, found.wanted = (float(array.flat[place]) for array in (error, a, b))
            where = start * math.prod(flat[1:]) + place
            found.index = tuple(int(axis) for axis in np.unravel_index(where, got.shape or (1,)))[: got.ndim]
        found.relative = max(found.relative, float(relative.max(initial=0.0, where=np.isfinite(b))))
        both = finite & seen & use
        a, b = np.where(both, a, 0.0), np.where(both, b, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):  # the lowest number of a dtype, where a score is wanted
            squares += float(np.square(a - b).sum())
            slope, norms = slope + float(((a - b) * b).sum()), norms + float(np.square(b).sum())
    found.rmse, found.size = math.sqrt(squares / max(1, found.count)), math.sqrt(norms / max(1, found.count))
    found.gain = slope / norms if norms else 0.0
    return found
