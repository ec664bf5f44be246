"""The arithmetic of other dtypes, imitated in float32 or float64: every intermediate is rounded as it is formed.

That is what frameworks do: inside an operation (a matrix product, a norm, a softmax) they compute in float32, and its
result is rounded to the dtype of the model.
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
    """float32 values rounded to the nearest float16, as float32; what is too large for it is infinite."""
    with np.errstate(over="ignore"):
        return x.astype(np.float16).astype(np.float32)


def unchanged(x: Array) -> Array:
    """Rounding to what the values are in already."""
    return x


@dataclass(frozen=True)
class Precision:
    """A dtype that candidates compute in.

    digits: binary digits of its numbers, so that rounding one changes it by at most 2**-digits of its size.
    run: the dtype the definition runs in to imitate it, and round: what is done to each intermediate of that run.
    """

    name: str
    digits: int
    round: Rounder

    @property
    def unit(self) -> float:
        """The largest relative error of one rounding."""
        return 2.0**-self.digits


PRECISIONS = {
    precision.name: precision
    for precision in (
        Precision("float64", 53, unchanged),
        Precision("float32", 24, unchanged),
        Precision("bfloat16", 8, to_bfloat16),
        Precision("float16", 11, to_float16),
    )
}


def check_precision(precision: Any) -> str:
    """A key of `PRECISIONS`, from its name or from a dtype of any library.

    Raises:
        InputError: it is none.
    """
    known = (getattr(precision, attribute, None) for attribute in ("name", "__name__"))
    name = str(next(filter(None, known), precision)).rpartition(".")[2]
    if name not in PRECISIONS:
        raise InputError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    return name
