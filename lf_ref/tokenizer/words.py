"""Where byte-level BPE cuts a text before it merges anything, and how it writes bytes as characters.

Source: the splitting pattern and the byte alphabet of GPT-2 (Radford et al. 2019), which RoBERTa and Longformer
took over unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

# All characters with the property White_Space of the Unicode Character Database. Not `str.isspace`, and not `\s`
# of the module re: both count the separators U+001C..U+001F as white space, which the vocabulary does not.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

# Characters that Unicode had settled long before version 16.0: here every version of `regex` agrees with the
# tables of unicode16.py, and `regex` is three times as fast as a pattern made from these.
_SETTLED = """
0-377 38e-3a1 3a3-52f 531-556 591-5c7 5d0-5ea 5ef-5f4 600-70d 710-74a 74d-7b1 900-983 985-98c e01-e3a e3f-e5b
e81-e82 10d0-1248 13a0-13f5 1400-169c 1780-17dd 1820-1878 1d00-1f15 2000-2064 20a0-20c0 2100-218b 2190-2426
2460-2b73 2c00-2cf3 2de0-2e5d 2e80-2e99 2f00-2fd5 3000-303f 3041-3096 3099-30ff 3131-318e 3190-31e3 3220-a48c
ac00-d7a3 e000-fa6d fe00-fe19 fe20-fe52 feff ff01-ffbe fffd 1d400-1d454 1f300-1f6d7 1f900-1fa53 20000-2a6df
"""

_SPLIT = "{space}?[{letters}]+|'(?:[stmd]|re|ve|ll)|{space}?[{numbers}]+|{space}?[^{white}{letters}{numbers}]+|"
_SPLIT += "[{white}]+(?![^{white}])|[{white}]+"


def _character_class(ranges: str) -> str:
    """The inside of a character class of a regular expression, from hexadecimal code points and ranges."""
    return "".join(re.sub("[0-9a-f]+", lambda point: f"\\U{point[0]:0>8}", item) for item in ranges.split())


def _split_pattern(letters: str, numbers: str, white: str) -> str:
    return _SPLIT.format(space=" ", letters=letters, numbers=numbers, white=white)


_split_ascii: Callable[[str], list[str]] = re.compile(_split_pattern("A-Za-z", "0-9", "\t-\r ")).findall


@lru_cache(maxsize=1)
def _unsettled() -> re.Pattern[str]:
    return re.compile(f"[^{_character_class(_SETTLED)}]")


@lru_cache(maxsize=1)
def _split_settled() -> Callable[[str], list[str]]:
    import regex  # here, since plain English needs no more than re

    split: Callable[[str], list[str]] = regex.compile(_split_pattern(r"\p{L}", r"\p{N}", WHITE_SPACE)).findall
    return split


@lru_cache(maxsize=1)
def split_by_tables() -> Callable[[str], list[str]]:
    """The splitting rule spelled out with the tables of Unicode 16.0: right for any text, but slower."""
    from .unicode16 import LETTERS, NUMBERS

    letters, numbers = _character_class(LETTERS), _character_class(NUMBERS)
    return re.compile(_split_pattern(letters, numbers, WHITE_SPACE)).findall


def split_words(text: str) -> list[str]:
    """Cut a text into the pieces that merges may not cross; joined, the pieces are the text.

    In order of preference: letters with one space before them, a contraction, numbers with one space, anything
    else but white space with one space, and white space, which leaves its last space to the piece after it.

    >>> split_words("It's 5  o'clock...")
    ['It', "'s", ' 5', ' ', ' o', "'", 'clock', '...']
    """
    if text.isascii():
        return _split_ascii(text)
    if _unsettled().search(text) is None:
        return _split_settled()(text)
    return split_by_tables()(text)


def _byte_alphabet() -> str:
    """One printable character for every byte: itself where Latin-1 prints one, else U+0100 and onwards."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


BYTE_ALPHABET = _byte_alphabet()  # BYTE_ALPHABET[byte] is the character that stands for it
SPACE = BYTE_ALPHABET[0x20]
BYTE_OF_CHARACTER = {character: byte for byte, character in enumerate(BYTE_ALPHABET)}

_TRIMMED = WHITE_SPACE + SPACE


def trim(start: int, end: int, token: str, *, keep_first: bool = False) -> tuple[int, int]:
    """Shorten the span of a token by the white space at its ends, as far as there is any span.

    `keep_first` leaves a single white space at the beginning in: `add_prefix_space` may have put it there.
    """
    leading = len(token) - len(token.lstrip(_TRIMMED))
    trailing = len(token) - len(token.rstrip(_TRIMMED))
    if leading == 1 and keep_first:
        leading = 0
    start = min(start + leading, end)
    return start, max(end - trailing, start)
