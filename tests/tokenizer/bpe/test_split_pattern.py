"""The split pattern and the byte alphabet, against a naive version of each."""

from __future__ import annotations

import sys

from hypothesis import given
from tokenizer.vocabularies import old_texts, unhurried

from lf_ref.tokenizer.bpe import split_pattern
from lf_ref.tokenizer.bpe.byte_alphabet import BYTE_ALPHABET
from lf_ref.tokenizer.bpe.split_pattern import split_by_tables, split_words
from oracles import naive_bpe


@unhurried
@given(text=old_texts)
def test_words_are_those_of_the_oracle(text):
    assert split_words(text) == naive_bpe.words(text)
    assert split_by_tables()(text) == naive_bpe.words(text)


def test_the_fast_patterns_agree_with_the_tables():
    characters = [chr(point) for point in range(sys.maxunicode + 1) if not 0xD800 <= point < 0xE000]
    settled = [character for character in characters if not split_pattern._unsettled().search(character)]
    assert len(settled) > 90_000
    for pattern, chosen in ((split_pattern._split_ascii, characters[:128]), (split_pattern._split_settled(), settled)):
        text = "".join(f"a{character}a 1{character}1 !{character}! '{character} " for character in chosen)
        assert pattern(text) == split_by_tables()(text)


def test_the_byte_alphabet_is_that_of_the_oracle():
    assert list(BYTE_ALPHABET) == naive_bpe.byte_characters()
