"""The NumPy port with a part of it in another precision: softmaxes as people write them, and other operations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from oracles.port import Array, Port
from oracles.reduced import bfloat16

Rounding = Callable[[Array], Array]


def to_float16(x: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(x, np.float32).astype(np.float16).astype(np.float32)


def to_bfloat16(x: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return bfloat16(np.asarray(x, np.float32)).astype(np.float32)


ROUNDINGS: dict[str, Rounding] = {"float16": to_float16, "bfloat16": to_bfloat16}


class Rounded(Port):
    """The lowest finite score, which float16 has too, is that of what is not seen."""

    low: Rounding = staticmethod(to_float16)

    def seen(self, scores: Array) -> Array:
        return np.maximum(scores, np.float32(-60000))


# --- softmaxes --------------------------------------------------------------------------------------------------------


class EachOperation(Rounded):
    def softmax(self, scores):
        scores = self.low(self.seen(scores))
        powers = self.low(np.exp(self.low(scores - scores.max(-1, keepdims=True))))
        return self.low(powers / self.low(powers.sum(-1, keepdims=True)))


class SumInFloat32(Rounded):
    def softmax(self, scores):
        scores = self.low(self.seen(scores))
        powers = self.low(np.exp(self.low(scores - scores.max(-1, keepdims=True))))
        return self.low(powers / powers.sum(-1, keepdims=True))


class ResultAlone(Rounded):
    def softmax(self, scores):
        return self.low(super().softmax(scores))


class ScoresAlone(Rounded):
    def softmax(self, scores):
        return super().softmax(self.low(self.seen(scores)))


# --- anything but a softmax -------------------------------------------------------------------------------------------


class Weights(Rounded):
    def stored(self, values):
        return self.low(values)


class Projections(Rounded):
    def linear(self, x, name):
        made = super().linear(x, name)
        return self.keep(name, self.low(made)) if ".self." in name else made


class QueryAndKey(Rounded):
    def linear(self, x, name):
        made = super().linear(x, name)
        return self.keep(name, self.low(made)) if name.endswith((".query", ".key")) else made


class Context(Rounded):
    def gathered(self, shares, value, near):
        return self.low(super().gathered(shares, value, near))

    def global_context(self, name, x):
        return self.low(super().global_context(name, x))


class Norms(Rounded):
    def norm(self, x, name):
        return self.keep(name, self.low(super().norm(self.low(x), name)))


class Activation(Rounded):
    def gelu(self, x):
        return self.low(super().gelu(self.low(x)))


class Everything(Rounded):
    def rounded(self, x):
        return self.low(x)

    def softmax(self, scores):
        return super().softmax(self.seen(scores))


class PowersAlone(Rounded):
    def softmax(self, scores):
        powers = self.low(np.exp(scores - scores.max(-1, keepdims=True)))
        return powers / powers.sum(-1, keepdims=True)


SOFTMAXES = (EachOperation, SumInFloat32, ResultAlone, ScoresAlone)
OTHERS = (Weights, Projections, QueryAndKey, Context, Norms, Activation, Everything, PowersAlone)


def in_precision(fault: type[Rounded], precision: str) -> type[Rounded]:
    """The fault with the rounding to this precision."""
    return type(fault.__name__, (fault,), {"low": staticmethod(ROUNDINGS[precision])})
