"""Embeddings: the hidden states of a text, for each token or pooled into one vector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ..embeddings.pooling import MODES, pool
from ..errors import InputError
from ..hf_names import accepts
from ..model.heads import LongformerModel
from ..reference.ops import Array
from .arguments import FeatureExtractionArguments, PoolingArguments
from .base import Pipeline, Prepared
from .options import StrideOptions, check_choice
from .rows import Batch, Row
from .windows import counted_positions

if TYPE_CHECKING:
    from typing_extensions import Unpack

_POOLINGS = ("none", *MODES)


@accepts()
@dataclass(frozen=True)
class FeatureExtractionOptions(StrideOptions):
    """The options of feature-extraction, besides those of every task with windows.

    Args:
        pooling: "none" for a vector for each token, "cls" for that of the first token `<s>`, "mean" for the mean over
            all tokens of the text, `<s>` and `</s>` included.
        return_tensors: NumPy arrays, in the model's dtype, in place of nested lists.
    """

    pooling: str = "none"
    return_tensors: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding == "max_length":
            raise InputError(
                'padding="max_length" would give vectors of padding too: leave it out, and pad the result of '
                "return_tensors=True with np.pad"
            )
        self._set("pooling", check_choice("pooling", self.pooling, _POOLINGS))


@accepts()
class FeatureExtractionPipeline(Pipeline[FeatureExtractionOptions]):
    """Compute embeddings: the hidden states of the last layer for a text.

    As in HF the result without pooling is (1, tokens, hidden), the first axis being a batch of one; with pooling it is
    one vector, (hidden,). No token has global attention.

    >>> from lf_ref import pipeline
    >>> len(pipeline("feature-extraction", pooling="mean")("A short text."))
    256
    """

    task = "feature-extraction"
    model_class = LongformerModel
    options_class = FeatureExtractionOptions

    @overload
    def __call__(self, inputs: str, *, return_tensors: Literal[True], **options: Unpack[PoolingArguments]) -> Array: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, inputs: str, **options: Unpack[FeatureExtractionArguments]) -> list[Any] | Any: ...

    @overload
    def __call__(self, inputs: Iterator[str], **options: Unpack[FeatureExtractionArguments]) -> Iterator[Any]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(
        self, inputs: Iterable[str], *, return_tensors: Literal[True], **options: Unpack[PoolingArguments]
    ) -> list[Array]: ...

    @overload
    def __call__(self, inputs: Iterable[str], **options: Unpack[FeatureExtractionArguments]) -> list[Any]: ...

    def __call__(self, inputs: str | Iterable[str], **options: Any) -> Any:
        """Encode one text, or each text of a list.

        inputs: the text or texts; options: as for `FeatureExtractionOptions`.

        Returns:
            For each text nested lists, or a float array, (1, tokens, hidden) without pooling and (hidden,) with.
        """
        return self._answer(inputs, self._choose(options))

    def _rows(self, name: str, item: str, options: FeatureExtractionOptions) -> list[Row]:
        rows = self._windows(name, options, self._ids(item), global_at=(0, 0))
        counted = counted_positions([row.part for row in rows])
        return [replace(row, counted=positions) for row, positions in zip(rows, counted, strict=True)]

    def _run(self, batch: Batch, options: FeatureExtractionOptions) -> Iterable[Array]:
        """For each row the states of the tokens that count for the text, [n, hidden]."""
        states = self._call(**batch.inputs).last_hidden_state
        return (hidden[counted] for hidden, counted in zip(states, batch.counted, strict=True))

    def _finish(self, prepared: Prepared, options: FeatureExtractionOptions) -> Any:
        states = np.concatenate(prepared.findings)
        features = states[None] if options.pooling == "none" else pool(states, [options.pooling]).astype(states.dtype)
        return features if options.return_tensors else features.tolist()
