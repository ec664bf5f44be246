"""The words that fit where the text says `<mask>`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..model.heads import LongformerForMaskedLM
from ..reference.ops import Array
from .base import Pipeline, as_texts

Answer = dict[str, Any]


class FillMaskPipeline(Pipeline):
    """Name the most likely tokens for each mask of a text.

    >>> from lf_ref import pipeline
    >>> answers = pipeline("fill-mask")("The <mask> of the leaf moved towards the light.", top_k=2)
    >>> sorted(answers[0])
    ['score', 'sequence', 'token', 'token_str']
    """

    model_class = LongformerForMaskedLM

    def __call__(
        self,
        inputs: str | Iterable[str],
        *,
        top_k: int | None = None,
        targets: str | Sequence[str] | None = None,
    ) -> Any:
        """Fill the masks of one text, or of each text of a list.

        Args:
            inputs: texts, each with at least one `<mask>`.
            top_k: how many answers for each mask (5 by default).
            targets: score only these words; each must be one token of the vocabulary (" word" with its leading space
                is another token than "word").

        Returns:
            For a text with one mask a list of answers, the best first, each a dict with `score` (probability, float),
            `token` (id), `token_str` and `sequence` (the text with the answer in place). With several masks a list of
            such lists. For a list of texts the list of their results.

        Raises:
            InputError: a text has no mask or is too long for the model; a target is not one token.
        """
        top_k = self.defaults.get("top_k", 5) if top_k is None else top_k
        if isinstance(top_k, bool) or not isinstance(top_k, int) or top_k < 1:
            raise InputError(f"top_k must be a positive integer, got {top_k!r}")
        targets = self.defaults.get("targets") if targets is None else targets
        candidates = None if targets is None else self._target_ids(targets)
        texts, single = as_texts(inputs)
        rows = [self.tokenizer.encode(text) for text in texts]
        for index, ids in enumerate(rows):
            which = "the text" if single else f"text {index}"
            if self.tokenizer.mask_token_id not in ids:
                raise InputError(f"{which} has no {self.tokenizer.mask_token}: write it where a word is to be found")
            self.check_length(which, len(ids))
        results: list[Any] = [None] * len(texts)
        for chosen, batch in self.batches(rows):
            row_of, place_of = np.nonzero(batch["input_ids"] == self.tokenizer.mask_token_id)
            output = self.model(**batch, logits_at=np.stack([row_of, place_of], axis=1))
            for i, index in enumerate(chosen):
                mine = row_of == i
                results[index] = self._answers(rows[index], place_of[mine], output.logits[mine], top_k, candidates)
        return results[0] if single else results

    def _target_ids(self, targets: str | Sequence[str]) -> Array:
        """The ids of words that are one token each.  # [n] -> int64 [n]"""
        words = [targets] if isinstance(targets, str) else list(targets)
        if not words:
            raise InputError("targets must name at least one word, got none")
        vocabulary = self.tokenizer.get_vocab()
        ids = []
        for word in words:
            pieces = [vocabulary[word]] if word in vocabulary else self.tokenizer.encode(word, add_special_tokens=False)
            if len(pieces) != 1:
                tokens = self.tokenizer.convert_ids_to_tokens(pieces)
                raise InputError(f"target {word!r} is not one token of the vocabulary but {len(pieces)}: {tokens}")
            ids.append(pieces[0])
        return np.array(sorted(set(ids)), np.int64)

    def _answers(
        self, ids: Sequence[int], places: Array, logits: Array, top_k: int, candidates: Array | None
    ) -> list[Answer] | list[list[Answer]]:
        """The answers for the masks of one text: a list for one mask, a list of lists for several."""
        several = len(places) > 1
        answers = []
        for place, scores in zip(places, logits, strict=True):
            weights = np.exp(scores - scores.max())
            probabilities = weights / weights.sum()
            considered = np.arange(len(scores)) if candidates is None else candidates
            order = np.argsort(-probabilities[considered], kind="stable")[:top_k]
            answers.append(
                [
                    self._answer(ids, int(place), int(word), float(probabilities[word]), several)
                    for word in considered[order]
                ]
            )
        return answers if several else answers[0]

    def _answer(self, ids: Sequence[int], place: int, word: int, score: float, several: bool) -> Answer:
        filled = [*ids[:place], word, *ids[place + 1 :]]
        filled = [token for token in filled if token != self.tokenizer.pad_token_id]
        return {
            "score": score,
            "token": word,
            "token_str": self.tokenizer.decode([word]),
            # As in HF: the other masks, and with them <s> and </s>, stay where there are several.
            "sequence": self.tokenizer.decode(filled, skip_special_tokens=not several),
        }
