"""What every pipeline shares: one text or many, batches by length, results in the order of the texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.base import LongformerPreTrainedModel
from ..tokenizer import LongformerTokenizer

Ids = Sequence[int]


class Pipeline:
    """A model and its tokenizer, set to one task.

    Args:
        model: of the class that the task needs.
        tokenizer: the one the model was trained with.
        batch_tokens: how many tokens, padding included, are run through the model at once. Texts of about the same
            length go together. It changes speed and memory, not the results.
        defaults: parameters of the task, for calls that do not give them.
    """

    model_class: ClassVar[type[LongformerPreTrainedModel]]

    def __init__(
        self,
        model: LongformerPreTrainedModel,
        tokenizer: LongformerTokenizer,
        *,
        batch_tokens: int = 4096,
        **defaults: Any,
    ) -> None:
        if not isinstance(model, self.model_class):
            raise InputError(f"{type(self).__name__} needs a {self.model_class.__name__}, got {type(model).__name__}")
        if len(tokenizer) > model.config.vocab_size:
            raise InputError(
                f"the tokenizer has {len(tokenizer)} tokens and the model only {model.config.vocab_size}: "
                "they do not belong together"
            )
        self.model = model
        self.tokenizer = tokenizer
        self.batch_tokens = batch_tokens
        self.defaults = defaults

    def __call__(self, inputs: Any, **parameters: Any) -> Any:
        """Answer for one text, or for each text of a list."""
        raise NotImplementedError

    def check_length(self, which: str, tokens: int) -> None:
        """Refuse a text that is longer than the model takes.

        Raises:
            InputError: names the text, both lengths and the way out.
        """
        most = self.model.config.max_length
        if tokens > most:
            raise InputError(
                f"{which} has {tokens} tokens, and this model takes at most {most}: shorten it, or split it into pieces"
            )

    def batches(self, rows: Sequence[Ids]) -> Iterator[tuple[list[int], dict[str, NDArray[np.int64]]]]:
        """Group rows of token ids by length and pad them: yields their places in the list and the model's inputs."""
        order = sorted(range(len(rows)), key=lambda index: len(rows[index]), reverse=True)
        while order:
            longest = len(rows[order[0]])
            count = max(1, self.batch_tokens // longest)
            chosen, order = order[:count], order[count:]
            input_ids = np.full((len(chosen), longest), self.tokenizer.pad_token_id, np.int64)
            attention_mask = np.zeros((len(chosen), longest), np.int64)
            for i, index in enumerate(chosen):
                input_ids[i, : len(rows[index])] = rows[index]
                attention_mask[i, : len(rows[index])] = 1
            yield chosen, {"input_ids": input_ids, "attention_mask": attention_mask}


def as_texts(inputs: str | Iterable[str]) -> tuple[list[str], bool]:
    """The texts as a list, and whether it was a single one.

    Raises:
        InputError: it is neither a text nor a collection of texts.
    """
    if isinstance(inputs, str):
        return [inputs], True
    try:
        texts = list(inputs)
    except TypeError:
        texts = [inputs]
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"a pipeline takes a text or a list of texts, got {type(text).__name__} at {index}")
    return texts, False
