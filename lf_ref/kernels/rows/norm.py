"""Layer normalisation of tokens in lanes."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ..jit import kernel, once, plain, types
from ..layout.vectors import LANES, load, multiply_add, narrow, root, spread, store, widen

__all__ = ["layer_norm", "norm_kernel"]


@once
def norm_kernel(dtype: Any) -> Any:
    """The kernel for float32 or float64."""
    real = types.float64 if dtype == np.float64 else types.float32
    array, constant = types.Array(real, 1, "C"), types.Array(real, 1, "C", readonly=True)
    integer = types.int64
    signature = types.void(array, integer, integer, constant, constant, types.float64)
    return kernel(signature, error_model="numpy")(plain(layer_norm))


@numba.njit(nogil=True, error_model="numpy")
def layer_norm(x: Any, panels: int, width: int, weight: Any, bias: Any, eps: float) -> None:
    """x := weight (x - mean) / sqrt(variance + eps) + bias, for each token, over the first `channels`.

    x: [panels, width, 16], flat; the variance is the biased one; sums are taken in float64.
    """
    channels = weight.shape[0]
    count = spread(np.float64(channels))
    for panel in range(panels):
        at = panel * width * LANES
        end = at + channels * LANES
        even = spread(np.float64(0.0))
        odd = even
        for place in range(at, end - LANES, 2 * LANES):
            even = even + widen(load(x, place))
            odd = odd + widen(load(x, place + LANES))
        if channels % 2:
            even = even + widen(load(x, end - LANES))
        mean = narrow((even + odd) / count, x)
        even = spread(np.float64(0.0))
        odd = even
        for place in range(at, end - LANES, 2 * LANES):
            one, other = widen(load(x, place) - mean), widen(load(x, place + LANES) - mean)
            even = multiply_add(one, one, even)
            odd = multiply_add(other, other, odd)
        if channels % 2:
            one = widen(load(x, end - LANES) - mean)
            even = multiply_add(one, one, even)
        variance = (even + odd) / count
        scale = narrow(spread(np.float64(1.0)) / root(variance + spread(np.float64(eps))), x)
        for channel in range(channels):
            place = at + channel * LANES
            y = (load(x, place) - mean) * scale
            store(multiply_add(y, spread(weight[channel]), spread(bias[channel])), x, place)
