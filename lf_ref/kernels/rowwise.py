"""Operations on the rows of a matrix in one pass: bias and activation; bias, residual and norm; softmax.

Every kernel takes `start, stop` first, so that threads can share the rows, then C-contiguous arrays of one
float dtype. It works on the rows [start, stop) and leaves the others alone. What replaces its input does so
in place: with a second array that might be the same, the compiled code would have to be scalar.

For float32 the exponential is written out as a polynomial, which becomes vector code; a call to the C library
for each number would cost more than everything else. float64 calls the C library. Sums are taken in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from .jit import kernel

__all__ = ["BIAS_ACTIVATIONS", "bias_residual_layer_norm", "layer_norm", "masked_softmax"]

FloatArray = NDArray[np.floating[Any]]

# Numba takes a literal for float64, which would widen all arithmetic: float32 constants have names.
_ZERO, _HALF, _ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
_LOG2_E = np.float32(math.log2(math.e))
# log(2) in two parts, the first of so few bits that its product with an exponent is exact (Cody and Waite).
_LOG_2_HIGH, _LOG_2_LOW = np.float32(0.693359375), np.float32(math.log(2.0) - 0.693359375)
# Adding 1.5 * 2**23 to a small float32 leaves the nearest integer in the sum's lowest bits.
_ROUNDER = np.float32(1.5 * 2**23)
_EXPONENT_AT, _EXPONENT_ZERO = np.int32(23), np.int32(127 << 23)
_LOWEST = np.float32(-88.0)  # the exponential of less is no longer a normal float32 and counts as 0
# exp(r) = 1 + r (E0 + E1 r + ...) for |r| <= log(2) / 2, to a relative 5e-9 (minimax fit).
_E0, _E1, _E2 = np.float32(1.00000001069), np.float32(0.499999981016), np.float32(0.166665055864)
_E3, _E4, _E5 = np.float32(0.0416671420911), np.float32(0.0083691393378), np.float32(0.00138886060012)
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

# With Numba's other error model every division tests for zero, and such a loop does not become vector code.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
# A multiply and an add may become one fused instruction: that only saves a rounding.
_FUSE = {"contract"}
# A sum may be taken in any order, so it can be kept in several partial sums, which also rounds less.
_SUM = {"contract", "reassoc"}


@numba.njit(**_OPTIONS, fastmath=_FUSE)
def _exp(x: Any) -> Any:
    """exp(x) for a float32 x <= 0, to about one unit in the last place."""
    x = _LOWEST if x < _LOWEST else x  # what is not a number has to stay so
    shifted = np.float32(x * _LOG2_E + _ROUNDER)
    whole = shifted - _ROUNDER
    r = x - whole * _LOG_2_HIGH - whole * _LOG_2_LOW
    mantissa = _ONE + r * (_E0 + r * (_E1 + r * (_E2 + r * (_E3 + r * (_E4 + r * _E5)))))
    exponent = np.int32((shifted.view(np.int32) << _EXPONENT_AT) + _EXPONENT_ZERO)
    return mantissa * exponent.view(np.float32)


@numba.njit(**_OPTIONS, fastmath=_FUSE)
def _gelu(x: Any) -> Any:
    """x times the normal distribution function of a float32 x, as relu(x) - t tail(t) with t = |x|.

    So both tails keep their digits, where 1 + erf would lose them.
    """
    t = abs(x)
    t = t if t < _FAR else _FAR
    above = _M0 + t * (_M1 + t * (_M2 + t * (_M3 + t * _M4)))
    below = _ONE + t * (_N1 + t * (_N2 + t * (_N3 + t * (_N4 + t * _N5))))
    tail = above / below * _exp(-_HALF * t * t)
    return (_ZERO if x < _ZERO else x) - t * tail


@numba.njit(**_OPTIONS, fastmath=_FUSE)
def _times_logistic(x: Any, y: Any) -> Any:
    """x / (1 + exp(-y)) in float32."""
    small = _exp(-abs(y))
    return x * (small if y < _ZERO else _ONE) / (_ONE + small)


@numba.njit(**_OPTIONS)
def _times_logistic_64(x: Any, y: Any) -> Any:
    small = math.exp(-abs(y))
    return x * (small if y < 0.0 else 1.0) / (1.0 + small)


@kernel(error_model="numpy")
def bias_identity(start: int, stop: int, x: FloatArray, bias: FloatArray) -> None:
    """x := x + bias.  # [rows, n], [n] -> [rows, n]"""
    for row in range(start, stop):
        for column in range(x.shape[1]):
            x[row, column] = x[row, column] + bias[column]


