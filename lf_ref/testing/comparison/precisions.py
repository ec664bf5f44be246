"""The precisions of candidates, and their arithmetic simulated in float32 or float64: each intermediate is rounded.

Frameworks do the same: within an operation (a matmul, a layer norm, a softmax) they compute in float32, and they round
its result to the dtype of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ...reference.ops import Array

Rounder = Callable[[Array], Array]


def to_bfloat16(x: Array) -> Array:
    """float32 values rounded to the nearest bfloat16, ties to even, as float32."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    upper = bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))
    rounded = (upper & np.uint32(0xFFFF0000)).view(np.float32).reshape(np.shape(x))
    return np.where(np.isfinite(x), rounded, x)


def to_float16(x: Array) -> Array:
    """float32 values rounded to the nearest float16, as float32; values that overflow become infinite."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def identity(x: Array) -> Array:
    """No rounding: the values already have the precision."""
    return x


@dataclass(frozen=True)
class Precision:
    """A dtype that candidates compute in.

    significand_bits: bits of the significand, the implicit one included. round: rounds each intermediate of a forward
    pass in float32 (float64 for float64), so that the reference implementation simulates the precision.
    """

    name: str
    significand_bits: int
    round: Rounder

    @property
    def unit_roundoff(self) -> float:
        """The largest relative error of one rounding, 2 ** -significand_bits."""
        return 2.0**-self.significand_bits


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("float64", 53, identity),
        Precision("float32", 24, identity),
        Precision("bfloat16", 8, to_bfloat16),
        Precision("float16", 11, to_float16),
    )
}


def check_precision(precision: Any) -> str:
    """The key of `PRECISIONS` for a name or for a dtype of any library.

    Raises:
        InputError: the precision is unknown.
    """
    known = (getattr(precision, attribute, None) for attribute in ("name", "__name__"))
    name = str(next(filter(None, known), precision)).rpartition(".")[2]
    if name not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    return name
