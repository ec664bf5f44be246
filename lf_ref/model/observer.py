"""The interface of an observer of a forward, such as `lf_ref.testing.trace` has."""

from __future__ import annotations

from typing import Protocol

from ..reference.ops import Array
from .inputs import Inputs


class Observer(Protocol):
    """Receives the inputs of a forward, and each intermediate as it is computed."""

    def begin(self, inputs: Inputs) -> None:
        """The checked batch, the head's default global attention included."""

    def __call__(self, name: str, array: Array, row: int | None = None, /) -> Array:
        """One intermediate by HF's module name: of one row of the batch, [seq, ...], or [batch, ...] of all.

        The reference implementation reports scores, probabilities and context head by head, in order, and continues
        with the returned array: the same one, or another of its shape and dtype. The fast kernels ignore the returned
        array, and may overwrite the given one afterwards.
        """
