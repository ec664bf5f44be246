"""The tokenizer gives what HF's fast tokenizer gives: ids, offsets, words, masks, rows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from unicodedata import category

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tokenizer.vocabularies import DEMO, NASTY, WHITE_SPACE, texts

from lf_ref.tokenizer import AddedToken, LongformerTokenizer
from lf_ref.tokenizer.bpe.split_pattern import split_by_tables, split_words
from parity.tokenizer_peer import answer, ours, theirs

pytestmark = pytest.mark.parity

word_lists = st.lists(st.one_of(texts, st.sampled_from(NASTY)), max_size=7)

often = settings(
    max_examples=int(os.environ.get("LF_REF_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("trim_offsets", [True, False])
@pytest.mark.parametrize("add_prefix_space", [False, True])
@often
@given(text=texts)
def test_one_text(folder: Path, add_prefix_space: bool, trim_offsets: bool, text: str) -> None:
    options = {"add_prefix_space": add_prefix_space, "trim_offsets": trim_offsets}
    mine, peer = ours(folder, **options), theirs(folder, **options)
    arguments = {"return_offsets_mapping": True, "return_special_tokens_mask": True, "return_token_type_ids": True}
    assert answer(mine, (text,), arguments) == answer(peer, (text,), arguments)
    assert answer(mine, (text,), {"add_special_tokens": False}) == answer(peer, (text,), {"add_special_tokens": False})
    ids = mine.encode(text)
    assert mine.tokenize(text) == peer.tokenize(text)
    for skip in (False, True):
        for clean in (False, True):
            assert mine.decode(ids, skip, clean) == peer.decode(ids, skip, clean)
    assert mine.convert_tokens_to_string(mine.tokenize(text)) == peer.convert_tokens_to_string(peer.tokenize(text))


@often
@given(text=texts)
def test_special_tokens_as_text(folder: Path, text: str) -> None:
    options = {"split_special_tokens": True}
    expected = answer(theirs(folder), (text,), options)
    assert answer(ours(folder), (text,), options) == expected
    assert answer(ours(folder, **options), (text,), {}) == expected


call_options = st.fixed_dictionaries(
    {},
    optional={
        "add_special_tokens": st.booleans(),
        "padding": st.sampled_from([True, False, "longest", "max_length", "do_not_pad"]),
        "truncation": st.sampled_from(
            [True, False, None, "longest_first", "only_first", "only_second", "do_not_truncate"]
        ),
        "max_length": st.integers(1, 23),
        "stride": st.integers(0, 5),
        "pad_to_multiple_of": st.sampled_from([1, 3, 8]),
        "padding_side": st.sampled_from(["left", "right"]),
        "return_token_type_ids": st.booleans(),
        "return_attention_mask": st.booleans(),
        "return_overflowing_tokens": st.booleans(),
        "return_special_tokens_mask": st.booleans(),
        "return_offsets_mapping": st.booleans(),
        "return_length": st.booleans(),
    },
)


def check_call(mine: LongformerTokenizer, peer: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Equal, or refused by both; but for what ours refuses where the peer goes wrong, and what only the peer does."""
    expected, got = answer(peer, arguments, options), answer(mine, arguments, options)
    if got is None and expected is not None:
        # No room for a token of a text: the peer wraps around below zero, or returns rows longer than max_length.
        assert options.get("max_length", 23) <= 7
        return
    if expected is None and got is not None:
        # A stride as long as a row is refused there even where nothing overflows, where no overflow is wanted, or
        # where only the special tokens that were not asked for would make it as long.
        origins = got["values"].get("overflow_to_sample_mapping", [])
        assert len(set(origins)) == len(origins) or options["stride"] >= options["max_length"] - 2
        assert options["stride"] > 0
        return
    if not options.get("add_special_tokens", True) and expected is not None and got is not None:
        # Overflow of a second text without special tokens has type 1 there; a Longformer has one type.
        for answered in (expected, got):
            answered["values"].pop("token_type_ids", None)
    assert got == expected


