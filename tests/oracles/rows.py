"""Activations, layer norm and softmax in Python floats. Imports nothing of the program under test."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Vector = list[float]


def gelu(x: float) -> float:
    """x times the normal distribution function of x."""
    return x * math.erfc(-x / math.sqrt(2.0)) / 2 if x > -math.inf else -0.0


def gelu_tanh(x: float) -> float:
    """The approximation of gelu by a hyperbolic tangent: x (1 + tanh(u)) / 2 = x / (1 + exp(-2 u))."""
    return x * _logistic(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))


def gelu_fast(x: float) -> float:
    """The same with sqrt(2 / pi) cut to ten digits."""
    return x * _logistic(2 * 0.7978845608 * (x + 0.044715 * x**3))


def silu(x: float) -> float:
    """x times its logistic function."""
    return x * _logistic(x)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "identity": lambda x: x,
    "gelu": gelu,
    "gelu_python": gelu,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_fast,
    "gelu_pytorch_tanh": gelu_tanh,
    "relu": lambda x: max(x, 0.0),
    "silu": silu,
    "swish": silu,
    "tanh": math.tanh,
}


def layer_norm(x: Sequence[float], weight: Sequence[float], bias: Sequence[float], eps: float) -> Vector:
    """Shift to mean 0, scale to variance 1 (biased, plus eps), then weight and bias."""
    mean = math.fsum(x) / len(x)
    variance = math.fsum((number - mean) ** 2 for number in x) / len(x)
    scale = 1 / math.sqrt(variance + eps)
    return [(number - mean) * scale * w + b for number, w, b in zip(x, weight, bias, strict=True)]


def masked_softmax(x: Sequence[float], allowed: Sequence[bool]) -> Vector:
    """exp(x) over its sum, among the allowed; 0 for the others."""
    top = max((number for number, may in zip(x, allowed, strict=True) if may), default=0.0)
    weights = [math.exp(number - top) if may else 0.0 for number, may in zip(x, allowed, strict=True)]
    total = math.fsum(weights)
    return [weight / total if total else 0.0 for weight in weights]
