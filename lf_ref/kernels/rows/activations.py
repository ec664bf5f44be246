"""Activation functions on vectors, by Hugging Face's names for `hidden_act`.

For float32 the exponential is written out as a polynomial; float64 calls the C library for each lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..jit import helper, kernel, once, types
from ..layout.vectors import LANES, each_lane, exp2, less, load, magnitude, multiply_add, spread, store

__all__ = ["ACTIVATIONS", "activation", "activation_kernel", "negative_exp"]

Array = NDArray[Any]

_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_LOG2_E = np.float32(math.log2(math.e))
# log2(e) as the float32 above and what is missing to it, so that a product with it is exact to the last digit.
_LOG2_E_REST = np.float32(math.log2(math.e) - float(np.float32(math.log2(math.e))))
# exp(t^2 / 2) times the normal distribution's tail beyond t is (M0 + M1 t + ...) / (1 + N1 t + ...) for t in
# [0, 14], to a relative 6e-9 (minimax fit). Beyond _FAR the tail is 0 in float32.
_M0, _M1, _M2 = np.float32(0.500000002753), np.float32(0.437256674311), np.float32(0.182465569159)
_M3, _M4 = np.float32(0.040373659032), np.float32(0.00407773113592)
_N1, _N2, _N3 = np.float32(1.67239830319), np.float32(1.1993074108), np.float32(0.467438839032)
_N4, _N5 = np.float32(0.101208561234), np.float32(0.0102212275099)
_FAR = np.float32(14.0)
_GELU_TANH_SCALE, _GELU_TANH_CUBE = math.sqrt(8.0 / math.pi), 0.044715
_GELU_FAST_SCALE = 2.0 * 0.7978845608
_GELU_TANH_SCALE_32, _GELU_TANH_CUBE_32 = np.float32(_GELU_TANH_SCALE), np.float32(_GELU_TANH_CUBE)


@helper
def negative_exp(x: Array) -> Array:
    """exp(x) for float32 x <= 0, to about two units in the last place."""
    return exp2(multiply_add(x, spread(_LOG2_E), x * spread(_LOG2_E_REST)))


@helper
def _identity(x: Array) -> Array:
    return x


@helper
def _relu(x: Array) -> Array:
    return less(x, spread(_ZERO), spread(_ZERO), x)


@helper
def _gelu(x: Array) -> Array:
    """x times the normal distribution function, as relu(x) - t tail(t) with t = |x|.

    So both tails keep their digits, where 1 + erf would lose them.
    """
    t = magnitude(x)
    t = less(t, spread(_FAR), t, less(spread(_FAR), t, spread(_FAR), t))  # NaN stays NaN
    above = multiply_add(t, spread(_M4), spread(_M3))
    above = multiply_add(t, above, spread(_M2))
    above = multiply_add(t, above, spread(_M1))
    above = multiply_add(t, above, spread(_M0))
    below = multiply_add(t, spread(_N5), spread(_N4))
    below = multiply_add(t, below, spread(_N3))
    below = multiply_add(t, below, spread(_N2))
    below = multiply_add(t, below, spread(_N1))
    below = multiply_add(t, below, spread(_ONE))
    tail = above / below * negative_exp(spread(-_HALF) * t * t)
    return less(x, spread(_ZERO), spread(_ZERO), x) - t * tail


@helper
def _times_logistic(x: Array, y: Array) -> Array:
    """x / (1 + exp(-y))."""
    small = negative_exp(spread(_ZERO) - magnitude(y))
    return x * less(y, spread(_ZERO), small, spread(_ONE)) / (spread(_ONE) + small)


@helper
def _gelu_tanh(x: Array) -> Array:
    # (1 + tanh(u)) / 2 is the logistic function of 2u, which keeps its digits where u is far below 0.
    cube = multiply_add(spread(_GELU_TANH_CUBE_32) * x, x, spread(_ONE))
    return _times_logistic(x, spread(_GELU_TANH_SCALE_32) * x * cube)


@helper
def _silu(x: Array) -> Array:
    return _times_logistic(x, x)


@helper
def _relu_64(x: Any) -> Any:
    return 0.0 if x < 0.0 else x


@helper
def _gelu_64(x: Any) -> Any:
    return x * (0.5 * math.erfc(-x * math.sqrt(0.5)))


@helper
def _times_logistic_64(x: Any, y: Any) -> Any:
    small = math.exp(-abs(y))
    return x * (small if y < 0.0 else 1.0) / (1.0 + small)


@helper
def _gelu_tanh_64(x: Any) -> Any:
    return _times_logistic_64(x, _GELU_TANH_SCALE * x * (1.0 + _GELU_TANH_CUBE * x * x))


@helper
def _gelu_fast_64(x: Any) -> Any:
    """As `_gelu_tanh_64`, with sqrt(2 / pi) cut to ten digits as in HF, which only float64 can tell."""
    return _times_logistic_64(x, _GELU_FAST_SCALE * x * (1.0 + _GELU_TANH_CUBE * x * x))


@helper
def _silu_64(x: Any) -> Any:
    return _times_logistic_64(x, x)


@helper
def _tanh_scalar(x: Any) -> Any:
    return math.tanh(x)


_tanh = each_lane(_tanh_scalar)

# Hugging Face's names for `hidden_act`, and the plain addition of a linear layer: the float32 function of vectors, and
# the float64 function of scalars.
_FUNCTIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Any], Any]]] = {
    "identity": (_identity, _identity),
    "gelu": (_gelu, _gelu_64),
    "gelu_python": (_gelu, _gelu_64),
    "gelu_new": (_gelu_tanh, _gelu_tanh_64),
    "gelu_fast": (_gelu_tanh, _gelu_fast_64),
    "gelu_pytorch_tanh": (_gelu_tanh, _gelu_tanh_64),
    "relu": (_relu, _relu_64),
    "silu": (_silu, _silu_64),
    "swish": (_silu, _silu_64),
    "tanh": (_tanh, _tanh_scalar),
}
ACTIVATIONS = tuple(_FUNCTIONS)


def activation(name: str, dtype: Any) -> Callable[[Array], Array]:
    """The function of vectors that HF calls `name`, for float32 or float64."""
    on_vectors, on_scalars = _FUNCTIONS[name]
    if dtype == np.float32 or name == "identity":
        return on_vectors
    return each_lane(on_scalars)


@once
def activation_kernel(name: str, dtype: Any) -> Any:
    """The kernel that overwrites the elements of a flat array, a multiple of 16, by the function of them."""
    real = types.float64 if dtype == np.float64 else types.float32
    function = activation(name, dtype)

    @kernel(types.void(types.Array(real, 1, "C")))
    def activate(x: Any) -> None:
        for at in range(0, x.shape[0], LANES):
            store(function(load(x, at)), x, at)

    return activate