@kernel(error_model="numpy")
def bias_relu(start: int, stop: int, x: FloatArray, bias: FloatArray) -> None:
    """x := max(x + bias, 0).  # [rows, n], [n] -> [rows, n]"""
    zero = x.dtype.type(0)
    for row in range(start, stop):
        for column in range(x.shape[1]):
            y = x[row, column] + bias[column]
            x[row, column] = zero if y < zero else y


@kernel(error_model="numpy")
def bias_gelu(start: int, stop: int, x: FloatArray, bias: FloatArray) -> None:
    """x := y (1 + erf(y / sqrt(2))) / 2, y = x + bias.  # [rows, n], [n] -> [rows, n]"""
    for row in range(start, stop):
        if x.itemsize == 4:
            for column in range(x.shape[1]):
                x[row, column] = _gelu(x[row, column] + bias[column])
        else:
            for column in range(x.shape[1]):
                y = x[row, column] + bias[column]
                x[row, column] = y * (0.5 * math.erfc(-y * math.sqrt(0.5)))


@kernel(error_model="numpy")
def bias_gelu_tanh(start: int, stop: int, x: FloatArray, bias: FloatArray) -> None:
    """x := y (1 + tanh(sqrt(2 / pi) (y + 0.044715 y^3))) / 2, y = x + bias.  # [rows, n], [n] -> [rows, n]"""
    # (1 + tanh(u)) / 2 is the logistic function of 2u, which keeps its digits where u is far below 0.
    for row in range(start, stop):
        if x.itemsize == 4:
            for column in range(x.shape[1]):
                y = x[row, column] + bias[column]
                twice = _GELU_TANH_SCALE_32 * y * (_ONE + _GELU_TANH_CUBE_32 * y * y)
                x[row, column] = _times_logistic(y, twice)
        else:
            for column in range(x.shape[1]):
                y = x[row, column] + bias[column]
                x[row, column] = _times_logistic_64(y, _GELU_TANH_SCALE * y * (1.0 + _GELU_TANH_CUBE * y * y))


@kernel(error_model="numpy")
def bias_gelu_fast(start: int, stop: int, x: FloatArray, bias: FloatArray) -> None:
    """As `bias_gelu_tanh`, with sqrt(2 / pi) cut to ten digits as in HF, which only float64 can tell."""
    if x.itemsize == 4:
        bias_gelu_tanh(start, stop, x, bias)
    else:
        for row in range(start, stop):
            for column in range(x.shape[1]):
                y = x[row, column] + bias[column]
                x[row, column] = _times_logistic_64(y, _GELU_FAST_SCALE * y * (1.0 + _GELU_TANH_CUBE * y * y))


@kernel(error_model="numpy")
def bias_silu(start: int, stop: int, x: FloatArray, bias: FloatArray) -> None:
    """x := y / (1 + exp(-y)), y = x + bias.  # [rows, n], [n] -> [rows, n]"""
    for row in range(start, stop):
        if x.itemsize == 4:
            for column in range(x.shape[1]):
                y = x[row, column] + bias[column]
                x[row, column] = _times_logistic(y, y)
        else:
            for column in range(x.shape[1]):
                y = x[row, column] + bias[column]
                x[row, column] = _times_logistic_64(y, y)


@kernel(error_model="numpy")
def bias_tanh(start: int, stop: int, x: FloatArray, bias: FloatArray) -> None:
    """x := tanh(x + bias).  # [rows, n], [n] -> [rows, n]"""
    for row in range(start, stop):
        for column in range(x.shape[1]):
            x[row, column] = math.tanh(x[row, column] + bias[column])


