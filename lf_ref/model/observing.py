"""What may watch a forward: see `lf_ref.testing.trace`."""

from __future__ import annotations

from typing import Protocol

from ..reference.ops import Array
from .inputs import Inputs


class Observer(Protocol):
    """Is told what a forward was given, and each intermediate as it is computed."""

    def begin(self, inputs: Inputs) -> None:
        """The checked batch, the head's default global attention included."""

    def __call__(self, name: str, array: Array, row: int | None = None, /) -> Array:
        """One intermediate by HF's module name: of one row of the batch, [seq, ...], or [batch, ...] of all.

        The definition tells of scores, probabilities and context head by head, in order. It goes on with what is
        returned, which is the array itself, or one of its shape and dtype. The fast kernels only tell; what they tell
        of may be overwritten afterwards.
        """
