"""From tokens to characters and words, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from tokenizer.vocabularies import WHITE_SPACE, texts, unhurried

from lf_ref.tokenizer import CharSpan, LongformerTokenizer, TokenSpan

TEXT = "Don't  panic, <mask> said."
PAIR = "Thanks for all the fish"


@pytest.fixture(scope="module")
def result():
    return LongformerTokenizer.from_pretrained()(TEXT, PAIR)


def test_offsets_are_the_characters_of_a_token(result):
    for index, sequence in enumerate(result.sequence_ids()):
        if sequence is None:
            assert result.token_to_chars(index) is None
            assert result.token_to_word(index) is None
        else:
            span = result.token_to_chars(index)
            assert isinstance(span, CharSpan)
            token = result.tokens()[index]
            assert (TEXT, PAIR)[sequence][slice(*span)] == token.replace("Ġ", "").strip()
    assert result.token_to_chars(-2) == result.token_to_chars(0, len(result.input_ids) - 2)


def test_words_are_those_that_merges_stay_within(result):
    def text_of(word, sequence):
        return (TEXT, PAIR)[sequence][slice(*result.word_to_chars(0, word, sequence))]

    assert [text_of(word, 0) for word in range(8)] == ["Don", "'t", "", "panic", ",", "<mask>", "said", "."]
    assert [text_of(word, 1) for word in range(5)] == PAIR.split()
    assert result.word_to_tokens(0, 8, 0) is None
    assert result.word_to_chars(0, 8, 0) is None
    assert result.n_sequences == 2


def test_characters_lead_to_tokens_and_words(result):
    for at, character in enumerate(TEXT):
        token, word = result.char_to_token(at), result.char_to_word(at)
        if character == " ":  # trimmed off
            assert token is None
            assert word is None
        else:
            start, end = result.token_to_chars(token)
            assert start <= at < end
            assert word == result.token_to_word(token)
            span = result.word_to_tokens(word)
            assert isinstance(span, TokenSpan)
            assert token in range(*span)
    second = result.char_to_token(0, 0, 1)
    assert result.token_to_sequence(second) == 1
    assert result.tokens()[second] in ("Thanks", "Th", "T")
    assert result.char_to_token(len(TEXT)) is None


@pytest.fixture(scope="module")
def keeping():
    return LongformerTokenizer.from_pretrained(trim_offsets=False)


@unhurried
@given(text=texts)
def test_untrimmed_offsets_cover_the_text_in_order(keeping, text):
    spans = keeping(
        text, return_offsets_mapping=True, add_special_tokens=False, split_special_tokens=True
    ).offset_mapping
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
    assert {at for start, end in spans for at in range(start, end)} == set(range(len(text)))


@unhurried
@given(text=texts)
def test_trimming_takes_nothing_but_white_space(demo, keeping, text):
    untrimmed = keeping(text, return_offsets_mapping=True)
    trimmed = demo(text, return_offsets_mapping=True)
    assert trimmed.input_ids == untrimmed.input_ids
    for (start, end), (outer_start, outer_end) in zip(trimmed.offset_mapping, untrimmed.offset_mapping, strict=True):
        assert outer_start <= start <= end <= outer_end
        assert not (text[outer_start:start] + text[end:outer_end]).strip(WHITE_SPACE)


def test_the_space_that_a_prefix_may_have_put_there_stays_in_the_offsets():
    tokenizer = LongformerTokenizer.from_pretrained(add_prefix_space=True)

    def offsets(text):
        return tokenizer(text, return_offsets_mapping=True).offset_mapping[1:-1]

    assert offsets(" <mask>") == [(0, 7)]
    assert offsets("  <mask>") == [(2, 8)]
    assert offsets(" the <mask>") == [(0, 4), (5, 11)]
    assert offsets("the <mask>") == [(0, 3), (4, 10)]


def test_values_by_name_by_row_and_by_slice(demo):
    rows = demo([TEXT, PAIR])
    assert rows.input_ids is rows["input_ids"]
    assert rows[1].ids == rows.input_ids[1]
    assert rows[1:] == {"input_ids": rows.input_ids[1:], "attention_mask": rows.attention_mask[1:]}
    assert rows.is_fast
    assert [len(row) for row in rows.encodings] == [len(ids) for ids in rows.input_ids]
    assert demo(TEXT).convert_to_tensors("np", prepend_batch_axis=True).input_ids.shape == (1, len(rows[0]))
    assert demo(TEXT, truncation=True, max_length=9)[0].overflowing == []
    overflow = demo(TEXT, truncation=True, max_length=9, return_overflowing_tokens=True)
    assert [row.ids for row in overflow[0].overflowing] == overflow.input_ids[1:]
