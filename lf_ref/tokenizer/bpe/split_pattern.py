"""Split a text into words, which merges do not cross.

Source: the split pattern of GPT-2 (Radford et al. 2019), which RoBERTa and Longformer use unchanged.
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

# Characters whose category was settled long before Unicode 16.0. For them every version of `regex` agrees with the
# tables of unicode16.py, and `regex` is three times as fast as a pattern made from these tables.
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
    import regex  # imported late: plain English needs no more than re

    split: Callable[[str], list[str]] = regex.compile(_split_pattern(r"\p{L}", r"\p{N}", WHITE_SPACE)).findall
    return split


@lru_cache(maxsize=1)
def split_by_tables() -> Callable[[str], list[str]]:
    """Return the split pattern written with the tables of Unicode 16.0: right for any text, but slower."""
    from .unicode16 import LETTERS, NUMBERS

    letters, numbers = _character_class(LETTERS), _character_class(NUMBERS)
    return re.compile(_split_pattern(letters, numbers, WHITE_SPACE)).findall


def split_words(text: str) -> list[str]:
    """Split a text into words. Joined, the words are the text.

    A word is the first of these that matches: letters with at most one space before them, a contraction, digits with
    at most one space, other characters with at most one space, or white space, which leaves its last space to the
    next word.

    >>> split_words("It's 5  o'clock...")
    ['It', "'s", ' 5', ' ', ' o', "'", 'clock', '...']
    """
    if text.isascii():
        return _split_ascii(text)
    if _unsettled().search(text) is None:
        return _split_settled()(text)
    return split_by_tables()(text)
