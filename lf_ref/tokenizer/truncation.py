"""Which tokens of a text, or of a pair, stay within `max_length`, and into which further rows the rest goes.

The rules are those of HF's tokenizers library, to the token; only what makes it panic, wrap around or return rows
longer than `max_length` is an error here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from ..errors import InputError

Window = tuple[int, int]

STRATEGIES = ("longest_first", "only_first", "only_second")


def row_windows(
    lengths: Sequence[int], strategy: str, room: int, stride: int, side: str, *, overflow: bool
) -> list[tuple[Window, ...]]:
    """The [start, stop) of every text in every row; the first row is the one that is not overflow.

    Args:
        lengths: tokens of the text, or of both texts.
        strategy: one of `STRATEGIES`.
        room: tokens that a row has for texts.
        stride: tokens that a row repeats of the row before it.
        side: where tokens are cut off, "right" or "left".
        overflow: whether rows beyond the first are wanted.

    Raises:
        InputError: the strategy cannot make the texts fit, or the rows would not advance.
    """
    kept = _kept(lengths, strategy, room)
    windows = [_windows(length, keep, stride, side, overflow) for length, keep in zip(lengths, kept, strict=True)]
    # A pair that overflows on both sides goes on with every window of the first text beside every one of the
    # second. Rows with the first text's first window come last, but for the row that is not overflow.
    first, *others = product(*windows)
    if len(windows) == 2:
        beside_first = len(windows[1]) - 1
        others = others[beside_first:] + others[:beside_first]
    return [first, *others]


def _kept(lengths: Sequence[int], strategy: str, room: int) -> list[int]:
    """How many tokens of each text one row holds."""
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
            f"truncation={strategy!r} would have to take {excess} of the {lengths[cut]} tokens of that text, which "
            'leaves none; use a larger max_length or truncation="longest_first"'
        )
    return [length - excess if index == cut else length for index, length in enumerate(lengths)]


def _shared(first: int, second: int, room: int) -> list[int]:
    """Cut the longer text; once both would be equal, both: then the shorter one gets the smaller half."""
    short = min(first, second)
    long = max(short, room - short)
    if short + long > room:
        short, long = room // 2, room - room // 2
    return [long, short] if first > second else [short, long]


def _windows(length: int, keep: int, stride: int, side: str, overflow: bool) -> list[Window]:
    """The windows of `keep` tokens that cover a text, the one that stays first."""
    if keep >= length:
        return [(0, length)]
    if not overflow:
        return [(0, keep)] if side == "right" else [(length - keep, length)]
    if stride >= keep:
        raise InputError(
            f"max_length leaves {keep} tokens of this text in a row, and stride={stride} of them would repeat the row "
            "before, so that rows never reach the end; use a smaller stride or a larger max_length"
        )
    step = keep - stride
    count = 1 + -(-(length - keep) // step)
    if side == "right":
        return [(step * row, min(step * row + keep, length)) for row in range(count)]
    return [(max(length - step * row - keep, 0), length - step * row) for row in range(count)]
