"""Encode a text with byte-level BPE, and cache the words.

Source: byte-pair encoding as in Sennrich et al. 2016 (arXiv 1508.07909), on bytes as in GPT-2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

from .byte_alphabet import BYTE_ALPHABET
from .merges import Merges
from .spans import Span, trim
from .split_pattern import split_words

# A cached word and its ids take under 700 bytes at these limits, so a cache stays under 50 MB whatever the text.
_CACHED_WORDS = 1 << 16
_CACHED_LENGTH = 40


class _WordCache(dict[str, Any]):
    """Values computed on first use and cached, up to a limit, for words short enough to come again."""

    def __init__(self, compute: Callable[[str], Any]) -> None:
        self._compute = compute

    def __missing__(self, word: str) -> Any:
        value = self._compute(word)
        if len(word) <= _CACHED_LENGTH:
            if len(self) >= _CACHED_WORDS:
                self.clear()  # one step, so that other threads see a full cache or an empty one
            self[word] = value
        return value


class BytePairEncoder:
    """Text to token ids: split a text into words, and merge the bytes of each word by rank.

    Args:
        vocab: token to id; tokens are written in the byte alphabet.
        merges: "left right", lowest rank first. Of a pair named twice the later rank counts, as in tokenizers.

    Attributes:
        merge_rules: the merges as ids.
        missing: stands in place of an id for a byte that is not in the vocabulary.
        lacks_bytes: whether there are such bytes.

    Raises:
        CheckpointError: a merge is not two tokens, or these or their join are not in the vocabulary.
    """

    def __init__(self, vocab: Mapping[str, int], merges: Sequence[str]) -> None:
        self.vocab = vocab
        self.merges = merges
        self.token_of = dict(zip(vocab.values(), vocab.keys(), strict=True))
        self.merge_rules = Merges(vocab, merges)
        self.missing = self.merge_rules.missing
        self._byte_ids = [vocab.get(character, self.missing) for character in BYTE_ALPHABET]
        self.lacks_bytes = self.missing in self._byte_ids
        self._ids: Mapping[str, tuple[int, ...]] = _WordCache(self._word_ids)
        self._spans: Mapping[str, tuple[Span, ...]] = _WordCache(self._word_spans)
        self._trimmed: Mapping[str, tuple[Span, ...]] = _WordCache(self._word_trimmed)

    def __reduce__(self) -> tuple[type[BytePairEncoder], tuple[Mapping[str, int], Sequence[str]]]:
        return type(self), (self.vocab, self.merges)  # the caches are cheap to fill again

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text without added tokens, `missing` for each byte that has none.

        Raises:
            UnicodeEncodeError: the text contains a lone surrogate; the caller reports its position.
        """
        return list(chain.from_iterable(map(self._ids.__getitem__, split_words(text))))

    def tokens(self, text: str) -> list[str]:
        """Return the token of every id of `encode(text)`; for `missing` the character that stands for the byte."""
        return list(chain.from_iterable(map(self._word_tokens, split_words(text))))

    def spans(self, text: str, shift: int, *, trimmed: bool) -> list[Span]:
        """Return the characters [start, end) of every id of `encode(text)`, moved by `shift`.

        A character whose bytes lie in several tokens belongs to all of them. `trimmed` excludes white space at ends.
        """
        words = split_words(text)
        starts = accumulate(map(len, words), initial=shift)
        inner = map((self._trimmed if trimmed else self._spans).__getitem__, words)
        return [
            (start + first, start + last)
            for start, of_word in zip(starts, inner, strict=False)  # starts has the end of the text as well
            for first, last in of_word
        ]

    def words(self, text: str, first: int) -> list[int]:
        """Return the index of the word of every id of `encode(text)`, counted from `first`."""
        inner = map(self._ids.__getitem__, split_words(text))
        return [number for number, of_word in enumerate(inner, first) for _ in of_word]

    def _word_ids(self, word: str) -> tuple[int, ...]:
        byte_ids = self._byte_ids
        return tuple(self.merge_rules.apply([byte_ids[byte] for byte in word.encode()]))

    def _word_tokens(self, word: str) -> list[str]:
        content, at, tokens = word.encode(), 0, []
        for token_id in self._ids[word]:
            tokens.append(self.token_of.get(token_id) or BYTE_ALPHABET[content[at]])
            at += len(tokens[-1])
        return tokens

    def _word_spans(self, word: str) -> tuple[Span, ...]:
        return self._spans_of(self._word_tokens(word), word)

    def _word_trimmed(self, word: str) -> tuple[Span, ...]:
        tokens = self._word_tokens(word)
        spans = zip(self._spans_of(tokens, word), tokens, strict=True)
        return tuple(trim(*span, token) for span, token in spans)

    def _spans_of(self, tokens: Sequence[str], word: str) -> tuple[Span, ...]:
        """Return the span of every token of a word; a token has one character per byte."""
        ends = list(accumulate(map(len, tokens)))
        starts = [0, *ends[:-1]]
        if not word.isascii():
            character_of = [index for index, character in enumerate(word) for _ in character.encode()]
            starts = [character_of[start] for start in starts]
            ends = [character_of[end - 1] + 1 for end in ends]
        return tuple(zip(starts, ends, strict=True))
