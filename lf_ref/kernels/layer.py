"""All that a layer does token by token, as one kernel: for each block of panels a thread is called once.

So no thread waits for Python between two products, and what one leaves the next finds in the second-level cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ..memory import empty
from .attention.band import Sizes
from .jit import kernel, once, types
from .layout.vectors import LANES
from .matmul.linear import linear
from .matmul.microkernel import values_per_word
from .matmul.operands import Operand, weight_type
from .rows.norm import layer_norm
from .rows.rounding import round_to_bfloat16, round_to_int8

__all__ = ["Projected", "layer_kernel", "project_kernel"]

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


class Projected(NamedTuple):
    """Queries [panels, query_width, 16], keys and values as `band` takes them; all flat."""

    query: NDArray[Any]
    keys: NDArray[Any]
    values: NDArray[Any]


@once
def layer_kernel(kind: str, activation: str) -> Any:
    """The kernel for "float32", "float64", "bfloat16" or "int8" weights; activation: see `epilogues`."""
    real, element, _ = _types(kind)
    add, feed_forward = linear(kind, "add"), _feed_forward(kind, activation)
    keeps = kind in ("float32", "float64")
    dtype = np.dtype(np.float64 if kind == "float64" else np.float32)
    out, vector = types.Array(real, 1, "C"), types.Array(real, 1, "C", readonly=True)
    shared = types.UniTuple(weight_type(kind), 4), types.UniTuple(vector, 4), types.float64
    in_words = kind == "bfloat16"
    context, given = types.Array(element if in_words else real, 1, "C"), _operand("float32" if in_words else kind)

    @kernel(types.void(out, context, out, *shared, types.UniTuple(types.int64, 3)), error_model="numpy")
    def layer(
        x: Any, context: Any, attended: Any, dense: Any, norms: Any, eps: float, sizes: tuple[int, int, int]
    ) -> None:
        """attended = norm(x + W context + b);  x = norm(attended + W2 activation(W1 attended + b1) + b2).

        x: a block of lanes, flat, overwritten. context: elements for bfloat16, else lanes. attended: as x, or empty if
        nobody wants it. dense: W and b; W1 and b1; W2 and b2; W2 and zeros. norms: weight and bias, of both. sizes:
        panels; channels of x; those of a part, see `_feed_forward`.
        """
        panels, channels, part = sizes
        rows = panels, 0, dense[0].rows.shape[0], 0
        add(given(context, panels, dense[0].rows.shape[1]), dense[0], rows, (0, channels, 0), x)
        layer_norm(x, panels, channels, norms[0], norms[1], eps)
        if keeps and attended.shape[0] == 0:  # the sums go to x while it is still read
            attended = empty(x.shape[0], dtype)
        if attended.shape[0] > 0:
            attended[:] = x
            feed_forward(attended, dense, part, x, channels)
        else:
            feed_forward(x, dense, part, x, channels)
        layer_norm(x, panels, channels, norms[2], norms[3], eps)

    return layer


@once
def project_kernel(kind: str) -> Any:
    """The kernel for the projections of a block that attention takes; kind: as above."""
    real, _, lanes = _types(kind)
    reduced, operand = kind in ("bfloat16", "int8"), _operand(kind)
    query, key, value = linear(kind, "words" if reduced else "lanes"), linear(kind, "rows"), linear(kind, "columns")
    arrays = [
        types.Array(name, 1, "C") for name in ([types.int32, types.int32, types.uint16] if reduced else [real] * 3)
    ]
    out, sizes = types.BaseTuple.from_types(arrays, Projected), types.BaseTuple.from_types([types.int64] * 5, Sizes)
    signature = types.void(lanes, types.UniTuple(weight_type(kind), 3), out, types.UniTuple(types.int64, 2), sizes)

    @kernel(signature, error_model="numpy")
    def project(x: Any, projections: Any, out: Any, block: tuple[int, int], sizes: Any) -> None:
        """Write queries, keys and values of x: lanes of a block, flat. block: its panels, and the first of them."""
        panels, first = block
        right, rows = operand(x, panels, projections[0].rows.shape[1]), projections[0].rows.shape[0]
        whole = panels, 0, rows, 0
        query(right, projections[0], whole, (first, sizes.query_width, 0), out.query)
        key(right, projections[1], whole, (first, sizes.tokens, sizes.head), out.keys)
        value(right, projections[2], whole, (first, out.values.shape[0] // rows, 0), out.values)

    return project


def _feed_forward(kind: str, activation: str) -> Any:
    real, words, whole = np.dtype(np.float64 if kind == "float64" else np.float32), kind == "bfloat16", kind == "int8"
    inner, add, operand = linear(kind, "words" if words else "lanes", activation), linear(kind, "add"), _operand(kind)
    per_element, given = values_per_word(kind), _operand("float32" if words else kind)

    @numba.njit(**_OPTIONS)
    def feed_forward(attended: Any, dense: Any, part: int, x: Any, channels: int) -> None:
        """x += W2 activation(W1 attended + b1) + b2, in parts of the channels between, which stay in the cache.

        int8 has one part, since a token's scale is that of all its channels.
        """
        panels = attended.shape[0] // (channels * LANES)
        total, depth = dense[1].rows.shape[0], dense[2].rows.shape[1]
        right = operand(attended, panels, dense[1].rows.shape[1])
        if whole:
            part = total
        for start in range(0, total, part):
            stop = min(start + part, total)
            column = start // per_element
            width = depth - column if stop == total else part // per_element
            height = width if words else stop - start
            between = empty(panels * height * LANES, np.int32 if words else real)
            if words and 2 * width > stop - start:
                between[:] = 0
            inner(right, dense[1], (panels, start, stop, 0), (0, height, start), between)
            last = dense[2 if start == 0 else 3]
            rows = panels, 0, last.rows.shape[0], column
            add(given(between, panels, width), last, rows, (0, channels, 0), x)

    return feed_forward


@once
def _operand(kind: str) -> Any:
    @numba.njit(**_OPTIONS)
    def as_it_is(x: Any, panels: int, depth: int) -> Any:
        return Operand(x, np.empty(0, np.float32))

    @numba.njit(**_OPTIONS)
    def rounded(x: Any, panels: int, depth: int) -> Any:
        words = empty(panels * depth * LANES, np.int32)
        round_to_bfloat16(x, (panels, x.shape[0] // (panels * LANES), depth), words)
        return Operand(words, np.empty(0, np.float32))

    @numba.njit(**_OPTIONS)
    def scaled(x: Any, panels: int, depth: int) -> Any:
        words, scales = empty(panels * depth * LANES, np.int32), empty(panels * LANES, np.float32)
        round_to_int8(x, (panels, x.shape[0] // (panels * LANES), depth), words, scales)
        return Operand(words, scales)

    return {"bfloat16": rounded, "int8": scaled}.get(kind, as_it_is)


def _types(kind: str) -> tuple[Any, Any, Any]:
    """Numba's types of a float, of an element of a product's right side, and of lanes."""
    real = types.float64 if kind == "float64" else types.float32
    return real, types.int32 if kind in ("bfloat16", "int8") else real, types.Array(real, 1, "C", readonly=True)
