"""The attention weights of a text in 8 bits, quantized layer by layer as the model computes them.

Of a layer there is what the band and the global tokens hold, never tokens x tokens: the layouts are those of HF's
`attentions` and `global_attentions`, without the window's columns that reach beyond any text of this length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..config import LongformerConfig
from ..errors import CheckpointError
from ..reference.ops import Array
from ..testing.traces.recorder import Index, Recorder


@dataclass(frozen=True)
class Quantized:
    """Attention weights in steps of 1/255 of the largest weight of each query: the weight is step * values.

    values: uint8 [heads, queries, columns]; step: float32 [heads, queries].
    """

    values: Array
    step: Array


@dataclass(frozen=True)
class Shape:
    """What the weights of a layer take: for the mean of all heads, and for each chosen head.

    layer: its number. window: two-sided, in tokens. length: of the text, in tokens. globals: the number of global
    tokens. kept: the number of heads, the mean being one.
    """

    layer: int
    window: int
    length: int
    globals: int
    kept: int

    @property
    def reach(self) -> int:
        """How many tokens to either side a query sees, and a text of this length has."""
        return min(self.window // 2, self.length - 1)

    @property
    def nbytes(self) -> int:
        """The bytes of values and steps, of local and of global queries."""
        columns = self.globals + 2 * self.reach + 1
        return self.kept * (self.length * (columns + 4) + self.globals * (self.length + 4))


class WeightRecorder(Recorder):
    """An observer that quantizes the attention weights of some layers: memory holds the floats of one of them.

    config: of the model; shapes: of the layers; heads: those to keep beside the mean of all.
    """

    def __init__(self, config: LongformerConfig, shapes: Sequence[Shape], heads: Sequence[int]) -> None:
        self._shapes = {f"encoder.layer.{shape.layer}.attention.self.probabilities": shape for shape in shapes}
        self._heads_kept = list(heads)
        self._open: dict[str, Array] = {}
        self._found: dict[str, Quantized] = {}
        super().__init__(config, lambda name: name.removesuffix("_global") in self._shapes)

    def local(self, layer: int) -> Quantized:
        """Those of a layer's local queries.  # values [kept, S, x + 2 reach + 1]; of a global query all are 0"""
        return self._found[f"encoder.layer.{layer}.attention.self.probabilities"]

    def global_(self, layer: int) -> Quantized | None:
        """Those of a layer's global queries, if it has any.  # values [kept, x, S]"""
        return self._found.get(f"encoder.layer.{layer}.attention.self.probabilities_global")

    def put(self, name: str, shape: tuple[int, ...], index: Index, piece: Array) -> None:
        """As in `Recorder`: the fast kernels report all heads at once, the reference implementation one by one."""
        pieces = piece.reshape(-1, *shape[2:])
        first = int(index[1]) if index else 0  # type: ignore[arg-type]  # (row, head)
        heads = self._open.setdefault(name, np.empty(shape[1:], piece.dtype))
        heads[first : first + len(pieces)] = pieces
        if first + len(pieces) == len(heads):
            self._found[name] = self._finished(name, self._open.pop(name))

    def _finished(self, name: str, heads: Array) -> Quantized:
        """Quantize the weights of one layer, in HF's layout.  # float [H, S, columns]"""
        kept = np.concatenate([heads.mean(axis=0, keepdims=True), heads[self._heads_kept]])
        if name in self._shapes:
            shape = self._shapes[name]
            outside = shape.window // 2 - shape.reach
            band = kept[:, :, shape.globals + outside : kept.shape[2] - outside]
            return quantized(np.concatenate([kept[:, :, : shape.globals], band], axis=2))
        return quantized(kept.swapaxes(1, 2))


def quantized(weights: Array) -> Quantized:
    """Quantize attention weights, each query's by its largest.  # float [heads, queries, columns]

    Raises:
        CheckpointError: a weight is NaN.
    """
    largest = weights.max(axis=2)
    if not np.isfinite(largest).all():
        raise CheckpointError("the attention weights are NaN: the model's weights hold NaN or infinity, or overflow")
    step = (largest / 255).astype(np.float32)
    values = np.rint(weights / np.where(step == 0, 1, step)[:, :, None]).astype(np.uint8)
    return Quantized(values, step)
