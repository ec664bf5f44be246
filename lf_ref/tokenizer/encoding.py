"""What a tokenizer returns: one `Encoding` for every row, and the `BatchEncoding` that a model is called with.

Names and results are those of HF's `tokenizers` and `transformers`.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import InputError
from .bpe import Span
from .sequence import TokenSequence

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class CharSpan(NamedTuple):
    """Characters [start, end) of a text."""

    start: int
    end: int


class TokenSpan(NamedTuple):
    """Tokens [start, end) of a row."""

    start: int
    end: int


@dataclass(frozen=True)
class Part:
    """Tokens [start, stop) of a text; `index` is 0 for the first text of a row and 1 for the second."""

    sequence: TokenSequence
    index: int
    start: int
    stop: int


@dataclass(frozen=True)
class Extra:
    """A token that comes from no text, `count` times: a special token around the texts, or padding."""

    token_id: int
    token: str
    count: int = 1
    attended: bool = True


class Encoding:
    """One row of a batch: texts, special tokens and padding, in order.

    Every list has one entry for every token of the row. Tokens that come from no text have the offsets (0, 0) and
    None for word and sequence; a special token that a text spells out counts as part of that text. Names are those of
    an `Encoding` of HF's `tokenizers`. Indices of tokens, words and characters count from 0.

    Args:
        pieces: the texts, special tokens and padding of the row.
        overflowing: the rows that hold what was cut off of this one.
        token: index in the row.
        word, char: index in the text, of a word or of a character.
        sequence: which text of the row, 0 or 1.
    """

    def __init__(self, pieces: Sequence[Part | Extra], overflowing: Sequence[Encoding] = ()) -> None:
        self.pieces = tuple(pieces)
        self.overflowing = list(overflowing)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Encoding(num_tokens={len(self)})"

    def padded(self, padding: Extra, side: str) -> Encoding:
        """The same row with `padding` on one side, "left" or "right"; what overflowed stays as it is."""
        pieces = (padding, *self.pieces) if side == "left" else (*self.pieces, padding)
        return Encoding(pieces, self.overflowing)

    def _collect(self, of_text: Callable[[Part], Sequence[Any]], of_extra: Callable[[Extra], Any]) -> list[Any]:
        collected: list[Any] = []
        for piece in self.pieces:
            collected += of_text(piece) if isinstance(piece, Part) else [of_extra(piece)] * piece.count
        return collected

    @cached_property
    def ids(self) -> list[int]:
        """Token ids."""
        return self._collect(lambda part: part.sequence.ids[part.start : part.stop], lambda extra: extra.token_id)

    @cached_property
    def tokens(self) -> list[str]:
        """Tokens as the vocabulary writes them; an added token in a text as the text has it."""
        return self._collect(lambda part: part.sequence.tokens[part.start : part.stop], lambda extra: extra.token)

    @cached_property
    def offsets(self) -> list[Span]:
        """The span of characters of every token in its text, or in its word of a text that came as words."""
        return self._collect(lambda part: part.sequence.spans_from(part.start, part.stop), lambda extra: (0, 0))

    @cached_property
    def word_ids(self) -> list[int | None]:
        """The word of its text that every token is part of."""
        return self._collect(lambda part: part.sequence.words[part.start : part.stop], lambda extra: None)

    @cached_property
    def sequence_ids(self) -> list[int | None]:
        """0 for tokens of the first text, 1 for tokens of the second."""
        return self._collect(lambda part: [part.index] * (part.stop - part.start), lambda extra: None)

    @property
    def attention_mask(self) -> list[int]:
        """1, and 0 for padding."""
        return self._collect(lambda part: [1] * (part.stop - part.start), lambda extra: int(extra.attended))

    @property
    def special_tokens_mask(self) -> list[int]:
        """0 for tokens of a text, 1 for the special tokens and the padding around them."""
        return self._collect(lambda part: [0] * (part.stop - part.start), lambda extra: 1)

    @property
    def type_ids(self) -> list[int]:
        """All 0: a Longformer has one token type."""
        return [0] * len(self)

    @property
    def n_sequences(self) -> int:
        """How many texts the row was made of."""
        return max(sum(isinstance(piece, Part) for piece in self.pieces), 1)

    def _check_token(self, token: int) -> int:
        if not -len(self) <= token < len(self):
            raise InputError(f"token index {token} is outside a row of {len(self)} tokens")
        return token

    def token_to_sequence(self, token: int) -> int | None:
        """The text that a token comes from.

        Raises:
            InputError: the row has no such token.
        """
        return self.sequence_ids[self._check_token(token)]

    def token_to_word(self, token: int) -> int | None:
        """The word that a token is part of.

        Raises:
            InputError: the row has no such token.
        """
        return self.word_ids[self._check_token(token)]

    def token_to_chars(self, token: int) -> CharSpan | None:
        """The characters of a token.

        Raises:
            InputError: the row has no such token.
        """
        if self.token_to_sequence(token) is None:
            return None
        return CharSpan(*self.offsets[token])

    def word_to_tokens(self, word: int, sequence: int = 0) -> TokenSpan | None:
        """The tokens of a word of the text `sequence`; None where there is no such word."""
        tokens = [
            index
            for index, of in enumerate(zip(self.word_ids, self.sequence_ids, strict=True))
            if of == (word, sequence)
        ]
        return TokenSpan(tokens[0], tokens[-1] + 1) if tokens else None

    def word_to_chars(self, word: int, sequence: int = 0) -> CharSpan | None:
        """The characters of a word of the text `sequence`; None where there is no such word."""
        tokens = self.word_to_tokens(word, sequence)
        return CharSpan(self.offsets[tokens.start][0], self.offsets[tokens.end - 1][1]) if tokens else None

    def char_to_token(self, char: int, sequence: int = 0) -> int | None:
        """The first token that holds `char` of the text `sequence`; None for white space that was trimmed off."""
        for index, (start, end) in enumerate(self.offsets):
            if start <= char < end and self.sequence_ids[index] == sequence:
                return index
        return None

    def char_to_word(self, char: int, sequence: int = 0) -> int | None:
        """The word that holds `char` of the text `sequence`; None for white space that was trimmed off."""
        token = self.char_to_token(char, sequence)
        return None if token is None else self.word_ids[token]


_VALUES: dict[str, Callable[[Encoding], Any]] = {
    "input_ids": lambda row: row.ids,
    "token_type_ids": lambda row: row.type_ids,
    "attention_mask": lambda row: row.attention_mask,
    "special_tokens_mask": lambda row: row.special_tokens_mask,
    "offset_mapping": lambda row: row.offsets,
    "length": len,
}


def row_values(rows: Sequence[Encoding], names: Sequence[str]) -> dict[str, list[Any]]:
    """Some of the values of a batch, by HF's names, with one entry for every row."""
    return {name: [_VALUES[name](row) for row in rows] for name in names}


