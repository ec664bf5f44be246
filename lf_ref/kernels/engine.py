"""The kernels behind the names and signatures of `lf_ref.reference.ops`, run on a number of threads."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import band_plain, rowwise
from .threads import Threads

Array = NDArray[Any]

# Queries of one head done by one task of the band attention.
_QUERIES = 128

# One row of a batch: the place of its tokens, bool [S] local (visible and not global), int64 [g] global positions.
Place = tuple[slice, Array, Array]


class Kernels:
    """The operations of the fast path.

    Arrays are float32 or float64 and C-contiguous in their last axis. Results are new arrays; arguments are not
    changed. The result does not depend on `num_threads`.
    """

    # Rows of the feed-forward network done at a time, so that its inner activations are small beside the rest.
    CHUNK = 512

    def __init__(self, num_threads: int | None = None) -> None:
        self._threads = Threads(num_threads)

    def limit_blas(self) -> AbstractContextManager[Any]:
        """Hold NumPy's matrix products to the same number of threads while the context lasts."""
        return self._threads.limit_blas()

    # --- row by row ---------------------------------------------------------------------------------------------

    def linear(self, x: Array, weight: Array, bias: Array) -> Array:
        """x W^T + b.  # [..., m], [n, m], [n] -> [..., n]"""
        return self._linear(x, weight, bias, "identity")

    def linear_activation(self, x: Array, weight: Array, bias: Array, name: str) -> Array:
        """activation(x W^T + b).  # [..., m], [n, m], [n] -> [..., n]"""
        return self._linear(x, weight, bias, name)

    def activation(self, x: Array, name: str) -> Array:
        """The activation that HF calls `name`.  # [..., n] -> [..., n]"""
        out = np.array(x)
        self._add_bias(out.reshape(-1, x.shape[-1]), np.zeros(x.shape[-1], x.dtype), name)
        return out

    def tanh(self, x: Array) -> Array:
        """The hyperbolic tangent."""
        return np.tanh(x)

    def layer_norm(self, x: Array, weight: Array, bias: Array, eps: float) -> Array:
        """Each vector shifted to mean 0 and scaled to variance 1, then weight and bias.  # [..., n] -> [..., n]"""
        flat = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
        out = np.empty_like(flat)
        self._threads.rows(rowwise.layer_norm, len(flat), flat, weight, bias, flat.dtype.type(eps), out)
        return out.reshape(x.shape)

    def linear_residual_norm(
        self, x: Array, dense: tuple[Array, Array], residual: Array, norm: tuple[Array, Array], eps: float
    ) -> Array:
        """layer_norm(residual + x W^T + b).  # [rows, m], [rows, n] -> [rows, n]"""
        weight, bias = dense
        out = x @ weight.T
        self._threads.rows(
            rowwise.bias_residual_layer_norm, len(out), out, bias, residual, *norm, out.dtype.type(eps), out
        )
        return out

    def _linear(self, x: Array, weight: Array, bias: Array, name: str) -> Array:
        out = x @ weight.T
        self._add_bias(out.reshape(-1, out.shape[-1]), bias, name)
        return out

    def _add_bias(self, flat: Array, bias: Array, name: str) -> None:
        self._threads.rows(rowwise.BIAS_ACTIVATIONS[name], len(flat), flat, bias, flat)

    # --- attention ------------------------------------------------------------------------------------------------

    def band_attention(
        self, query: Array, key: Array, value: Array, places: list[Place], heads: int, one_sided: int
    ) -> Array:
        """What each local query gathers from the global tokens and from the local ones within `one_sided`.

        query, key, value: [tokens, hidden], the query not yet scaled; places: the rows of the batch.
        Returns [tokens, hidden], 0 for queries that are not local.
        """
        out = np.empty_like(query)
        tasks = [
            (
                query[tokens, head],
                key[tokens, head],
                value[tokens, head],
                local,
                globals_,
                one_sided,
                start,
                stop,
                out[tokens, head],
            )
            for tokens, local, globals_ in places
            for head in _heads(query, heads)
            for start, stop in _blocks(len(local))
        ]
        self._threads.run(band_plain.band_block, tasks)
        return out

    def band_probabilities(self, query: Array, key: Array, places: list[Place], heads: int, one_sided: int) -> Array:
        """The probabilities behind `band_attention`.

        Returns [rows, H, S, x + 2 one_sided + 1], x the largest number of global tokens of any row: see `attentions`
        of `LongformerBaseModelOutput`.
        """
        columns = max(len(globals_) for _, _, globals_ in places)
        out = np.zeros((len(places), heads, len(places[0][1]), columns + 2 * one_sided + 1), query.dtype)
        tasks = [
            (query[tokens, head], key[tokens, head], local, globals_, one_sided, start, stop, out[row, index])
            for row, (tokens, local, globals_) in enumerate(places)
            for index, head in enumerate(_heads(query, heads))
            for start, stop in _blocks(len(local))
        ]
        self._threads.run(band_plain.band_probabilities, tasks)
        return out

    def global_attention(
        self, hidden: Array, globals_: Array, visible: Array, weights: Mapping[str, Array], heads: int
    ) -> tuple[Array, Array]:
        """What the global queries of one row gather from all its visible tokens, through projections of their own.

        hidden: [S, hidden]; globals_: int64 [g]; visible: bool [S]; weights: `query_global.weight` and so on.
        Returns [g, hidden] and the probabilities [H, g, S].
        """

        def project(x: Array, name: str) -> Array:  # [n, hidden] -> [H, n, D]
            projected = self.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
            return projected.reshape(len(x), heads, -1).swapaxes(0, 1)

        query = project(hidden[globals_], "query_global")
        query /= np.sqrt(query.dtype.type(query.shape[2]))
        scores = query @ project(hidden, "key_global").swapaxes(1, 2)  # [H, g, D], [H, D, S] -> [H, g, S]
        scores[:, :, ~visible] = -np.inf
        scores -= scores.max(axis=2, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=2, keepdims=True)
        gathered = scores @ project(hidden, "value_global")  # [H, g, S], [H, S, D] -> [H, g, D]
        return gathered.swapaxes(0, 1).reshape(len(globals_), -1), scores


def _heads(projection: Array, heads: int) -> list[slice]:
    width = projection.shape[1] // heads
    return [slice(head * width, (head + 1) * width) for head in range(heads)]


def _blocks(length: int) -> list[tuple[int, int]]:
    return [(start, min(start + _QUERIES, length)) for start in range(0, length, _QUERIES)]
