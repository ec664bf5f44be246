"""Fill-mask: the most likely tokens for each `<mask>` of a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import InputError, PipelineException
from ..hf_names import Alias, accepts
from ..model.base import LongformerPreTrainedModel
from ..model.heads import LongformerForMaskedLM
from ..reference.ops import Array
from ..tokenizer import LongformerTokenizer
from ..tokenizer.arguments import check_count
from .arguments import FillMaskArguments
from .base import Pipeline
from .options import Options
from .results import FilledMask
from .rows import Batch, Prepared, Row
from .scores import best, softmax
from .texts import check_texts

if TYPE_CHECKING:
    from typing_extensions import Unpack


@accepts()
@dataclass(frozen=True)
class FillMaskOptions(Options):
    """The options of fill-mask, besides those of every task.

    Args:
        top_k: how many answers for each mask.
        targets: score only these words; each must be one token of the vocabulary (" word" with its leading space is
            another token than "word").
    """

    top_k: int = 5
    targets: str | Sequence[str] | None = None

    hf_names = {**Options.hf_names, "topk": Alias("top_k")}  # noqa: RUF012

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("top_k", self.top_k)
        if self.targets is not None and not self.words:
            raise InputError("targets must name at least one word, got none")

    @property
    def words(self) -> list[str]:
        """The targets one by one."""
        return (
            [self.targets] if isinstance(self.targets, str) else check_texts("targets", self.targets, in_any_order=True)
        )


@accepts()
class FillMaskPipeline(Pipeline[FillMaskOptions]):
    """Predict the most likely tokens for each mask of a text.

    For a text with one mask the result is a list of answers, the best first, each a dict with `score` (probability),
    `token` (id), `token_str` and `sequence` (the text with the answer in place); with several masks a list of such
    lists. As in HF, a list of one text has the result of that text. No token has global attention.

    >>> from lf_ref import pipeline
    >>> answers = pipeline("fill-mask")("The <mask> of the leaf moved towards the light.", top_k=2)
    >>> sorted(answers[0])
    ['score', 'sequence', 'token', 'token_str']
    """

    task = "fill-mask"
    model_class = LongformerForMaskedLM
    options_class = FillMaskOptions

    def __init__(self, model: LongformerPreTrainedModel, tokenizer: LongformerTokenizer, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        if tokenizer.mask_token_id is None:
            raise self._exception("fill-mask needs a tokenizer with a mask token, and this one has none")

    @overload
    def __call__(self, inputs: str, **options: Unpack[FillMaskArguments]) -> list[FilledMask] | Any: ...

    @overload
    def __call__(self, inputs: Iterator[str], **options: Unpack[FillMaskArguments]) -> Iterator[Any]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, inputs: Iterable[str], **options: Unpack[FillMaskArguments]) -> list[Any]: ...

    def __call__(self, inputs: str | Iterable[str], **options: Unpack[FillMaskArguments]) -> Any:
        """Fill the masks of one text, or of each text of a list.

        inputs: the text or texts; options: as for `FillMaskOptions`. Returns the result that the class describes.
        """
        results = self._answer(inputs, self._choose(options))
        return (
            results[0] if not isinstance(inputs, str) and isinstance(results, list) and len(results) == 1 else results
        )

    def _exception(self, reason: str) -> PipelineException:
        return PipelineException(self.task, self.model_class.__name__, reason)

    def _rows(self, name: str, item: str, options: FillMaskOptions) -> list[Row]:
        ids = self.encode(name, options, item)
        if self.tokenizer.mask_token_id not in ids:
            cut = ", or none is left after truncation" if options.cut else ""
            raise self._exception(
                f"{name} has no {self.tokenizer.mask_token}{cut}: write it where a word is to be found"
            )
        return [Row(ids)]

    def _run(self, batch: Batch, options: FillMaskOptions) -> Iterable[list[tuple[int, Array, Array]]]:
        """For each mask of each row: its position, the best tokens and their probabilities."""
        candidates = self._candidates(options)
        row_of, place_of = np.nonzero(batch.input_ids == self.tokenizer.mask_token_id)
        output = self._call(**batch.inputs, logits_at=np.stack([row_of, place_of], axis=1))
        found: list[list[tuple[int, Array, Array]]] = [[] for _ in batch.indices]
        for row, place, logits in zip(row_of, place_of, output.logits, strict=True):
            probabilities = softmax(logits)[candidates]
            chosen = best(probabilities, options.top_k)
            found[row].append((int(place), candidates[chosen], probabilities[chosen]))
        return found

    def _finish(self, prepared: Prepared, options: FillMaskOptions) -> list[FilledMask] | list[list[FilledMask]]:
        ids, masks = prepared.rows[0].ids, prepared.findings[0]
        several = len(masks) > 1
        answers = [
            [
                self._one(ids, place, token, score, several)
                for token, score in zip(tokens.tolist(), scores.tolist(), strict=True)
            ]
            for place, tokens, scores in masks
        ]
        return answers if several else answers[0]

    def _one(self, ids: Array, place: int, token: int, score: float, several: bool) -> FilledMask:
        filled = ids.copy()
        filled[place] = token
        return {
            "score": score,
            "token": token,
            "token_str": self.tokenizer.decode([token]),
            # As in HF: the other masks, and with them <s> and </s>, stay where there are several.
            "sequence": self.tokenizer.decode(
                filled[filled != self.tokenizer.pad_token_id].tolist(), skip_special_tokens=not several
            ),
        }

    def _choose(self, given: Any) -> FillMaskOptions:
        options = super()._choose(given)
        if options.targets is not None:
            self._candidates(options)  # refuses words that are no tokens
        return options

    def _candidates(self, options: FillMaskOptions) -> Array:
        """The ids of the candidate tokens, in order.  # int64 [n]"""
        if options.targets is not None:
            return np.array(sorted({self._token_of(word) for word in options.words}), np.int64)
        # The ids that there are: they may have holes, the model may have rows for more, and tokens may be added later.
        ids = np.sort(np.fromiter(self.tokenizer.get_vocab().values(), np.int64))
        return ids[ids < self.model.config.vocab_size]

    def _token_of(self, word: str) -> int:
        token = self.tokenizer.convert_tokens_to_ids(word)
        if token is None or self.tokenizer.convert_ids_to_tokens(token) != word:
            pieces = self.tokenizer.encode(word, add_special_tokens=False)
            if len(pieces) != 1:
                tokens = self.tokenizer.convert_ids_to_tokens(pieces)
                raise InputError(
                    f"target {word!r} is not one token of the vocabulary but {len(pieces)}: {tokens}"
                    + self._way_out(word)
                )
            token = int(pieces[0])
        if token >= self.model.config.vocab_size:
            raise InputError(f"target {word!r} has the id {token}, for which the model has no embedding")
        return token

    def _way_out(self, word: str) -> str:
        """A target to suggest instead of a word that is not one token; "" if there is none."""
        pieces = self.tokenizer.encode(word, add_special_tokens=False)
        if not pieces:
            return ""
        if len(self.tokenizer.encode(f" {word}", add_special_tokens=False)) == 1:
            return f"; with a space before it, targets={' ' + word!r}, it is one"
        first = self.tokenizer.convert_ids_to_tokens(pieces)[0]
        return f"; targets={first!r} scores the first of them, which is what HF takes for the word"
