"""The interface of a side, and lf_ref's own side; those of the peers are in `peer` and `engines`."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol, TypeVar

from ..checkpoint.reduced import ReducedWeight
from ..model.base import LongformerPreTrainedModel
from ..model.heads import LongformerForMaskedLM, LongformerForSequenceClassification, LongformerModel
from ..reference.ops import Array
from .lanes import InLanes, band_attention, matmul

Folder = str | os.PathLike[str]
Model = TypeVar("Model", bound=LongformerPreTrainedModel)


class Side(Protocol):
    """One side of a comparison: a checkpoint, loaded on first use, and its outputs in float32.

    ids, visible, is_global: int64 (rows, seq), 0 or 1 the latter two.
    """

    def encoder(self, ids: Array, is_global: Array, visible: Array | None = None) -> Array:
        """The last hidden states.  # -> [rows, seq, hidden]"""

    def classifier(self, ids: Array) -> Array:
        """Scores of the labels, the first token being global.  # -> [rows, labels]"""

    def masked_lm(self, ids: Array, is_global: Array, position: int) -> Array:
        """Scores of the words for one token of the only row.  # -> [vocabulary]"""

    def attention(self, query: Array, key: Array, value: Array, heads: int, window: int) -> Callable[[], Any]:
        """The banded attention of one layer without its projections, ready to run.  # [seq, hidden] -> same"""

    def linear(self, x: Array, weight: Array) -> Callable[[], Any]:
        """x W^T on one thread, ready to run; the result as the side has it.  # [n, a], [m, a] -> [n, m]"""

    def load(self, ids: Array, is_global: Array) -> None:
        """Load the encoder with all its weights into memory, ready for ids of this shape."""


class Ours:
    """lf_ref, in one of its dtypes."""

    def __init__(self, folder: Folder, num_threads: int, dtype: str) -> None:
        self._folder, self._threads, self._dtype = folder, num_threads, dtype

    def encoder(self, ids: Array, is_global: Array, visible: Array | None = None) -> Array:
        """As in `Side`."""
        output: Any = self._encoder(ids, visible, is_global)
        return output.last_hidden_state

    def classifier(self, ids: Array) -> Array:
        """As in `Side`."""
        output: Any = self._classifier(ids)
        return output.logits

    def masked_lm(self, ids: Array, is_global: Array, position: int) -> Array:
        """As in `Side`."""
        output: Any = self._masked_lm(ids, global_attention_mask=is_global, logits_at=[[0, position]])
        return output.logits[0]

    def attention(self, query: Array, key: Array, value: Array, heads: int, window: int) -> Callable[[], InLanes]:
        """As in `Side`, with the kernel of float32, whatever the dtype."""
        return band_attention(query, key, value, heads, window, self._threads)

    def linear(self, x: Array, weight: Array) -> Callable[[], InLanes]:
        """As in `Side`."""
        return matmul(x, weight, self._dtype, num_threads=1)

    def load(self, ids: Array, is_global: Array) -> None:
        """As in `Side`: a read of each weight loads it from the mapped file."""
        for weight in self._encoder.weights.values():
            (weight.elements if isinstance(weight, ReducedWeight) else weight).max()

    @cached_property
    def _encoder(self) -> LongformerModel:
        return self._load(LongformerModel)

    @cached_property
    def _classifier(self) -> LongformerForSequenceClassification:
        return self._load(LongformerForSequenceClassification)

    @cached_property
    def _masked_lm(self) -> LongformerForMaskedLM:
        return self._load(LongformerForMaskedLM)

    def _load(self, kind: type[Model]) -> Model:
        return kind.from_pretrained(self._folder, dtype=self._dtype, num_threads=self._threads)