@pytest.mark.parametrize("truncation_side", ["right", "left"])
@pytest.mark.parametrize("add_prefix_space", [False, True])
@often
@given(first=texts, second=st.one_of(st.none(), texts), options=call_options)
def test_options_of_single_calls(
    folder: Path,
    add_prefix_space: bool,
    truncation_side: str,
    first: str,
    second: str | None,
    options: dict[str, Any],
) -> None:
    loading = {"add_prefix_space": add_prefix_space, "truncation_side": truncation_side}
    check_call(ours(folder, **loading), theirs(folder, **loading), (first, second), options)


@pytest.mark.parametrize("trim_offsets", [True, False])
@often
@given(rows=st.lists(st.tuples(texts, texts), min_size=1, max_size=5), options=call_options, pairs=st.booleans())
def test_options_of_batches(
    folder: Path, trim_offsets: bool, rows: list[tuple[str, str]], options: dict[str, Any], pairs: bool
) -> None:
    loading = {"trim_offsets": trim_offsets, "padding_side": "left"}
    mine, peer = ours(folder, **loading), theirs(folder, **loading)
    firsts = [first for first, _ in rows]
    seconds = [second for _, second in rows]
    check_call(mine, peer, (firsts, seconds) if pairs else (firsts,), options)
    check_call(mine, peer, (rows,), options)


@pytest.mark.parametrize("trim_offsets", [True, False])
@often
@given(rows=st.lists(st.tuples(word_lists, word_lists), min_size=1, max_size=3), options=call_options)
def test_texts_as_words(
    folder: Path, trim_offsets: bool, rows: list[tuple[list[str], list[str]]], options: dict[str, Any]
) -> None:
    loading = {"trim_offsets": trim_offsets, "add_prefix_space": True}
    mine, peer = ours(folder, **loading), theirs(folder, **loading)
    options = {**options, "is_split_into_words": True}
    first, second = rows[0]
    check_call(mine, peer, (first,), options)
    check_call(mine, peer, (first, second), options)
    # A batch is known by its first entry; HF's check looks into it.
    check_call(mine, peer, ([one for one, _ in rows], [two for _, two in rows]), options)


@often
@given(first=texts, second=texts, data=st.data())
def test_between_tokens_words_and_characters(folder: Path, first: str, second: str, data: st.DataObject) -> None:
    assume(second)
    mine, peer = ours(folder)(first, second), theirs(folder)(first, second)
    token = data.draw(st.integers(0, len(mine.input_ids) - 1))
    assert mine.token_to_chars(token) == peer.token_to_chars(token)
    assert mine.token_to_word(token) == peer.token_to_word(token)
    assert mine.token_to_sequence(token) == peer.token_to_sequence(token)
    sequence = data.draw(st.integers(0, 1))
    for place in range(max(len(first), len(second)) + 2):
        assert mine.char_to_token(0, place, sequence) == peer.char_to_token(0, place, sequence)
        assert mine.char_to_word(0, place, sequence) == peer.char_to_word(0, place, sequence)
        words = peer.word_to_tokens(0, place, sequence)
        assert mine.word_to_tokens(0, place, sequence) == words
        if words is not None:
            assert mine.word_to_chars(0, place, sequence) == peer.word_to_chars(0, place, sequence)


flags = st.fixed_dictionaries(
    {"content": st.one_of(st.sampled_from(NASTY), st.text(min_size=1, max_size=3))},
    optional={name: st.booleans() for name in ("single_word", "lstrip", "rstrip", "normalized", "special")},
)


@often
@given(tokens=st.lists(flags, min_size=1, max_size=4), text=texts, data=st.data())
def test_added_tokens(tokens: list[dict[str, Any]], text: str, data: st.DataObject) -> None:
    import tokenizers
    import transformers

    mine = LongformerTokenizer.from_pretrained(DEMO)
    peer = transformers.LongformerTokenizerFast(tokenizer_object=theirs(DEMO).backend_tokenizer, tokenizer_file=None)
    # The peer goes on looking for a token in the order that its first `normalized` gave it.
    tokens = [{**token, "normalized": token["content"] != "<mask>"} for token in tokens]
    contents = [token["content"] for token in tokens]
    # What touches a single_word token is looked up in regex's Unicode, which may be newer than the peer's.
    assume(not any(token.get("single_word") for token in tokens) or "Cn" not in map(category, text + "".join(contents)))
    # Where a token takes the white space along that the next one begins with, the peer counts it twice, or panics.
    assume(
        not any(token.get("rstrip") for token in tokens) or not any(content[0] in WHITE_SPACE for content in contents)
    )
    text = "".join(data.draw(st.permutations([*contents, *contents, text, " ", text])))
    count = mine.add_tokens([AddedToken(**token) for token in tokens])
    assert count == peer.add_tokens([tokenizers.AddedToken(**token) for token in tokens])
    assert mine.get_vocab() == peer.get_vocab()
    assert len(mine) == len(peer)
    for options in ({}, {"split_special_tokens": True}):
        assert answer(mine, (text,), options) == answer(peer, (text,), options)


