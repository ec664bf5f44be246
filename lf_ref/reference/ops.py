"""The operations a Longformer is built from, each by its formula. Every array keeps the dtype it came with.

Weights lie as torch stores them, and activations have HF's names. Nothing is checked here: that is done at the door of
`lf_ref.model`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Parameters = Mapping[str, Array]
Note = Callable[[str, Array], Array]


def ignore(name: str, array: Array) -> Array:
    """The observer that does nothing; HF has hooks instead of observers.

    An observer, a `Note`, receives the name and the values of each intermediate as soon as they are computed, and
    returns the values to continue with: the same, or values rounded to another dtype.

    name: HF's, of the module; array: float [...]. Returns the array, [...].
    """
    return array


def within(note: Note, module: str) -> Note:
    """An observer for the inside of a module of HF's: it calls `note` with the module's name before each name."""
    return lambda name, array: note(f"{module}.{name}", array)


def under(parameters: Parameters, prefix: str) -> dict[str, Array]:
    """The parameters whose names begin with `prefix` and a dot, by the rest of the name: of "pooler" its "dense.bias".

    Returns the same float arrays.
    """
    start = len(prefix) + 1
    return {name[start:]: array for name, array in parameters.items() if name.startswith(prefix + ".")}


def matmul(x: Array, y: Array) -> Array:
    """x y.  # float [..., m], [m, n] -> [..., n]

    Without NumPy's warning of an invalid value: its BLAS may compute with one that it then leaves out (OpenBLAS does
    for vectors of 5 float32), and where the result holds one, it is there to be seen.
    """
    with np.errstate(invalid="ignore"):
        return x @ y


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """x W^T + b, with the weight as torch stores it.  # float [..., m], [n, m], [n] -> [..., n]"""
    return matmul(x, weight.T) + bias


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    """Each vector to mean 0 and variance 1, times weight, plus bias.  # float [..., n], [n], [n] -> [..., n]

    The variance is the biased one, with eps added.
    """
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + x.dtype.type(eps)) * weight + bias


def masked(scores: Array, allowed: Array) -> Array:
    """The scores of allowed pairs; minus infinity for the others.

    scores: float [..., n]; allowed: bool [..., n], or what broadcasts to that. Returns [..., n].
    """
    return np.where(allowed, scores, scores.dtype.type(-np.inf))


def softmax(scores: Array) -> Array:
    """Shares along the last axis, in proportion to exp(score); a row of nothing but minus infinity gets all 0.

    scores: float [..., n]. Returns [..., n].
    """
    top = scores.max(axis=-1, keepdims=True)
    top = np.where(np.isfinite(top), top, scores.dtype.type(0))
    weights = np.exp(scores - top)  # exp(-inf) = 0
    total = weights.sum(axis=-1, keepdims=True)
    return weights / np.where(total > 0, total, total.dtype.type(1))


def tanh(x: Array) -> Array:
    """The hyperbolic tangent.  # float [...] -> [...]"""
    return np.tanh(x)


def gelu(x: Array) -> Array:
    """x times the normal distribution function of x, by the error function.  # float [...] -> [...]

    Source: Hendrycks and Gimpel 2016, arXiv 1606.08415.
    """
    erf = np.frompyfunc(math.erf, 1, 1)(x / x.dtype.type(math.sqrt(2.0))).astype(x.dtype)
    return x * (1 + erf) / 2


def gelu_tanh(x: Array) -> Array:
    """The tanh approximation of `gelu` (the same paper, section 2).  # float [...] -> [...]"""
    inner = x.dtype.type(math.sqrt(2.0 / math.pi)) * (x + x.dtype.type(0.044715) * x**3)
    return x * (1 + np.tanh(inner)) / 2


def gelu_fast(x: Array) -> Array:
    """`gelu_tanh` with sqrt(2 / pi) cut to ten digits, as HF has it: float64 shows it.  # float [...] -> [...]"""
    return x * (1 + np.tanh(x.dtype.type(0.7978845608) * x * (1 + x.dtype.type(0.044715) * x * x))) / 2


def relu(x: Array) -> Array:
    """The larger of each value and 0.  # float [...] -> [...]"""
    return np.maximum(x, x.dtype.type(0))


def silu(x: Array) -> Array:
    """x times its logistic function.  # float [...] -> [...]"""
    return x / (1 + np.exp(-np.abs(x))) * np.where(x >= 0, x.dtype.type(1), np.exp(-np.abs(x)))


# HF's names for `hidden_act`.
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu": gelu,
    "gelu_python": gelu,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_fast,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": relu,
    "silu": silu,
    "swish": silu,
    "tanh": tanh,
}


def activation(x: Array, name: str) -> Array:
    """The activation that HF calls `name`.  # float [...] -> [...]"""
    return ACTIVATIONS[name](x)
