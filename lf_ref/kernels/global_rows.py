"""The rows of the global queries: attention over all visible tokens, through projections of their own.

There are two ways to the same numbers. `Projected` computes keys and values of all tokens. `Folded` moves the
projections to the other side of the sums, which costs far less for a few global tokens:

    q . (W x_j + b) = (W^T q) . x_j + constant        the softmax does not see the constant
    sum_j p_j (W x_j + b) = W (sum_j p_j x_j) + b      the p_j of a query add up to 1

Letters: S tokens, g global tokens, H heads, D numbers per head, hidden = H D.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .products import linear_product, multiply, products
from .products import product as plain_product
from .threads import Threads

__all__ = ["Folded", "Projected", "cheaper", "global_rows"]

Array = NDArray[Any]
Product = Callable[[Array, Any], Array]

_BYTES = 8 << 20  # of scores at a time: some hundred rows of a product, and still in the processor's cache


class Way(Protocol):
    """How queries meet the tokens; both methods take and give [H, n, ...] for n queries."""

    def scores(self, query: Array) -> Array:
        """[H, n, D] -> [H, n, S], up to a constant for each query."""

    def averages(self, shares: Array) -> Array:
        """[H, n, S] -> [H, n, D]: the values, weighted by shares that add up to 1."""


class Projected:
    """Keys and values of all tokens."""

    def __init__(
        self, hidden: Array, weights: Mapping[str, Any], heads: int, threads: Threads, product: Product
    ) -> None:
        """hidden: [S, hidden]; weights: `key_global.weight` and so on, as torch stores them."""
        self.key, self.value = (
            _by_head(_linear(hidden, weights, name, product), heads) for name in ("key_global", "value_global")
        )
        self.threads = threads

    def scores(self, query: Array) -> Array:
        """As in `Way`."""
        return products(query, self.key.swapaxes(1, 2), self.threads)

    def averages(self, shares: Array) -> Array:
        """As in `Way`."""
        return products(shares, self.value, self.threads)


class Folded:
    """The tokens themselves, with the projections applied to the queries and to the averages."""

    def __init__(
        self, hidden: Array, weights: Mapping[str, Any], heads: int, threads: Threads, product: Product
    ) -> None:
        """As in `Projected`; reduced weights are widened, by each thread for its heads."""
        self.hidden, self.threads, self.size = hidden, threads, hidden.shape[1] // heads
        self.key, self.value = weights["key_global.weight"], weights["value_global.weight"]
        self.bias = weights["value_global.bias"].reshape(heads, 1, -1)
        step = -(-heads // threads.count)
        self.heads = [(slice(first, first + step),) for first in range(0, heads, step)]

    def scores(self, query: Array) -> Array:
        """As in `Way`."""
        folded = np.empty((*query.shape[:2], self.hidden.shape[1]), self.hidden.dtype)

        def fold(heads: slice) -> None:
            multiply(query[heads], self._some(self.key, heads), folded[heads])  # [n, D], [D, hidden]

        self.threads.run(fold, self.heads)
        return _flat(folded, lambda rows: linear_product(rows, self.hidden, self.threads))

    def averages(self, shares: Array) -> Array:
        """As in `Way`."""
        # [H, n, S] -> [H, n, hidden]
        tokens = _flat(shares, lambda rows: plain_product(rows, self.hidden, self.threads))
        averages = np.empty((*shares.shape[:2], self.size), self.hidden.dtype)

        def project(heads: slice) -> None:
            values = self._some(self.value, heads).swapaxes(1, 2)
            multiply(tokens[heads], values, averages[heads])  # [n, hidden], [hidden, D]

        self.threads.run(project, self.heads)
        averages += self.bias
        return averages

    def _some(self, weight: Any, heads: slice) -> Array:
        """A weight as some heads have it, in floats.  # [some heads, D, hidden]"""
        rows: Array = weight[heads.start * self.size : heads.stop * self.size]  # those of the last may be fewer
        return rows.reshape(-1, self.size, self.hidden.shape[1])


def cheaper(width: int, globals_: int, heads: int) -> type[Projected] | type[Folded]:
    """The way with fewer multiplications for each token: folding pays below about width / heads queries."""
    return Folded if heads * globals_ < width + globals_ else Projected


def global_rows(
    hidden: Array,
    positions: Array,
    weights: Mapping[str, Any],
    heads: int,
    softmax: Callable[[Array], None],
    threads: Threads,
    probabilities: Array | None = None,
    way: type[Projected] | type[Folded] | None = None,
    product: Product | None = None,
) -> Array:
    """What the tokens at `positions` gather from all tokens.  # [S, hidden], int64 [g] -> [g, hidden]

    weights: `query_global.weight`, `query_global.bias` and so on, as torch stores them; softmax: replaces the
    rows of [n, S], leaving out the masked tokens; probabilities: if given, [H, g, S], overwritten; way: the
    cheaper one if not given; product: x W^T for the kind of weights that there are. Beside the result and the
    projections it takes a few MB, whatever g is.
    """
    if product is None:
        product = partial(linear_product, threads=threads)
    query = _by_head(_linear(hidden[positions], weights, "query_global", product), heads)
    query /= query.dtype.type(query.shape[2] ** 0.5)
    met: Way = (way or cheaper(hidden.shape[1], len(positions), heads))(hidden, weights, heads, threads, product)
    out = np.empty((len(positions), hidden.shape[1]), hidden.dtype)
    step = max(1, _BYTES // (heads * len(hidden) * hidden.itemsize))
    for start in range(0, len(positions), step):
        some = slice(start, start + step)
        shares = met.scores(query[:, some])
        softmax(shares.reshape(-1, len(hidden)))
        if probabilities is not None:
            probabilities[:, some] = shares
        averages = met.averages(shares)  # [H, n, D]
        out[some] = averages.swapaxes(0, 1).reshape(averages.shape[1], -1)
    return out


def _linear(x: Array, weights: Mapping[str, Any], name: str, product: Product) -> Array:
    projected = product(x, weights[f"{name}.weight"])
    projected += weights[f"{name}.bias"]
    return projected


def _by_head(x: Array, heads: int) -> Array:
    """[n, hidden] -> [H, n, D]"""
    split: Array = x.reshape(len(x), heads, -1)
    return np.swapaxes(split, 0, 1)


def _flat(x: Array, product: Callable[[Array], Array]) -> Array:
    """Do a product for the rows of all heads at once.  # [H, n, a] -> [H, n, b]"""
    return product(x.reshape(-1, x.shape[2])).reshape(*x.shape[:2], -1)
