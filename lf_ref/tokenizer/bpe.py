"""Merge the bytes of a word by rank, and remember the words seen before.

Source: byte-pair encoding as Sennrich et al. 2016 (arXiv 1508.07909) apply it, on bytes as in GPT-2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import accumulate, chain, pairwise, repeat
from operator import add
from typing import TYPE_CHECKING, Any

from ..errors import CheckpointError
from .words import BYTE_ALPHABET, split_words, trim

if TYPE_CHECKING:
    from .long_words import MergeTables

Span = tuple[int, int]

# A cached word and its ids take under 700 bytes at these limits, so a cache stays under 50 MB whatever the text.
_CACHED_WORDS = 1 << 16
_CACHED_LENGTH = 40

_SCAN_BELOW = 100  # symbols; scanning all ranks for every merge is quadratic but has the smallest constant
_ROUNDS_FROM = 1 << 14  # symbols; from here on whole arrays of merges at a time beat the heap


class _WordCache(dict[str, Any]):
    """Values worked out on first use and kept, within bounds, for words short enough to come again."""

    def __init__(self, compute: Callable[[str], Any]) -> None:
        self._compute = compute

    def __missing__(self, word: str) -> Any:
        value = self._compute(word)
        if len(word) <= _CACHED_LENGTH:
            if len(self) >= _CACHED_WORDS:
                self.clear()  # one step, so that other threads see a full cache or an empty one
            self[word] = value
        return value


def _merge_ids(vocab: Mapping[str, int], merges: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
    """The ids of the left part, the right part and the join of every merge."""
    if not set(map(str.count, merges, repeat(" "))) <= {1}:
        number, merge = next((n, m) for n, m in enumerate(merges) if m.count(" ") != 1)
        raise CheckpointError(f"merge {number}, {merge[:80]!r}, is not two tokens with one space between them")
    parts = " ".join(merges).split(" ") if merges else []
    lefts, rights, id_of = parts[::2], parts[1::2], vocab.__getitem__
    try:
        return list(map(id_of, lefts)), list(map(id_of, rights)), list(map(id_of, map(add, lefts, rights)))
    except KeyError:
        for number, (left, right) in enumerate(zip(lefts, rights, strict=True)):
            for token in (left, right, left + right):
                if token not in vocab:
                    raise CheckpointError(
                        f"merge {number}, {merges[number][:80]!r}, needs the token {token[:80]!r}, which is not in the "
                        "vocabulary: the merges and the vocabulary are not of one tokenizer"
                    ) from None
        raise


class BytePairEncoder:
    """Text to token ids: split into words, each word's bytes merged by rank, leftmost first among equals.

    Args:
        vocab: token to id; tokens are written in the byte alphabet.
        merges: the merges, lowest rank first, each as "left right". Of a pair named twice the later rank
            counts, as in tokenizers.

    Attributes:
        missing: stands for a byte that is not in the vocabulary, in place of an id.
        lacks_bytes: whether there are such bytes.

    Raises:
        CheckpointError: a merge is not two tokens, or these or their join are not in the vocabulary.
    """

    def __init__(self, vocab: Mapping[str, int], merges: Sequence[str]) -> None:
        self.vocab = vocab
        self.merges = merges
        self.token_of = dict(zip(vocab.values(), vocab.keys(), strict=True))
        self._base = max(vocab.values(), default=0) + 2  # larger than any id, with one id to spare
        self.missing = self._base - 1
        left_ids, right_ids, self._results = _merge_ids(vocab, merges)
        base = self._base
        keys = [left * base + right for left, right in zip(left_ids, right_ids, strict=True)]
        self._ranks = dict(zip(keys, range(len(keys)), strict=True))
        self._tables: MergeTables | None = None
        self._byte_ids = [vocab.get(character, self.missing) for character in BYTE_ALPHABET]
        self.lacks_bytes = self.missing in self._byte_ids
        self._ids: Mapping[str, tuple[int, ...]] = _WordCache(self._word_ids)
        self._spans: Mapping[str, tuple[Span, ...]] = _WordCache(self._word_spans)
        self._trimmed: Mapping[str, tuple[Span, ...]] = _WordCache(self._word_trimmed)

    def __reduce__(self) -> tuple[type[BytePairEncoder], tuple[Mapping[str, int], Sequence[str]]]:
        return type(self), (self.vocab, self.merges)  # the caches are not worth carrying

    def encode(self, text: str) -> list[int]:
        """The ids of a text without added tokens, `missing` for each byte that has none.

        Raises:
            UnicodeEncodeError: the text holds a lone surrogate; the caller knows where.
        """
        return list(chain.from_iterable(map(self._ids.__getitem__, split_words(text))))

    def tokens(self, text: str) -> list[str]:
        """For every id of `encode(text)` its token; of `missing` the character that stands for the byte."""
        return list(chain.from_iterable(map(self._word_tokens, split_words(text))))

    def spans(self, text: str, shift: int, *, trimmed: bool) -> list[Span]:
        """For every id of `encode(text)` its characters (start, end), moved by `shift`.

        A character whose bytes lie in several tokens belongs to all of them. `trimmed` leaves out white space.
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
        """For every id of `encode(text)` the number of its word; they are counted from `first` on."""
        inner = map(self._ids.__getitem__, split_words(text))
        return [number for number, of_word in enumerate(inner, first) for _ in of_word]

    def _word_ids(self, word: str) -> tuple[int, ...]:
        byte_ids = self._byte_ids
        return tuple(self.merge([byte_ids[byte] for byte in word.encode()]))

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
        """The characters of every token of a word; a token has a character for each of its bytes."""
        ends = list(accumulate(map(len, tokens)))
        starts = [0, *ends[:-1]]
        if not word.isascii():
            character_of = [index for index, character in enumerate(word) for _ in character.encode()]
            starts = [character_of[start] for start in starts]
            ends = [character_of[end - 1] + 1 for end in ends]
        return tuple(zip(starts, ends, strict=True))

    def merge(self, symbols: list[int]) -> list[int]:
        """Join neighbours until no pair has a merge: always the pair of lowest rank, of these the leftmost.

        All three ways give the same ids; they differ in what they cost for a word of n symbols.
        """
        if len(symbols) < _SCAN_BELOW:
            return self.merge_by_scan(symbols)
        if len(symbols) < _ROUNDS_FROM:
            return self.merge_by_heap(symbols)
        return self.merge_in_rounds(symbols)

    def merge_by_scan(self, symbols: list[int]) -> list[int]:
        """The definition itself, n^2 steps in C."""
        base, rank_of, never = self._base, self._ranks.get, len(self._results)
        symbols = symbols.copy()
        ranks = [rank_of(left * base + right, never) for left, right in pairwise(symbols)]
        while ranks:
            rank = min(ranks)
            if rank == never:
                break
            at = ranks.index(rank)
            symbols[at : at + 2] = [self._results[rank]]
            del ranks[at]
            if at:
                ranks[at - 1] = rank_of(symbols[at - 1] * base + symbols[at], never)
            if at < len(ranks):
                ranks[at] = rank_of(symbols[at] * base + symbols[at + 1], never)
        return symbols

    def merge_by_heap(self, symbols: list[int]) -> list[int]:
        """n log n steps: a heap of (rank, position) over a linked list of symbols."""
        base, rank_of, count = self._base, self._ranks.get, len(symbols)
        symbols = symbols.copy()
        preceding, following = list(range(-1, count - 1)), list(range(1, count + 1))
        keys = (left * base + right for left, right in pairwise(symbols))
        heap = [rank * count + at for at, rank in enumerate(map(rank_of, keys)) if rank is not None]
        heapify(heap)
        while heap:
            rank, at = divmod(heappop(heap), count)
            right = following[at]
            # An entry is out of date when its left symbol is gone (-1) or its pair has become another.
            if symbols[at] < 0 or right == count or rank_of(symbols[at] * base + symbols[right]) != rank:
                continue
            symbols[at], symbols[right] = self._results[rank], -1
            following[at] = after = following[right]
            before = preceding[at]
            if after < count:
                preceding[after] = at
                if (fresh := rank_of(symbols[at] * base + symbols[after])) is not None:
                    heappush(heap, fresh * count + at)
            if before >= 0 and (fresh := rank_of(symbols[before] * base + symbols[at])) is not None:
                heappush(heap, fresh * count + before)
        return [symbol for symbol in symbols if symbol >= 0]

    def merge_in_rounds(self, symbols: list[int]) -> list[int]:
        """n log n steps in whole arrays, and the heap for what is left where arrays cannot keep the order."""
        from .long_words import MergeTables, merge_in_rounds

        if self._tables is None:
            self._tables = MergeTables(self._ranks, self._results, self._base)
        symbols, finished = merge_in_rounds(symbols, self._tables)
        return symbols if finished else self.merge_by_heap(symbols)