@pytest.mark.parametrize("chunk", range(17))
def test_every_code_point_is_in_the_same_class(chunk: int) -> None:
    from tokenizers import pre_tokenizers

    split = pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str
    points = [chr(point) for point in range(chunk << 16, (chunk + 1) << 16) if not 0xD800 <= point < 0xE000]
    text = "".join(f"a{point}a 1{point}1 !{point}! " for point in points)
    ends = [end for _, (_, end) in split(text)]
    for split_words_ in (split_by_tables(), split_words):
        mine, end = [], 0
        for word in split_words_(text):
            end += len(word)
            mine.append(end)
        assert mine == ends


def test_defaults_and_class_of_results(folder: Path) -> None:
    mine, peer = ours(folder), theirs(folder)
    assert list(mine("a b")) == list(peer("a b"))
    for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"):
        assert getattr(mine, f"{name}_token") == getattr(peer, f"{name}_token")
        assert getattr(mine, f"{name}_token_id") == getattr(peer, f"{name}_token_id")
    assert (mine.all_special_tokens, mine.all_special_ids) == (peer.all_special_tokens, peer.all_special_ids)
    assert (len(mine), mine.vocab_size, mine.get_vocab()) == (len(peer), peer.vocab_size, peer.get_vocab())
    arrays = {"padding": True, "return_tensors": "np", "return_offsets_mapping": True}
    for name, value in peer(["a", "a b c"], **arrays).items():
        found = mine(["a", "a b c"], **arrays)[name]
        assert found.dtype == value.dtype
        assert found.tolist() == value.tolist()


@often
@given(data=st.data())
def test_any_ids_decode_alike(folder: Path, data: st.DataObject) -> None:
    ids = data.draw(st.lists(st.integers(0, len(ours(folder)) - 1), max_size=30))
    for skip in (False, True):
        for clean in (None, False, True):
            assert ours(folder).decode(ids, skip, clean) == theirs(folder).decode(ids, skip, clean)
    assert ours(folder).convert_ids_to_tokens(ids, True) == theirs(folder).convert_ids_to_tokens(ids, True)
    assert ours(folder).batch_decode([ids, ids[:2]]) == theirs(folder).batch_decode([ids, ids[:2]])


@often
@given(
    rows=st.lists(texts, min_size=1, max_size=5),
    padding=st.sampled_from([True, False, "max_length", "longest"]),
    max_length=st.one_of(st.none(), st.integers(1, 30)),
    multiple=st.one_of(st.none(), st.integers(1, 9)),
    side=st.sampled_from([None, "left", "right"]),
    mask=st.sampled_from([None, True, False]),
)
def test_padding_afterwards(rows: list[str], **options: Any) -> None:
    options["pad_to_multiple_of"] = options.pop("multiple")
    options["padding_side"] = options.pop("side")
    options["return_attention_mask"] = options.pop("mask")
    asked = {"return_special_tokens_mask": True, "return_attention_mask": options["return_attention_mask"] is not False}
    if options["padding"] == "max_length" and options["max_length"] is None:
        options["max_length"] = 40
    encoded = [dict(ours(DEMO)(text, **asked)) for text in rows]
    values = {name: [row[name] for row in encoded] for name in encoded[0]}
    copies = {name: [list(row) for row in value] for name, value in values.items()}  # the peer changes what it gets
    expected = dict(theirs(DEMO).pad(copies, **options, verbose=False))
    assert dict(ours(DEMO).pad(encoded, **options)) == expected
    assert dict(ours(DEMO).pad(values, **options)) == expected
    one = {name: list(value) for name, value in encoded[0].items()}
    assert dict(ours(DEMO).pad(encoded[0], **options)) == dict(theirs(DEMO).pad(one, **options, verbose=False))
