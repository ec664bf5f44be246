"""The kernels behind the names and signatures of `lf_ref.reference.ops`, run on a number of threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from . import band_plain, rowwise
from .amx_here import amx_kernel
from .global_rows import global_rows
from .products import linear_products
from .reduced import ReducedWeight, reduced_products
from .threads import Threads
from .vectors import dots_here

Array = NDArray[Any]
Weight = Array | ReducedWeight

_numba_config: Any = numba.config  # which has no type annotations

# Queries of one head done by one task of the band attention.
_QUERIES = 256


class Row(Protocol):
    """Where the n tokens of one row of a batch lie, and who attends to whom: see `lf_ref.model.plan.Row`."""

    @property
    def tokens(self) -> slice: ...  # noqa: D102
    @property
    def local(self) -> Array: ...  # noqa: D102
    @property
    def queries(self) -> slice: ...  # noqa: D102
    @property
    def globals(self) -> Array: ...  # noqa: D102


class Kernels:
    """The operations of the fast path.

    Arrays are float32 or float64 and C-contiguous in their last axis; weights of linear maps may be reduced instead.
    Results are new arrays; arguments are not changed. The result does not depend on the number of threads.
    """

    # Rows of the feed-forward network done at a time, so that its inner activations are small beside the rest: whole
    # tiles, on AMX too, and so many that packing the weights again for each chunk costs little.
    CHUNK = 960

    def __init__(self, threads: Threads, reduced: bool = False) -> None:
        """reduced: the weights are; then attention multiplies bfloat16 numbers too where the processor can."""
        self._threads, self._reduced = threads, reduced

    # --- row by row ---------------------------------------------------------------------------------------------

    def linear(self, x: Array, weight: Weight, bias: Array) -> Array:
        """x W^T + b.  # [..., m], [n, m], [n] -> [..., n]"""
        return self._linear(x, weight, bias, "identity")

    def linears(self, x: Array, maps: Sequence[tuple[Weight, Array]]) -> list[Array]:
        """x W^T + b for several W, all reduced or none, and b.  # [rows, m], each [n, m], [n] -> each [rows, n]"""
        outs = self._products(x, [weight for weight, _ in maps])
        for out, (_, bias) in zip(outs, maps, strict=True):
            self._add_bias(out, bias, "identity")
        return outs

    def linear_activation(self, x: Array, weight: Weight, bias: Array, name: str) -> Array:
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

    def layer_norm(self, x: Array, weight: Weight, bias: Array, eps: float) -> Array:
        """Each vector shifted to mean 0 and scaled to variance 1, then weight and bias.  # [..., n] -> [..., n]"""
        flat = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
        out = np.empty_like(flat)
        self._threads.rows(rowwise.layer_norm, flat, weight, bias, float(eps), out)
        return out.reshape(x.shape)

    def linear_residual_norm(
        self, x: Array, dense: tuple[Weight, Array], residual: Array, norm: tuple[Array, Array], eps: float
    ) -> Array:
        """layer_norm(residual + x W^T + b).  # [rows, m], [rows, n] -> [rows, n]"""
        weight, bias = dense
        out = self._product(x, weight)
        self._threads.rows(rowwise.bias_residual_layer_norm, out, bias, residual, *norm, float(eps))
        return out

    def _linear(self, x: Array, weight: Weight, bias: Array, name: str) -> Array:
        out = self._product(x.reshape(-1, x.shape[-1]), weight)
        self._add_bias(out, bias, name)
        return out.reshape(*x.shape[:-1], len(weight))

    def _product(self, x: Array, weight: Weight) -> Array:
        return self._products(x, [weight])[0]

    def _products(self, x: Array, weights: Sequence[Any]) -> list[Array]:
        several = linear_products if isinstance(weights[0], np.ndarray) else reduced_products
        return several(x, weights, self._threads)

    def _add_bias(self, flat: Array, bias: Array, name: str) -> None:
        self._threads.rows(rowwise.BIAS_ACTIVATIONS[name], flat, bias)

    # --- attention ------------------------------------------------------------------------------------------------

    def band_attention(
        self, query: Array, key: Array, value: Array, rows: Sequence[Row], heads: int, one_sided: int, out: Array
    ) -> Array:
        """What each local query gathers from the global tokens of its row and from the local ones within `one_sided`.

        query, key, value: [tokens, hidden], the query not yet scaled; out: the same shape, and it may be the query
        itself, since a task has read its queries before it writes.
        The rows lie in the order of their tokens. Returns out: 0 for all that are not local queries.
        """
        tasks, done = [], 0
        for row in rows:
            out[done : row.tokens.start + row.queries.start] = 0
            done = row.tokens.start + row.queries.stop
            masks = row.local, row.globals
            for head in _heads(query.shape[1], heads):
                arrays = query[row.tokens, head], key[row.tokens, head], value[row.tokens, head]
                target = out[row.tokens, head]
                tasks += [(*arrays, *masks, one_sided, *block, target) for block in _blocks(row.queries)]
        out[done:] = 0
        self._threads.run(_band_block(query.dtype, self._reduced), tasks)
        return out

    def band_probabilities(self, query: Array, key: Array, row: Row, one_sided: int, out: Array) -> None:
        """Write the probabilities behind `band_attention` for one row.

        out: [H, n, x + 2 one_sided + 1], laid out as `attentions` of `LongformerBaseModelOutput`.
        """
        tasks = []
        for index, head in enumerate(_heads(query.shape[1], len(out))):
            arrays = query[row.tokens, head], key[row.tokens, head], row.local, row.globals
            tasks += [(*arrays, one_sided, *block, out[index]) for block in _blocks(slice(0, len(row.local)))]
        self._threads.run(band_plain.band_probabilities, tasks)

    def global_attention(
        self,
        hidden: Array,
        queries: Array,
        visible: Array,
        weights: Mapping[str, Any],
        heads: int,
        probabilities: Array | None = None,
    ) -> Array:
        """What global queries of one row gather from all its visible tokens, through projections of their own.

        hidden: [S, hidden]; queries: int64 [q], positions; visible: bool [S]; weights: `query_global.weight` and so on;
        probabilities: [H, q, S] to write them to, if wanted. Returns [q, hidden].
        """

        def softmax(scores: Array) -> None:
            self._threads.rows(rowwise.masked_softmax, scores, visible)

        return global_rows(
            hidden, queries, weights, heads, softmax, self._threads, probabilities, product=self._product
        )


def _band_block(dtype: np.dtype[Any], reduced: bool) -> Callable[..., None]:
    """The kernel on tiles where it can be had: it is written for float32, and in LLVM, which needs the JIT."""
    if dtype != np.float32 or _numba_config.DISABLE_JIT:
        return band_plain.band_block
    # Each compiles, or loads from the cache, at import.
    if reduced and dots_here("bfloat16"):
        on_unit: Callable[..., None] | None = amx_kernel("band")
        if on_unit is not None:
            return on_unit
        from .band_bfloat16 import band_block
    else:
        from .band_float32 import band_block
    return band_block


def _heads(width: int, heads: int) -> list[slice]:
    return [slice(start, start + width // heads) for start in range(0, width, width // heads)]


def _blocks(queries: slice) -> list[tuple[int, int]]:
    return [(start, min(start + _QUERIES, queries.stop)) for start in range(queries.start, queries.stop, _QUERIES)]