# Hugging Face's names for `hidden_act`, and the plain addition of a linear layer.
BIAS_ACTIVATIONS: dict[str, Callable[[int, int, FloatArray, FloatArray], None]] = {
    "identity": bias_identity,
    "gelu": bias_gelu,
    "gelu_python": bias_gelu,
    "gelu_new": bias_gelu_tanh,
    "gelu_fast": bias_gelu_fast,
    "gelu_pytorch_tanh": bias_gelu_tanh,
    "relu": bias_relu,
    "silu": bias_silu,
    "swish": bias_silu,
    "tanh": bias_tanh,
}


@numba.njit(**_OPTIONS, fastmath=_SUM)
def _sum(values: FloatArray) -> Any:
    total = 0.0
    for index in range(values.shape[0]):
        total += np.float64(values[index])
    return total


@numba.njit(**_OPTIONS, fastmath=_SUM)
def _sum_of_squares(values: FloatArray, centre: Any) -> Any:
    total = 0.0
    for index in range(values.shape[0]):
        deviation = np.float64(values[index] - centre)
        total += deviation * deviation
    return total


@numba.njit(**_OPTIONS)
def _normalise(values: FloatArray, weight: FloatArray, bias: FloatArray, eps: Any) -> None:
    """Overwrite a vector by weight * (values - mean) / sqrt(variance + eps) + bias."""
    mean = values.dtype.type(_sum(values) / values.shape[0])
    variance = _sum_of_squares(values, mean) / values.shape[0]
    scale = values.dtype.type(1.0 / math.sqrt(variance + eps))
    for index in range(values.shape[0]):
        values[index] = (values[index] - mean) * scale * weight[index] + bias[index]


@kernel(error_model="numpy")
def layer_norm(
    start: int, stop: int, x: FloatArray, weight: FloatArray, bias: FloatArray, eps: Any, out: FloatArray
) -> None:
    """out = weight (x - mean) / sqrt(variance + eps) + bias, row by row; the variance is the biased one.

    # [rows, n], [n], [n] -> [rows, n]
    """
    for row in range(start, stop):
        for column in range(x.shape[1]):  # three times as fast as Numba's copy of a row
            out[row, column] = x[row, column]
        _normalise(out[row], weight, bias, eps)


@kernel(error_model="numpy")
def bias_residual_layer_norm(
    start: int,
    stop: int,
    x: FloatArray,
    bias: FloatArray,
    residual: FloatArray,
    weight: FloatArray,
    norm_bias: FloatArray,
    eps: Any,
) -> None:
    """x := layer_norm(x + bias + residual).  # [rows, n], [n], [rows, n], [n], [n] -> [rows, n]"""
    for row in range(start, stop):
        for column in range(x.shape[1]):
            x[row, column] += bias[column] + residual[row, column]
        _normalise(x[row], weight, norm_bias, eps)


@numba.njit(**_OPTIONS)
def _masked_maximum(scores: FloatArray, allowed: NDArray[np.bool_]) -> Any:
    maximum = scores.dtype.type(-np.inf)
    for column in range(scores.shape[0]):
        if allowed[column] and scores[column] > maximum:
            maximum = scores[column]
    return maximum


@kernel(error_model="numpy")
def masked_softmax(start: int, stop: int, x: FloatArray, allowed: NDArray[np.bool_]) -> None:
    """x := softmax over the allowed entries of each row, 0 for the others; all 0 where nothing is allowed.

    # [rows, n], bool [n] -> [rows, n]
    """
    zero = x.dtype.type(0)
    for row in range(start, stop):
        maximum = _masked_maximum(x[row], allowed)
        if x.itemsize == 4:
            for column in range(x.shape[1]):
                x[row, column] = _exp(x[row, column] - maximum if allowed[column] else _LOWEST)
        else:
            for column in range(x.shape[1]):
                x[row, column] = math.exp(x[row, column] - maximum) if allowed[column] else zero
        total = x.dtype.type(_sum(x[row]))
        if total != zero:
            for column in range(x.shape[1]):
                x[row, column] /= total
