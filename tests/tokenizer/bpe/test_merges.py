"""The three algorithms that merge the symbols of a word, and the cache of words."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizer.vocabularies import NASTY, unhurried

from lf_ref.tokenizer import LongformerTokenizer
from lf_ref.tokenizer.bpe.byte_alphabet import BYTE_ALPHABET
from lf_ref.tokenizer.bpe.merges import Merges
from oracles.naive_bpe import NaiveBPE

SYMBOLS = st.one_of(
    st.lists(st.sampled_from(NASTY), max_size=40).map("".join),
    st.text("ab", max_size=300),
    st.text("thein ", max_size=300),
)


@unhurried
@given(word=SYMBOLS)
def test_the_three_algorithms_agree(both, word):
    pairs = both._encoder.pairs
    rules = pairs.merge_rules
    symbols = [pairs.vocab[BYTE_ALPHABET[byte]] for byte in word.encode()]
    expected = rules.by_scan(symbols)
    assert rules.by_heap(symbols) == expected
    assert rules.in_rounds(symbols) == expected


@st.composite
def vocabularies(draw: st.DrawFn) -> tuple[dict[str, int], list[str]]:
    """Merges in any order, or none; so a token may take part in a merge that ranks before the one that makes it."""
    tokens = ["a", "b", "c"]
    merges: list[str] = []
    for _ in range(draw(st.integers(0, 13))):
        left, right = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        merges.append(f"{left} {right}")
        if left + right not in tokens:
            tokens.append(left + right)
    ids = draw(st.permutations(range(len(tokens))))
    return dict(zip(tokens, ids, strict=True)), draw(st.permutations(merges))


@unhurried
@given(vocabulary=vocabularies(), word=st.text("abc", max_size=90))
def test_merges_in_any_order(vocabulary, word):
    vocab, merges = vocabulary
    rules = Merges(vocab, merges)
    naive = NaiveBPE(vocab, [tuple(merge.split(" ")) for merge in merges], [], "<mask>")
    expected = [vocab[symbol] for symbol in naive.merge(list(word))]
    symbols = [vocab[letter] for letter in word]
    assert rules.by_scan(symbols) == expected
    assert rules.by_heap(symbols) == expected
    assert rules.in_rounds(symbols) == expected


def test_a_merge_that_ranks_before_the_one_that_makes_its_part():
    vocab = {"a": 0, "b": 1, "ab": 2, "aba": 3}
    rules = Merges(vocab, ["ab a", "a b"])
    # The first "ab" makes a pair of a lower rank, which goes before the second "ab".
    for merge in (rules.by_scan, rules.by_heap, rules.in_rounds):
        assert merge([0, 1, 0, 1]) == [3, 1]


@pytest.mark.parametrize("letters", ["a", "ab", " ", "é", "acgt"])
def test_lengths_around_every_change_of_algorithm(both, letters):
    rng = random.Random(11)
    pairs = both._encoder.pairs
    for count in (98, 99, 100, 101, 16383, 16384, 16385):
        text = "".join(rng.choices(letters, k=count))
        ids = both.encode(text, add_special_tokens=False)
        assert both.decode(ids) == text
        if letters != " ":  # one word
            assert ids == pairs.merge_rules.by_heap([pairs.vocab[BYTE_ALPHABET[byte]] for byte in text.encode()])


def test_the_caches_stay_small(demo):
    pairs = LongformerTokenizer.from_pretrained()._encoder.pairs
    for number in range(1 << 17):
        pairs.encode("".join("abcdefgh"[number >> shift & 7] for shift in range(0, 18, 3)))
    assert 1000 < len(pairs._ids) <= 1 << 16
    pairs.encode("x" * 5000)
    assert max(map(len, pairs._ids)) <= 40


def test_the_three_algorithms_keep_unknown_bytes():
    tokenizer = LongformerTokenizer({"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3, "aa": 4, "aaaa": 5}, ["a a", "aa aa"])
    for count in (1, 50, 1000, 9001):
        assert tokenizer.encode("aaaab" * count, add_special_tokens=False) == [5, 2] * count