class BatchEncoding(UserDict[str, Any]):
    """The arguments of a model's call, as a mapping: `model(**tokenizer(text, return_tensors="np"))`.

    Values are also attributes (`encoding.input_ids`); `encoding[row]` is the `Encoding` of a row. The methods take
    `(row, index)`, or the index alone for the first row, as HF's `BatchEncoding` has them. All indices count from 0.

    Args:
        data: the values by name, lists of a number for each token, or of such a list for each row.
        encodings: one for every row, where the values come from texts.
        tensor_type: "np" turns every value into an int64 array (batch, tokens); None leaves them lists.
        batch_index: the row.
        batch_or_token_index, batch_or_word_index, batch_or_char_index: the row, or the index in the first row.
        token_index, word_index, char_index: a token of the row, or a word or character of the text.
        sequence_index: which text of the row, 0 or 1.

    Raises:
        InputError: rows of different lengths, or a type of tensor other than "np". By the methods: there is no such
            row or token, or the values were not made from texts.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        encodings: Sequence[Encoding] | None = None,
        tensor_type: str | None = None,
    ) -> None:
        super().__init__(data)
        self._encodings = None if encodings is None else list(encodings)
        self.convert_to_tensors(tensor_type)

    def __getitem__(self, item: Any) -> Any:
        """A value by its name, the `Encoding` of a row by its number, or all values of a slice of the rows."""
        if isinstance(item, str):
            return self.data[item]
        if isinstance(item, slice):
            return {name: value[item] for name, value in self.data.items()}
        return self._row(item)

    def __getattr__(self, name: str) -> Any:
        """A value by its name."""
        if name.startswith("__") or name == "data" or name not in self.data:
            raise AttributeError(f"this BatchEncoding has no {name}")
        return self.data[name]

    @property
    def encodings(self) -> list[Encoding] | None:
        """The rows; None where the values do not come from texts."""
        return self._encodings

    @property
    def is_fast(self) -> bool:
        """Whether tokens can be followed back to the text."""
        return self._encodings is not None

    @property
    def n_sequences(self) -> int | None:
        """How many texts every row was made of; None where the values do not come from texts."""
        return self._encodings[0].n_sequences if self._encodings else None

    def _row(self, batch_index: int) -> Encoding:
        if self._encodings is None:
            raise InputError("this BatchEncoding was not made from texts, so it knows tokens only by their ids")
        try:
            return self._encodings[batch_index]
        except IndexError:
            raise InputError(f"there is no row {batch_index} in a batch of {len(self._encodings)}") from None

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens of a row; arguments and errors as `BatchEncoding`."""
        return self._row(batch_index).tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """The word of every token of a row, None for tokens that come from no text; as `BatchEncoding`."""
        return self._row(batch_index).word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """0 or 1 for tokens of the first and second text, None for tokens of none; as `BatchEncoding`."""
        return self._row(batch_index).sequence_ids

    def token_to_sequence(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """0 or 1: the text that a token comes from; arguments and errors as `BatchEncoding`."""
        row, token = _row_and_index(batch_or_token_index, token_index)
        return self._row(row).token_to_sequence(token)

    def token_to_word(self, batch_or_token_index: int, token_index: int | None = None) -> int | None:
        """The word that a token is part of; arguments and errors as `BatchEncoding`."""
        row, token = _row_and_index(batch_or_token_index, token_index)
        return self._row(row).token_to_word(token)

    def token_to_chars(self, batch_or_token_index: int, token_index: int | None = None) -> CharSpan | None:
        """The characters of a token; arguments and errors as `BatchEncoding`."""
        row, token = _row_and_index(batch_or_token_index, token_index)
        return self._row(row).token_to_chars(token)

    def word_to_tokens(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> TokenSpan | None:
        """The tokens of a word; arguments and errors as `BatchEncoding`."""
        row, word = _row_and_index(batch_or_word_index, word_index)
        return self._row(row).word_to_tokens(word, sequence_index)

    def word_to_chars(
        self, batch_or_word_index: int, word_index: int | None = None, sequence_index: int = 0
    ) -> CharSpan | None:
        """The characters of a word; None where the row has no such word (HF raises a TypeError); as `BatchEncoding`."""
        row, word = _row_and_index(batch_or_word_index, word_index)
        return self._row(row).word_to_chars(word, sequence_index)

    def char_to_token(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The first token that holds a character; None for white space that was trimmed off; as `BatchEncoding`."""
        row, char = _row_and_index(batch_or_char_index, char_index)
        return self._row(row).char_to_token(char, sequence_index)

    def char_to_word(
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """The word that holds a character; arguments and errors as `BatchEncoding`."""
        row, char = _row_and_index(batch_or_char_index, char_index)
        return self._row(row).char_to_word(char, sequence_index)

    def convert_to_tensors(self, tensor_type: str | None = None, prepend_batch_axis: bool = False) -> BatchEncoding:
        """Turn every value into an int64 array, in place.

        tensor_type: "np", or None for nothing to be done. prepend_batch_axis: make (1, tokens) of a single row.

        Raises:
            InputError: rows of different lengths, or a type of tensor other than "np".
        """
        if tensor_type is None:
            return self
        if tensor_type != "np":
            raise InputError(f'return_tensors must be "np" or None, got {tensor_type!r}: arrays are NumPy here')
        for name, value in self.data.items():
            self.data[name] = _as_array(name, [value] if prepend_batch_axis else value)
        return self


def _row_and_index(first: int, second: int | None) -> tuple[int, int]:
    """HF's way of calling: (index) means the first row, (row, index) names one."""
    return (0, first) if second is None else (first, second)


def _as_array(name: str, value: Any) -> npt.NDArray[np.generic]:
    """An array of a value; integers become int64."""
    import numpy as np  # here, so that plain tokenizing does not wait for it

    try:
        array: npt.NDArray[np.generic] = np.asarray(value)
    except ValueError:
        raise InputError(
            f"the rows of {name} differ in length, so they make no array; pad them with padding=True, and cut them "
            "with truncation=True where they must not be longer than max_length"
        ) from None
    return array.astype(np.int64, copy=False) if array.size == 0 or array.dtype.kind in "iu" else array
