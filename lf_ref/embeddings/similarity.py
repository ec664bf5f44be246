"""The similarities of sentence-transformers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..reference.ops import Array
from .modules import unit


def similarities(a: ArrayLike, b: ArrayLike, measure: str) -> Array:
    """The similarity of each row of a to each of b; distances are negative.

    a: float (n, width) or (width,); b: float (m, width) or (width,); measure: one of `SIMILARITIES`. Returns (n, m).

    Raises:
        InputError: these are no vectors of one length.
    """
    rows, columns = _rows("a", a), _rows("b", b)
    if rows.shape[1] != columns.shape[1]:
        raise InputError(f"a has vectors of {rows.shape[1]} elements and b of {columns.shape[1]}; they must be as long")
    if measure == "cosine":
        return unit(rows) @ unit(columns).T
    if measure == "dot":
        return rows @ columns.T
    order = 2 if measure == "euclidean" else 1
    out: Array = np.empty((len(rows), len(columns)), np.result_type(rows, columns))
    for index, row in enumerate(rows):
        out[index] = -np.linalg.norm(columns - row, ord=order, axis=1)
    return out


def _rows(name: str, given: ArrayLike) -> Array:
    try:
        vectors: Array = np.atleast_2d(np.asarray(given))
    except ValueError:
        vectors = np.empty((0, 0, 0))
    if vectors.ndim != 2 or not vectors.shape[1] or vectors.dtype.kind not in "fiu":
        raise InputError(f"{name} must be vectors, float (n, width) or (width,), got {type(given).__name__}")
    return vectors if vectors.dtype.kind == "f" else vectors.astype(np.float64)
