"""Encode one text, or one list of words, into token ids that can be traced back to its characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...errors import InputError
from ..arguments import lone_surrogate
from ..bpe.byte_alphabet import BYTE_OF_CHARACTER
from ..bpe.pair_encoder import BytePairEncoder
from ..bpe.spans import Span, trim
from .added_tokens import AddedTokens, Piece


@dataclass(frozen=True)
class TextEncoder:
    """Text to ids, with added tokens and three options that have HF's names.

    Immutable: a tokenizer that gains a token makes a new encoder, and earlier results keep theirs.

    Args:
        pairs: vocabulary and merges.
        added: the added tokens.
        add_prefix_space, trim_offsets, split_special_tokens: as in `LongformerTokenizer`.
        spares_space: whether trimming keeps a single space at the beginning of a text; None: if `add_prefix_space` may
            have put it there.
        unknown: the id for bytes that the vocabulary lacks.
    """

    pairs: BytePairEncoder
    added: AddedTokens
    add_prefix_space: bool
    trim_offsets: bool
    split_special_tokens: bool
    spares_space: bool | None = None
    unknown: int | None = None

    def encode(self, text: str) -> TokenSequence:
        """Encode a text."""
        return TokenSequence(self, [text], split_into_words=False)

    def encode_words(self, words: Sequence[str]) -> TokenSequence:
        """Encode a text given as words; every word is a text of its own."""
        return TokenSequence(self, words, split_into_words=True)

    def token(self, token_id: int) -> str | None:
        """Return the token of an id, as the vocabulary writes it; None if no token has the id."""
        token = self.added.by_id.get(token_id)
        return token.content if token is not None else self.pairs.token_of.get(token_id)

    def prefixed(self, piece: str) -> str:
        """Return a piece of plain text with its prefix space, if the option asks for one."""
        return " " + piece if self.add_prefix_space and not piece.startswith(" ") else piece


class TokenSequence:
    """The ids of one text. Spans, words and token strings are computed on first use.

    Spans are (start, end) in characters (code points) of the text, or of the word if the text was given as words.
    Words are those of the split pattern, or those that were given.
    """

    def __init__(self, encoder: TextEncoder, texts: Sequence[str], *, split_into_words: bool) -> None:
        self.ids: list[int] = []
        self._encoder = encoder
        self._split_into_words = split_into_words
        self._texts: list[tuple[str, list[Piece]]] = []
        # By index in ids: the text of an added token, with its white space, or a byte that the vocabulary lacks.
        self._spelled: dict[int, str] = {}
        for text in texts:
            pieces = encoder.added.split(text, split_special_tokens=encoder.split_special_tokens)
            self._texts.append((text, pieces))
            for start, end, token_id in pieces:
                if token_id is None:
                    self.ids += self._plain_ids(text, start, end)
                else:
                    self._spelled[len(self.ids)] = text[start:end]
                    self.ids.append(token_id)
        spares = encoder.add_prefix_space if encoder.spares_space is None else encoder.spares_space
        self._spares = spares and encoder.trim_offsets

    def _plain_ids(self, text: str, start: int, end: int) -> list[int]:
        pairs, piece = self._encoder.pairs, self._encoder.prefixed(text[start:end])
        try:
            ids = pairs.encode(piece)
        except UnicodeEncodeError:
            at = next(at for at, character in enumerate(text) if "\ud800" <= character <= "\udfff")
            raise InputError(f"the text has {lone_surrogate(text, at)}") from None
        return self._with_unknown(ids, pairs.tokens(piece)) if pairs.lacks_bytes else ids

    def _with_unknown(self, ids: list[int], tokens: list[str]) -> list[int]:
        """Return the ids with `unknown` for each byte that the vocabulary lacks, as in HF's slow tokenizer."""
        missing, unknown = self._encoder.pairs.missing, self._encoder.unknown
        bytes_ = {
            at: token for at, (token_id, token) in enumerate(zip(ids, tokens, strict=True)) if token_id == missing
        }
        if not bytes_:
            return ids
        if unknown is None:
            character = next(iter(bytes_.values()))
            raise InputError(
                f"the vocabulary has no token for byte 0x{BYTE_OF_CHARACTER[character]:02X} ({character!r}) of the "
                "text, and the tokenizer has no unk_token; set unk_token, use a vocabulary with all 256 byte tokens, "
                "or remove the character"
            )
        self._spelled.update((len(self.ids) + at, character) for at, character in bytes_.items())
        return [unknown if token_id == missing else token_id for token_id in ids]

    def __getstate__(self) -> dict[str, Any]:
        """Return all values computed, without the vocabulary: small enough to send to another process."""
        names = ("ids", "tokens", "words", "spans", "_spares") + ("_untrimmed",) * self._spares
        return {name: getattr(self, name) for name in names}

    @cached_property
    def tokens(self) -> list[str]:
        """The token of every id; for an added token its text, for an unknown byte the character of the byte."""
        token = self._encoder.token
        return [self._spelled.get(index) or token(token_id) or "" for index, token_id in enumerate(self.ids)]

    @cached_property
    def words(self) -> list[int]:
        """The index of the word of every id."""
        words: list[int] = []
        for number, (text, pieces) in enumerate(self._texts):
            word = 0
            for start, end, token_id in pieces:
                new = [word]
                if token_id is None:
                    new = self._encoder.pairs.words(self._encoder.prefixed(text[start:end]), word)
                words += [number] * len(new) if self._split_into_words else new
                word = new[-1] + 1
        return words

    @cached_property
    def spans(self) -> list[Span]:
        """The span of every id, without white space at its ends if `trim_offsets`."""
        encoder = self._encoder
        if not encoder.trim_offsets or not (encoder.add_prefix_space or self._spares):
            return self._trace(trimmed=encoder.trim_offsets)
        return [
            trim(*span, token, keep_first=self._spares and span[0] == 0)
            for span, token in zip(self._untrimmed, self.tokens, strict=True)
        ]

    def spans_from(self, start: int, stop: int) -> list[Span]:
        """Return the spans of ids[start:stop] in a row that begins with them.

        As in HF, the first token of a row keeps the space that `add_prefix_space` may have put there, even in the
        middle of a text.
        """
        spans = self.spans[start:stop]
        if spans and self._spares:
            spans[0] = trim(*self._untrimmed[start], self.tokens[start], keep_first=True)
        return spans

    @cached_property
    def _untrimmed(self) -> list[Span]:
        return self._trace(trimmed=False)

    def _trace(self, *, trimmed: bool) -> list[Span]:
        spans: list[Span] = []
        for text, pieces in self._texts:
            for start, end, token_id in pieces:
                if token_id is not None:
                    spans.append(trim(start, end, text[start:end]) if trimmed else (start, end))
                    continue
                piece = self._encoder.prefixed(text[start:end])
                shift = end - len(piece)
                new = self._encoder.pairs.spans(piece, shift, trimmed=trimmed)
                if shift < start:
                    # As in HF, the prefix space has the span of the first character of the piece.
                    new[0] = start, max(new[0][1], start + 1)
                spans += new
        return spans
