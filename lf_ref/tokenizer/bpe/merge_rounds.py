"""Merge very long words in rounds: all pairs of the lowest rank at once, in NumPy.

A million equal letters, a genome or a blob of base64 make one word. The heap in merges.py takes seconds for it.
A round is a few NumPy calls, and there are as many rounds as different merges.
"""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

_DEAD = -1  # the symbol at a position that was merged into the one before it


class MergeTables:
    """The merges as arrays, to look up many pairs at a time.

    Args:
        ranks: `left * base + right` to rank.
        results: the id of the merged token, by rank.
        base: the largest id plus two, so that no token has the id `base - 1`.
    """

    def __init__(self, ranks: dict[int, int], results: list[int], base: int) -> None:
        keys, numbers = (np.fromiter(part, np.int64, len(ranks)) for part in (ranks.keys(), ranks.values()))
        by_key = np.argsort(keys)
        self.base = base
        self.never = len(results)
        # The last key is larger than that of any pair, so that a search always ends at one.
        self.keys = np.append(keys[by_key], base * base)
        self.ranks = np.append(numbers[by_key], self.never)
        self.results = np.array(results, np.int64)
        pairs = np.zeros(self.never, np.int64)
        pairs[numbers] = keys
        self.left, self.right = pairs // base, pairs % base
        self.calm = self._calm(keys, numbers)

    def rank(self, left: Integers, right: Integers) -> Integers:
        """Return the rank of every pair, `never` where there is no merge.

        left, right: int64 (pairs,), ids.
        """
        wanted = left * self.base + right
        at = np.searchsorted(self.keys, wanted)
        return np.where(self.keys[at] == wanted, self.ranks[at], self.never)

    def _calm(self, keys: Integers, ranks: Integers) -> npt.NDArray[np.bool_]:
        """Return for every rank whether its result takes part in later merges only: bool (ranks,).

        Then merging a pair of this rank never makes a pair of a lower rank, and all pairs of this rank may be merged
        at once.
        """
        by_rank = np.argsort(ranks)
        ranks, keys = ranks[by_rank], keys[by_rank]
        parts = np.column_stack((keys // self.base, keys % self.base)).ravel()
        tokens, first_seen = np.unique(parts, return_index=True)
        at = np.minimum(np.searchsorted(tokens, self.results), len(tokens) - 1)
        first_rank = np.where(tokens[at] == self.results, ranks[first_seen[at] // 2], self.never)
        calm: npt.NDArray[np.bool_] = first_rank > np.arange(self.never)
        return calm


class _Queue:
    """A queue of the positions whose pair has a merge, by rank; the lowest rank comes first."""

    def __init__(self, never: int) -> None:
        self._never = never
        self._positions: dict[int, list[Integers]] = {}
        self._heap: list[int] = []

    def add(self, positions: Integers, ranks: Integers) -> None:
        order = np.argsort(ranks, kind="stable")
        order = order[: np.searchsorted(ranks[order], self._never)]
        if not len(order):
            return
        found, starts = np.unique(ranks[order], return_index=True)
        for rank, group in zip(found.tolist(), np.split(positions[order], starts[1:]), strict=True):
            if rank not in self._positions:
                self._positions[rank] = []
                heappush(self._heap, rank)
            self._positions[rank].append(group)

    def __bool__(self) -> bool:
        return bool(self._heap)

    def lowest(self) -> int:
        return self._heap[0]

    def take(self) -> Integers:
        groups = self._positions.pop(heappop(self._heap))
        return np.sort(np.concatenate(groups), kind="stable")  # stable: the groups are sorted already


def merge_in_rounds(symbols: list[int], tables: MergeTables) -> tuple[list[int], bool]:
    """Merge pairs by rank, leftmost first, all pairs of one rank in one round.

    Returns:
        The ids, and whether they are final. They are not final if the next rank is not `calm`: its pairs, and those
        after it, must be merged one at a time.
    """
    count = len(symbols)
    # The position `count` stands for both ends of the word; its symbol is in no merge.
    symbol = np.array([*symbols, tables.base - 1], np.int64)
    following = np.minimum(np.arange(1, count + 2), count)
    preceding = np.arange(-1, count)
    preceding[0] = count
    queue = _Queue(tables.never)
    queue.add(np.arange(count), tables.rank(symbol[:-1], symbol[1:]))
    while queue:
        rank = queue.lowest()
        if not tables.calm[rank]:
            break
        left = queue.take()
        left = left[(symbol[left] == tables.left[rank]) & (symbol[following[left]] == tables.right[rank])]
        if not len(left):  # every entry is outdated
            continue
        left = left[_every_second(following[left[:-1]] == left[1:])]
        right = following[left]
        symbol[left], symbol[right] = tables.results[rank], _DEAD
        following[left] = after = following[right]
        preceding[after] = left
        before = preceding[left]
        queue.add(left, tables.rank(symbol[left], symbol[after]))
        before = before[np.concatenate((before[:1] < count, before[1:] != left[:-1]))]  # else in `left` already
        queue.add(before, tables.rank(symbol[before], symbol[following[before]]))
    return symbol[:count][symbol[:count] != _DEAD].tolist(), not queue


def _every_second(touches: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Select the first, third, ... pair of each run of pairs that overlap, as in "aaaa".

    Args:
        touches: for every pair but the first, whether it begins where the pair before it ends.
    """
    starts_run = np.concatenate(([True], ~touches))
    index = np.arange(len(starts_run))
    run_start = np.maximum.accumulate(np.where(starts_run, index, 0))
    chosen: npt.NDArray[np.bool_] = (index - run_start) % 2 == 0
    return chosen
