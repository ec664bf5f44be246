"""The two sides of a linear map: weights as they are stored, and tokens in lanes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..jit import types

__all__ = ["ELEMENTS", "SUMS", "Operand", "Weight", "frozen", "operand_type", "weight_type"]

Array = NDArray[Any]

# What an element of either side is, and a sum of products.
ELEMENTS: dict[str, Any] = {"float32": np.float32, "float64": np.float64, "bfloat16": np.int32, "int8": np.int32}
SUMS: dict[str, Any] = {"float32": np.float32, "float64": np.float64, "bfloat16": np.float32, "int8": np.int32}


class Weight(NamedTuple):
    """A weight and its bias, ready for a micro-kernel: see `Weights`.

    rows: [m, depth] elements. bias: [m]. scales, offsets: [m], for int8: what the sum of a row's integers is multiplied
    by, and what is subtracted from it before.
    """

    rows: Array
    bias: Array
    scales: NDArray[np.float32]
    offsets: NDArray[np.int32]


class Operand(NamedTuple):
    """Tokens in lanes: [panels, depth, 16] elements, flat; scales: for int8, of each token, [panels * 16]."""

    panels: Array
    scales: NDArray[np.float32]


def _array(dtype: Any, axes: int = 1) -> Any:
    names = {np.float32: types.float32, np.float64: types.float64, np.int32: types.int32}
    return types.Array(names[dtype], axes, "C", readonly=True)


def weight_type(kind: str) -> Any:
    """Numba's type of a `Weight`."""
    real = np.float64 if kind == "float64" else np.float32
    fields = [_array(ELEMENTS[kind], 2), _array(real), _array(np.float32), _array(np.int32)]
    return types.BaseTuple.from_types(fields, Weight)


def operand_type(kind: str) -> Any:
    """Numba's type of an `Operand`."""
    fields = [_array(ELEMENTS[kind]), _array(np.float32)]
    return types.BaseTuple.from_types(fields, Operand)


def frozen(array: Array) -> Array:
    """A flat view, or one of the matrix, that cannot be written to, as the types above want it."""
    view = array.view()
    view.flags.writeable = False
    return view
