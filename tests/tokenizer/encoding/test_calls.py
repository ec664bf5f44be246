"""What a call takes and returns: one text, pairs, batches, words; padding, truncation, overflow; refusals."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizer.vocabularies import texts, unhurried

from lf_ref.errors import InputError
from lf_ref.tokenizer import BatchEncoding, LongformerTokenizer, LongformerTokenizerFast
from lf_ref.tokenizer.encoding.truncation import row_windows

FIRST = "Plants are among the most <mask> and essential forms of life."
SECOND = "Without them, we couldn't breathe."


@pytest.fixture(scope="module")
def words() -> LongformerTokenizer:
    return LongformerTokenizer.from_pretrained(add_prefix_space=True)


def test_both_names_are_one_class():
    assert LongformerTokenizerFast is LongformerTokenizer


def test_rows_of_one_text_and_of_a_pair(demo):
    first, second = (demo.encode(text, add_special_tokens=False) for text in (FIRST, SECOND))
    assert demo(FIRST).input_ids == [0, *first, 2] == demo.build_inputs_with_special_tokens(first)
    pair = [0, *first, 2, 2, *second, 2]
    assert demo(FIRST, SECOND).input_ids == pair == demo.build_inputs_with_special_tokens(first, second)
    assert demo(FIRST, SECOND, add_special_tokens=False).input_ids == first + second
    assert demo.num_special_tokens_to_add() == 2
    assert demo.num_special_tokens_to_add(pair=True) == 4
    special = demo(FIRST, SECOND, return_special_tokens_mask=True, return_token_type_ids=True)
    assert special.special_tokens_mask == demo.get_special_tokens_mask(first, second)
    assert special.token_type_ids == demo.create_token_type_ids_from_sequences(first, second) == [0] * len(pair)
    assert demo.get_special_tokens_mask(demo.encode("a"), already_has_special_tokens=True) == [1, 0, 1]
    assert list(special) == ["input_ids", "token_type_ids", "attention_mask", "special_tokens_mask"]


@unhurried
@given(rows=st.lists(st.tuples(texts, texts), max_size=4))
def test_a_batch_is_its_rows_one_by_one(demo, rows):
    firsts, seconds = [first for first, _ in rows], [second for _, second in rows]
    options = {"return_offsets_mapping": True, "truncation": True, "max_length": 13}
    assert demo(firsts, **options) == _joined([demo(first, **options) for first in firsts])
    pairs = _joined([demo([row], **options) for row in rows], batches=True)
    assert demo(firsts, seconds, **options) == demo(rows, **options) == pairs


def _joined(results, batches=False):
    names = ["input_ids", "attention_mask", "offset_mapping"]
    return {name: [result[name][0] if batches else result[name] for result in results] for name in names}


def test_an_empty_batch(demo):
    assert demo([]) == {"input_ids": [], "attention_mask": []}
    assert demo([], padding=True, return_tensors="np").input_ids.shape == (0,)


def test_an_empty_second_text_counts_in_batches_only(demo):
    assert demo("a", "").input_ids == demo("a").input_ids
    assert demo(["a"], [""]).input_ids[0][-3:] == [2, 2, 2]


def test_one_call_does_not_change_the_next(demo):
    before = demo(FIRST)
    demo([FIRST, SECOND], padding="max_length", max_length=64, truncation=True, padding_side="left")
    demo(FIRST, split_special_tokens=True)
    assert demo(FIRST) == before


def test_padding(demo):
    short, long = len(demo.encode(SECOND)), len(demo.encode(FIRST))
    assert short < long
    for side in ("right", "left"):
        padded = demo([FIRST, SECOND], padding=True, padding_side=side, return_special_tokens_mask=True)
        pads, ones = [1] * (long - short), [1] * short
        expected = demo.encode(SECOND) + pads if side == "right" else pads + demo.encode(SECOND)
        assert padded.input_ids == [demo.encode(FIRST), expected]
        zeros = [0] * (long - short)
        assert padded.attention_mask[1] == (ones + zeros if side == "right" else zeros + ones)
        assert padded.special_tokens_mask[1].count(1) == 2 + long - short
        assert padded.word_ids(1).count(None) == 2 + long - short
    assert [len(row) for row in demo([FIRST, SECOND], padding="longest", pad_to_multiple_of=8).input_ids] == [
        -(-long // 8) * 8
    ] * 2
    assert len(demo(SECOND, padding="max_length", max_length=31).input_ids) == 31
    assert len(demo(FIRST, padding="max_length", max_length=3).input_ids) == long
    assert demo.encode(SECOND, padding="max_length")[-1] == 1
    assert len(demo.encode(SECOND, padding="max_length")) == demo.model_max_length
    unlimited = LongformerTokenizer.from_pretrained(model_max_length=10**30)
    assert unlimited.encode(SECOND, padding="max_length", truncation=True) == demo.encode(SECOND)


def test_max_length_alone_truncates(demo):
    assert len(demo(FIRST, max_length=5).input_ids) == 5
    assert demo(FIRST, max_length=5, truncation=False).input_ids == demo(FIRST).input_ids
    assert demo(FIRST, max_length=5, padding=True).input_ids == demo(FIRST).input_ids


@pytest.fixture(scope="module")
def sides() -> dict[str, LongformerTokenizer]:
    return {side: LongformerTokenizer.from_pretrained(truncation_side=side) for side in ("right", "left")}


@unhurried
@given(
    text=texts,
    length=st.integers(3, 20),
    stride=st.integers(0, 7),
    side=st.sampled_from(["right", "left"]),
)
def test_overflow_covers_the_text_and_repeats_stride_tokens(sides, text, length, stride, side):
    demo = sides[side]
    ids = demo.encode(text, add_special_tokens=False)
    stride = min(stride, length - 3)
    rows = demo(text, truncation=True, max_length=length, stride=stride, return_overflowing_tokens=True)
    assert rows.overflow_to_sample_mapping == [0] * len(rows.input_ids)
    parts = [row[1:-1] for row in rows.input_ids]
    assert all(len(row) <= length for row in rows.input_ids)
    joined = parts[0]
    for part in parts[1:]:
        if side == "right":
            assert joined[len(joined) - stride :] == part[:stride]
            joined = joined + part[stride:]
        else:
            assert joined[:stride] == part[len(part) - stride :]
            joined = part[: len(part) - stride] + joined
    assert joined == ids


def test_overflow_of_pairs_names_where_rows_come_from(demo):
    rows = demo(
        [FIRST, FIRST], [SECOND, FIRST], truncation="only_second", max_length=24, stride=2,
        return_overflowing_tokens=True, return_offsets_mapping=True, padding=True, return_tensors="np",
    )  # fmt: skip
    assert rows.input_ids.shape == rows.attention_mask.shape == rows.offset_mapping.shape[:2]
    assert rows.offset_mapping.shape[2] == 2
    assert rows.overflow_to_sample_mapping.tolist() == sorted(rows.overflow_to_sample_mapping.tolist())
    assert set(rows.overflow_to_sample_mapping.tolist()) == {0, 1}
    for row, origin in enumerate(rows.overflow_to_sample_mapping):
        second = [SECOND, FIRST][origin]
        for offsets, sequence, token in zip(rows[row].offsets, rows.sequence_ids(row), rows.tokens(row), strict=True):
            if sequence is not None and token.isascii():
                assert (FIRST, second)[sequence][slice(*offsets)] == token.strip()


def test_longest_first_cuts_the_longer_text_first(demo):
    long = [len(demo.encode(text, add_special_tokens=False)) for text in (FIRST, SECOND)]
    assert long[0] > long[1]
    for room in range(1, sum(long) + 3):
        kept = [0, 0]
        for sequence in demo(FIRST, SECOND, truncation=True, max_length=room + 4).sequence_ids():
            if sequence is not None:
                kept[sequence] += 1
        assert sum(kept) == min(room, sum(long))
        assert kept[0] >= kept[1]
        assert kept[1] == long[1] or kept[0] - kept[1] <= 1


def test_the_order_of_rows_where_both_texts_overflow():
    head, tail = (0, 2), (2, 3)
    assert row_windows([3, 3], "longest_first", 4, 0, "right", overflow=True) == [
        (head, head), (tail, head), (tail, tail), (head, tail),
    ]  # fmt: skip


def test_words(words):
    expected = words.encode("Hello world, friends")
    assert words(["Hello", "world", ",", "friends"], is_split_into_words=True).input_ids != expected
    encoded = words(["Hello", "world,", "friends"], ["I'm"], is_split_into_words=True, return_offsets_mapping=True)
    assert encoded.input_ids == words("Hello world, friends", "I'm").input_ids
    first = [word for word, text in zip(encoded.word_ids(), encoded.sequence_ids(), strict=True) if text == 0]
    assert sorted(set(first)) == [0, 1, 2]
    assert encoded.word_to_chars(0, 1) == (0, 6)
    batch = words([["Hello", "world,", "friends"], ["I'm"]], is_split_into_words=True)
    assert batch.input_ids == [words.encode("Hello world, friends"), words.encode("I'm")]
    assert words.encode([], is_split_into_words=True) == [0, 2]
    assert words.encode(["a", "b"], is_split_into_words=True) == words.encode("a b")


def test_special_tokens_in_texts(demo):
    text = "one</s></s><mask> two<pad>"
    assert demo.encode(text)[1:-1].count(2) == 2
    for tokenizer, options in (
        (demo, {"split_special_tokens": True}),
        (LongformerTokenizer.from_pretrained(split_special_tokens=True), {}),
    ):
        ids = tokenizer.encode(text, **options)
        assert not {0, 1, 2, demo.mask_token_id} & set(ids[1:-1])
        assert demo.decode(ids[1:-1]) == text
    mutable = LongformerTokenizer.from_pretrained()
    mutable.split_special_tokens = True
    assert mutable.encode(text) == ids
    assert mutable.encode(text, split_special_tokens=False) == demo.encode(text)


def test_values_are_arrays_on_request(demo):
    rows = demo([FIRST, SECOND], padding=True, return_tensors="np", return_length=True)
    assert {name: value.dtype for name, value in rows.items()} == dict.fromkeys(rows, np.dtype(np.int64))
    assert rows.input_ids.shape == (2, len(demo.encode(FIRST)))
    assert demo.encode(FIRST, return_tensors="np").shape == (1, len(demo.encode(FIRST)))
    assert {**rows}.keys() == {"input_ids", "attention_mask", "length"}
    assert demo("a", return_length=True).length == [3]


def test_decoding(demo):
    ids = demo.encode("Isn 't it , well ... done ?")
    assert demo.decode(ids) == "<s>Isn 't it , well ... done ?</s>"
    assert demo.decode(ids, skip_special_tokens=True) == "Isn 't it , well ... done ?"
    assert demo.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=True) == "Isn 't it, well... done?"
    assert demo.decode(np.array(ids)) == demo.decode(ids)
    assert demo.decode(ids[1]) == demo.decode(np.int64(ids[1])) == demo.decode([ids[1]])
    assert demo.batch_decode([ids, ids[:1]]) == [demo.decode(ids), "<s>"]
    assert demo.batch_decode(np.array([ids, ids])) == [demo.decode(ids)] * 2
    assert demo.decode([]) == ""
    assert demo.convert_tokens_to_string(demo.tokenize(FIRST, split_special_tokens=True)) == FIRST


def test_bytes_that_are_no_text(demo):
    half = demo.encode("é", add_special_tokens=False)
    half = half if len(half) > 1 else [demo.convert_tokens_to_ids("Ã")]
    assert demo.decode(half[:1]) == "\ufffd"
    assert LongformerTokenizer.from_pretrained(errors="ignore").decode(half[:1]) == ""
    with pytest.raises(InputError, match="not UTF-8 from byte 0 on"):
        LongformerTokenizer.from_pretrained(errors="strict").decode(half[:1])


def test_an_added_token_decodes_to_itself():
    tokenizer = LongformerTokenizer.from_pretrained()
    assert tokenizer.add_tokens(["café", "Ġnaïve", "new york"]) == 3
    text = "a café in new york,Ġnaïve"
    assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_pad_takes_rows_batches_and_arrays(demo):
    rows = [demo(FIRST), demo(SECOND)]
    expected = demo([FIRST, SECOND], padding=True)
    before = [dict(row) for row in rows]
    assert demo.pad(rows) == expected
    assert [dict(row) for row in rows] == before
    assert demo.pad({"input_ids": [row.input_ids for row in rows]}) == expected
    assert demo.pad([{"input_ids": np.array(row.input_ids)} for row in rows]) == expected
    arrays = demo.pad(rows, return_tensors="np")
    assert arrays.input_ids.tolist() == expected.input_ids
    single = demo.pad(demo("a"), padding="max_length", max_length=5, padding_side="left")
    assert single == {"input_ids": [1, 1, *demo.encode("a")], "attention_mask": [0, 0, 1, 1, 1]}
    masks = demo.pad(demo(["a", "a b"], return_special_tokens_mask=True, return_token_type_ids=True))
    assert masks.special_tokens_mask == [[1, 0, 1, 1], [1, 0, 0, 1]]
    assert masks.token_type_ids == [[0] * 4] * 2
    more = {**demo(["a", "a b"]), "global_attention_mask": [[1, 0, 0], [1, 0, 0, 0]], "label": [7, 8]}
    assert demo.pad(more).global_attention_mask == [[1, 0, 0, 0], [1, 0, 0, 0]]
    assert demo.pad(more).label == [7, 8]
    assert demo.pad(rows, padding=False)["input_ids"] == [row.input_ids for row in rows]
    assert "attention_mask" not in demo.pad({"input_ids": [5]}, return_attention_mask=False)


def test_many_threads_encode_as_one():
    tokenizer = LongformerTokenizer.from_pretrained()
    many = [f"{FIRST} {number:x} {SECOND * 3}" for number in range(200)]
    expected = [LongformerTokenizer.from_pretrained().encode(text) for text in many[:5]]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(tokenizer.encode, many))
    assert found[:5] == expected
    assert found == [tokenizer.encode(text) for text in many]


REFUSED = [
    ({"text": 3}, "text must be a string, got 3"),
    ({"text": None}, "text must be a string or a list of strings, got None; give text or text_target"),
    ({"text": ["a", 3]}, r"text\[1\] must be a string, got 3"),
    ({"text": b"a"}, "text must be a string, got b'a'"),
    ({"text": "a", "text_pair": 3}, "text_pair must be a string, got 3"),
    ({"text": ["a", "b"], "text_pair": ["c"]}, "text_pair must be a list of 2 texts, got 1"),
    ({"text": ["a"], "text_pair": "c"}, "text_pair must be a list of 1 texts, got 'c'"),
    ({"text": [("a", "b", "c")]}, r"text\[0\] must be a text or a pair of texts, got 3"),
    ({"text": ["a"], "is_split_into_words": True}, "needs a tokenizer with add_prefix_space=True"),
    ({"text": "a", "padding": "longer"}, "padding must be one of True, 'longest', 'max_length', False, got 'longer'"),
    ({"text": "a", "truncation": "all"}, "truncation must be one of True, 'longest_first'.* got 'all'"),
    ({"text": "a", "padding": 1.5}, "padding must be one of"),
    ({"text": "a", "max_length": 0}, "max_length must be an integer of at least 1, got 0"),
    ({"text": "a", "max_length": "9"}, "max_length must be an integer of at least 1, got '9'"),
    ({"text": "a", "max_length": True}, "max_length must be an integer of at least 1, got True"),
    ({"text": "a", "stride": -1}, "stride must be an integer of at least 0, got -1"),
    ({"text": "a", "pad_to_multiple_of": 0}, "pad_to_multiple_of must be an integer of at least 1, got 0"),
    ({"text": "a", "padding_side": "up"}, 'padding_side must be "right" or "left", got \'up\''),
    ({"text": "a", "return_tensors": "pt"}, "return_tensors must be \"np\" or None, got 'pt'.*torch.from_numpy"),
    ({"text": "a", "max_length": 1}, "max_length must be at least 2, the number of special tokens in a row, got 1"),
    (
        {"text": "a", "text_pair": "b", "max_length": 3},
        "max_length must be at least 4, the number of special tokens in a row, got 3",
    ),
    ({"text": "a b c", "max_length": 3, "truncation": "only_second"}, 'truncation="only_second" needs a second text'),
    (
        {"text": "a", "text_pair": "a b c", "max_length": 6, "truncation": "only_first"},
        "would remove 2 tokens of a text of 1",
    ),
    (
        {"text": "a b c d", "max_length": 4, "stride": 2, "return_overflowing_tokens": True},
        "stride must be less than the 2 tokens .* got 2",
    ),
    ({"text": "a b c d", "max_length": 2, "return_overflowing_tokens": True}, "stride must be less than the 0 tokens"),
    (
        {"text": "a", "max_length": 9, "padding": True, "truncation": True, "pad_to_multiple_of": 8},
        "max_length must be a multiple of pad_to_multiple_of=8 .* got 9; use max_length=8",
    ),
    ({"text": ["a", "a b"], "return_tensors": "np"}, "rows of input_ids must have equal lengths.*padding=True"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_arguments_that_make_no_sense(demo, arguments, message):
    with pytest.raises(InputError, match=message):
        demo(**arguments)


def test_words_that_are_none(words):
    with pytest.raises(InputError, match=r"text must be a list of words, since is_split_into_words=True, got 'a b'"):
        words("a b", is_split_into_words=True)
    with pytest.raises(InputError, match=r"text\[1\]\[0\] must be a string, got 3"):
        words([["a"], [3]], is_split_into_words=True)
    with pytest.raises(InputError, match="text must be one text, got list"):
        words.encode(["a", "b"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.decode([5, 9000]), "id 9000 at position 1 is not in the vocabulary of 8192"),
        (lambda t: t.decode([-100]), "id -100 at position 0"),
        (lambda t: t.decode("5"), "ids must be a list of integers"),
        (lambda t: t.decode([[5]]), "ids must be a list of integers"),
        (lambda t: t.decode([5.0]), "ids must be a list of integers"),
        (lambda t: t.convert_ids_to_tokens(9000), "id 9000 at position 0"),
        (lambda t: t.pad({"attention_mask": [1]}), "encoded_inputs must have input_ids"),
        (lambda t: t.pad([{"input_ids": [1]}, {"x": 1}]), "row 1 must have input_ids"),
        (lambda t: t.pad([[1, 2]]), "a mapping of values, or a list of such mappings"),
        (lambda t: t.pad({"input_ids": [[5, 6]], "attention_mask": [[1]]}), "rows of attention_mask must be as long"),
        (lambda t: t.pad({"input_ids": [[5], [6, 7]]}, False, return_tensors="np"), "must have equal lengths"),
        (lambda t: t.get_special_tokens_mask([0], [2], already_has_special_tokens=True), "token_ids_1 must be None"),
    ],
)
def test_ids_that_make_no_sense(demo, call, message):
    with pytest.raises(InputError, match=message):
        call(demo)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"errors": "hide"}, "errors must name an error handler"),
        ({"padding_side": "up"}, "padding_side must be"),
        ({"truncation_side": "up"}, "truncation_side must be"),
        ({"model_max_length": 0}, "model_max_length must be"),
        ({"mask_token": 3}, "mask_token must be a string"),
        ({"cls_token": None, "bos_token": None}, "cls_token must be a token of the vocabulary"),
        ({"additional_special_tokens": [""]}, "must be a non-empty string"),
        ({"additional_special_tokens": [["<x>"]]}, "must be a non-empty string, got ['<x>']"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        LongformerTokenizer.from_pretrained(**options)


def test_padding_needs_a_token():
    tokenizer = LongformerTokenizer.from_pretrained(pad_token=None)
    assert tokenizer.pad_token_id is None
    for call in (lambda: tokenizer(["a", "b c"], padding=True), lambda: tokenizer.pad({"input_ids": [[1], [2, 3]]})):
        with pytest.raises(InputError, match="needs a pad_token"):
            call()


def test_a_result_is_made_of_texts_or_not(demo):
    result = BatchEncoding({"input_ids": [[0, 5, 2]]})
    assert result.encodings is None
    assert not result.is_fast
    with pytest.raises(InputError, match="does not come from texts"):
        result.tokens()
    with pytest.raises(InputError, match="no row 1 in a batch of 1"):
        demo("a").tokens(1)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = demo("a").nonsense
    with pytest.raises(InputError, match="token index 3 is outside a row of 3"):
        demo("a").token_to_chars(3)
