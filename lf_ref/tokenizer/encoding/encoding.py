"""One encoded row, which can be traced back to its texts; names and results are those of HF's `tokenizers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ...errors import InputError
from ...hf_names import Alias, HFNamed, accepts
from ..arguments import as_index
from ..bpe.spans import Span
from .sequence import TokenSequence


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
    """A token that belongs to no text, `count` times: a special token around the texts, or padding."""

    token_id: int
    token: str
    count: int = 1
    attended: bool = True


_TOKEN, _SEQUENCE = {"token_index": Alias("token")}, {"sequence_index": Alias("sequence")}
_WORD = {"word_index": Alias("word"), **_SEQUENCE}
_CHAR = {"char_pos": Alias("char"), **_SEQUENCE}
_BY_CALLING = "call the tokenizer with {}"
_NOT_OF_ROWS = {
    "pad": _BY_CALLING.format("padding="),
    "truncate": _BY_CALLING.format("truncation=True and max_length="),
    "merge": _BY_CALLING.format("text_pair="),
    "set_sequence_id": _BY_CALLING.format("text_pair="),
}


@accepts(
    token_to_sequence=_TOKEN,
    token_to_word=_TOKEN,
    token_to_chars=_TOKEN,
    word_to_tokens=_WORD,
    word_to_chars=_WORD,
    char_to_token=_CHAR,
    char_to_word=_CHAR,
)
class Encoding(metaclass=HFNamed):
    """One row of a batch: texts, special tokens and padding, in order.

    Every list has one entry for every token of the row. Tokens that belong to no text have the offsets (0, 0) and
    None for word and sequence; a special token that a text spells out belongs to that text. Names are those of
    `Encoding` in HF's `tokenizers`. Indices of tokens, words and characters count from 0.

    Args:
        pieces: the texts, special tokens and padding of the row.
        overflowing: further rows, with the tokens that truncation removed from this one.
        token: index in the row.
        word, char: index of a word or character in the text.
        sequence: text of the row, 0 or 1.
    """

    _hf_hints = _NOT_OF_ROWS
    pieces: tuple[Part | Extra, ...]
    overflowing: list[Encoding]

    def __init__(self, pieces: Sequence[Part | Extra], overflowing: Sequence[Encoding] = ()) -> None:
        self.__dict__["pieces"] = tuple(pieces)  # without the checks of a setter, since every row comes through here
        self.__dict__["overflowing"] = list(overflowing)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Encoding(num_tokens={len(self)})"

    def padded(self, padding: Extra, side: str) -> Encoding:
        """Return the row with `padding` on one side, "left" or "right"; overflowing rows do not change."""
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
        """Tokens as the vocabulary writes them; an added token as the text writes it."""
        return self._collect(lambda part: part.sequence.tokens[part.start : part.stop], lambda extra: extra.token)

    @cached_property
    def offsets(self) -> list[Span]:
        """The span of characters of every token in its text, or in its word if the text was given as words."""
        return self._collect(lambda part: part.sequence.spans_from(part.start, part.stop), lambda extra: (0, 0))

    @cached_property
    def word_ids(self) -> list[int | None]:
        """The index of the word of every token in its text."""
        return self._collect(lambda part: part.sequence.words[part.start : part.stop], lambda extra: None)

    @property
    def words(self) -> list[int | None]:
        """`word_ids`, by its old name."""
        return self.word_ids

    @cached_property
    def sequence_ids(self) -> list[int | None]:
        """0 for tokens of the first text, 1 for tokens of the second."""
        return self._collect(lambda part: [part.index] * (part.stop - part.start), lambda extra: None)

    @property
    def attention_mask(self) -> list[int]:
        """1 for tokens, 0 for padding."""
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
        """The number of texts in the row."""
        return max(sum(isinstance(piece, Part) for piece in self.pieces), 1)

    def _check_token(self, token: int) -> int:
        token = as_index("token index", token)
        if not -len(self) <= token < len(self):
            raise InputError(f"token index {token} is outside a row of {len(self)} tokens")
        return token

    def token_to_sequence(self, token: int) -> int | None:
        """Return the index of the text that a token belongs to.

        Raises:
            InputError: the row has no such token.
        """
        return self.sequence_ids[self._check_token(token)]

    def token_to_word(self, token: int) -> int | None:
        """Return the index of the word that a token belongs to.

        Raises:
            InputError: the row has no such token.
        """
        return self.word_ids[self._check_token(token)]

    def token_to_chars(self, token: int) -> CharSpan | None:
        """Return the characters of a token.

        Raises:
            InputError: the row has no such token.
        """
        if self.token_to_sequence(token) is None:
            return None
        return CharSpan(*self.offsets[token])

    def word_to_tokens(self, word: int, sequence: int = 0) -> TokenSpan | None:
        """Return the tokens of a word of the text `sequence`; None if there is no such word.

        Raises:
            InputError: the index is no integer.
        """
        word = as_index("word index", word)
        tokens = [
            index
            for index, of in enumerate(zip(self.word_ids, self.sequence_ids, strict=True))
            if of == (word, sequence)
        ]
        return TokenSpan(tokens[0], tokens[-1] + 1) if tokens else None

    def word_to_chars(self, word: int, sequence: int = 0) -> CharSpan | None:
        """Return the characters of a word of the text `sequence`; None if there is no such word.

        Raises:
            InputError: the index is no integer.
        """
        tokens = self.word_to_tokens(word, sequence)
        return CharSpan(self.offsets[tokens.start][0], self.offsets[tokens.end - 1][1]) if tokens else None

    def char_to_token(self, char: int, sequence: int = 0) -> int | None:
        """Return the first token with `char` of the text `sequence`; None for trimmed white space.

        Raises:
            InputError: the index is no integer.
        """
        char = as_index("character index", char)
        for index, (start, end) in enumerate(self.offsets):
            if start <= char < end and self.sequence_ids[index] == sequence:
                return index
        return None

    def char_to_word(self, char: int, sequence: int = 0) -> int | None:
        """Return the word with `char` of the text `sequence`; None for trimmed white space.

        Raises:
            InputError: the index is no integer.
        """
        token = self.char_to_token(char, sequence)
        return None if token is None else self.word_ids[token]
