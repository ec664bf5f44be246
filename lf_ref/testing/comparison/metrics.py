"""Error metrics of two tensors, computed in float64 in blocks of some million elements."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...reference.ops import Array

_BLOCK = 1 << 21  # elements in float64 at a time
# A trace has the score -inf for masked keys. Implementations write -inf, the lowest value of their dtype, -1e9 or
# -10000: any score up to this one counts as masked, since its probability is 0.
MASKED_SCORE = -5000.0


@dataclass
class Difference:
    """The errors of a tensor, over its valid elements.

    largest: the largest absolute error (inf where only one of the two is finite), at `index`, where the tensors hold
    `got` and `wanted`. relative: the largest relative error, where `wanted` is not 0. rmse: root mean square of the
    finite errors. gain: the slope of the errors over the wanted values: how much too large the values are on average,
    relative; near 0 when rounding to nearest. size: root mean square of the wanted values. nan, inf: the number of such
    values where finite ones are wanted. count: the number of finite wanted values.
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


def difference(got: Array, wanted: Array, valid: Array) -> Difference:
    """Compute the metrics of two tensors of one shape. valid: bool, broadcasts to it."""
    found = Difference()
    squares = slope = norms = 0.0
    flat = (math.prod(got.shape[:2]), *got.shape[2:]) if got.ndim > 2 else (got.shape or (1,))
    mask = np.broadcast_to(valid, got.shape).reshape(flat) if got.ndim > 2 else np.broadcast_to(valid, flat)
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
        same = (a == b) | (np.isnan(a) & np.isnan(b)) | ((b == -np.inf) & (a <= MASKED_SCORE))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            error = np.where(same | ~use, 0.0, np.where(finite & seen, np.abs(a - b), np.inf))
            relative = np.where(b != 0, error / np.abs(b), 0.0)
        if error.size and error.max() > found.largest:
            worst = int(error.argmax())
            found.largest, found.got, found.wanted = (float(array.flat[worst]) for array in (error, a, b))
            where = start * math.prod(flat[1:]) + worst
            found.index = tuple(int(axis) for axis in np.unravel_index(where, got.shape or (1,)))[: got.ndim]
        found.relative = max(found.relative, float(relative.max(initial=0.0, where=np.isfinite(b))))
        both = finite & seen & use
        a, b = np.where(both, a, 0.0), np.where(both, b, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):  # the lowest value of a dtype, where a score is wanted
            squares += float(np.square(a - b).sum())
            slope, norms = slope + float(((a - b) * b).sum()), norms + float(np.square(b).sum())
    found.rmse, found.size = math.sqrt(squares / max(1, found.count)), math.sqrt(norms / max(1, found.count))
    found.gain = slope / norms if norms else 0.0
    return found
