"""Truncate a text or a pair to `max_length`, and put the overflow into further rows.

The result is that of HF's tokenizers library, to the token. Arguments for which it panics, overflows or returns rows
longer than `max_length` are errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from ...errors import InputError

Window = tuple[int, int]

STRATEGIES = ("longest_first", "only_first", "only_second")


def row_windows(
    lengths: Sequence[int], strategy: str, room: int, stride: int, side: str, *, overflow: bool
) -> list[tuple[Window, ...]]:
    """Return the [start, stop) of every text in every row; the rows after the first are the overflow.

    Args:
        lengths: tokens of the text, or of both texts.
        strategy: one of `STRATEGIES`.
        room: tokens of texts that fit into a row.
        stride: tokens that a row repeats from the row before it.
        side: the side to truncate, "right" or "left".
        overflow: whether to return rows after the first.

    Raises:
        InputError: the strategy cannot make the texts fit, or the rows would not advance.
    """
    kept = _kept(lengths, strategy, room)
    windows = [_windows(length, keep, stride, side, overflow) for length, keep in zip(lengths, kept, strict=True)]
    # If both texts of a pair overflow, every window of the first text is combined with every window of the second.
    # As in tokenizers, the overflow rows with the first window of the first text come last.
    first, *others = product(*windows)
    if len(windows) == 2:
        beside_first = len(windows[1]) - 1
        others = others[beside_first:] + others[:beside_first]
    return [first, *others]


def _kept(lengths: Sequence[int], strategy: str, room: int) -> list[int]:
    """Return the number of tokens of each text in a row."""
    excess = sum(lengths) - room
    if excess <= 0:
        return list(lengths)
    if strategy == "longest_first":
        return [room] if len(lengths) == 1 else _shared(lengths[0], lengths[1], room)
    cut = STRATEGIES.index(strategy) - 1
    if cut == len(lengths):
        raise InputError('truncation="only_second" needs a second text; give one, or use truncation="longest_first"')
    if lengths[cut] <= excess:
        raise InputError(
            f"truncation={strategy!r} would remove {excess} tokens of a text of {lengths[cut]}; use a larger "
            'max_length or truncation="longest_first"'
        )
    return [length - excess if index == cut else length for index, length in enumerate(lengths)]


def _shared(first: int, second: int, room: int) -> list[int]:
    """Truncate the longer text; at equal lengths truncate both, and give the shorter one the smaller half."""
    short = min(first, second)
    long = max(short, room - short)
    if short + long > room:
        short, long = room // 2, room - room // 2
    return [long, short] if first > second else [short, long]


def _windows(length: int, keep: int, stride: int, side: str, overflow: bool) -> list[Window]:
    """Return the windows of `keep` tokens that cover a text; the first is that of the first row."""
    if keep >= length:
        return [(0, length)]
    if not overflow:
        return [(0, keep)] if side == "right" else [(length - keep, length)]
    if stride >= keep:
        raise InputError(
            f"stride must be less than the {keep} tokens of this text that fit into a row, got {stride}; use a smaller "
            "stride or a larger max_length"
        )
    step = keep - stride
    count = 1 + -(-(length - keep) // step)
    if side == "right":
        return [(step * row, min(step * row + keep, length)) for row in range(count)]
    return [(max(length - step * row - keep, 0), length - step * row) for row in range(count)]
