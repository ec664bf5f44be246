"""Merge the symbols of a word by rank, with three algorithms for short, long and very long words.

Source: byte-pair encoding as in Sennrich et al. 2016 (arXiv 1508.07909).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise, repeat
from operator import add
from typing import TYPE_CHECKING

from ...errors import CheckpointError

if TYPE_CHECKING:
    from .merge_rounds import MergeTables

_SCAN_BELOW = 100  # symbols; scanning all ranks for every merge is quadratic but has the smallest constant
_ROUNDS_FROM = 1 << 14  # symbols; from this length on whole arrays of merges at a time beat the heap


def _merge_ids(vocab: Mapping[str, int], merges: Sequence[str]) -> tuple[list[int], list[int], list[int]]:
    """Return the ids of the left part, the right part and the result of every merge."""
    if not set(map(str.count, merges, repeat(" "))) <= {1}:
        number, merge = next((n, m) for n, m in enumerate(merges) if m.count(" ") != 1)
        raise CheckpointError(f"merge {number}, {merge[:80]!r}, must be two tokens with one space between them")
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
                        "vocabulary; use merges and vocabulary of the same tokenizer"
                    ) from None
        raise


class Merges:
    """The merges of a vocabulary, ready to be applied to ids.

    Args:
        vocab: token to id.
        merges: "left right", lowest rank first. Of a pair named twice the later rank counts, as in tokenizers.

    Attributes:
        missing: an id that no token has and no merge contains.

    Raises:
        CheckpointError: a merge is not two tokens, or these or their join are not in the vocabulary.
    """

    def __init__(self, vocab: Mapping[str, int], merges: Sequence[str]) -> None:
        self._base = max(vocab.values(), default=0) + 2  # larger than any id, with one id to spare
        self.missing = self._base - 1
        left_ids, right_ids, self._results = _merge_ids(vocab, merges)
        base = self._base
        keys = [left * base + right for left, right in zip(left_ids, right_ids, strict=True)]
        self._ranks = dict(zip(keys, range(len(keys)), strict=True))
        self._tables: MergeTables | None = None

    def apply(self, symbols: list[int]) -> list[int]:
        """Merge pairs until none has a merge: always the pair of lowest rank, and the leftmost of equal ones.

        The three algorithms give the same ids; they differ in their cost for a word of n symbols.

        Args:
            symbols: the ids of the bytes of a word.
        """
        if len(symbols) < _SCAN_BELOW:
            return self.by_scan(symbols)
        if len(symbols) < _ROUNDS_FROM:
            return self.by_heap(symbols)
        return self.in_rounds(symbols)

    def by_scan(self, symbols: list[int]) -> list[int]:
        """The reference implementation of BPE, step by step: n^2 comparisons, in C."""
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

    def by_heap(self, symbols: list[int]) -> list[int]:
        """A heap of (rank, position) over a linked list of symbols: n log n steps."""
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

    def in_rounds(self, symbols: list[int]) -> list[int]:
        """All pairs of a rank at once, in NumPy: n log n steps. The heap finishes if rounds would change the order."""
        from .merge_rounds import MergeTables, merge_in_rounds  # imported late: short words need no NumPy

        if self._tables is None:
            self._tables = MergeTables(self._ranks, self._results, self._base)
        symbols, finished = merge_in_rounds(symbols, self._tables)
        return symbols if finished else self.by_heap(symbols)
