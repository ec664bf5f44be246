"""Encode the texts of one call of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from .batch_encoding import BatchEncoding, row_values
from .encoding import Extra
from .rows import RowMaker
from .sequence import TextEncoder, TokenSequence
from .texts import Text, read_texts


@dataclass(frozen=True)
class Call:
    """The checked arguments of a call.

    Args:
        encoder: turns a text into ids.
        maker: makes rows of ids.
        pad: the padding token, or None.
        padding_side: "right" or "left".
        names: the values to return.
        is_split_into_words: whether texts are given as words.
        return_tensors: "np" or None.
    """

    encoder: TextEncoder
    maker: RowMaker
    pad: Extra | None
    padding_side: str
    names: Sequence[str]
    is_split_into_words: bool
    return_tensors: str | None

    def encode(self, text: Any, text_pair: Any) -> BatchEncoding:
        """Return the values of a text, a pair, or a batch of either."""
        texts, batched = read_texts(text, text_pair, is_split_into_words=self.is_split_into_words)
        rows = [self.maker.row(self._sequences(row, number)) for number, row in enumerate(texts)]
        origins = list(range(len(rows)))
        if self.maker.overflow:
            origins = [origin for origin in origins for _ in range(1 + len(rows[origin].overflowing))]
            rows = [part for row in rows for part in (row, *row.overflowing)]
        rows = self.maker.padded(rows, self.pad, self.padding_side)
        values = row_values(rows, self.names)
        if self.maker.overflow:
            values["overflow_to_sample_mapping"] = origins
        elif not batched and self.return_tensors is None:
            values = {name: value[0] if name != "length" else value for name, value in values.items()}
        return BatchEncoding(values, rows, self.return_tensors)

    def _sequences(self, row: Sequence[Text], number: int) -> list[TokenSequence]:
        encoder = self.encoder
        try:
            return [encoder.encode(text) if isinstance(text, str) else encoder.encode_words(text) for text in row]
        except InputError as error:
            raise InputError(f"text {number}: {error}") from None
