"""The characters of a token in its text."""

from __future__ import annotations

from .byte_alphabet import BYTE_ALPHABET
from .split_pattern import WHITE_SPACE

Span = tuple[int, int]  # characters [start, end)

_TRIMMED = WHITE_SPACE + BYTE_ALPHABET[0x20]


def trim(start: int, end: int, token: str, *, keep_first: bool = False) -> Span:
    """Shorten the span of a token by the white space at its ends; a span never gets a negative length.

    `keep_first` keeps a single white space character at the beginning: `add_prefix_space` may have put it there.
    """
    leading = len(token) - len(token.lstrip(_TRIMMED))
    trailing = len(token) - len(token.rstrip(_TRIMMED))
    if leading == 1 and keep_first:
        leading = 0
    start = min(start + leading, end)
    return start, max(end - trailing, start)
