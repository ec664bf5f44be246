"""Tokens, ids, roles and added tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizer.vocabularies import DEMO, WHITE_SPACE, texts, unhurried

from lf_ref.errors import InputError
from lf_ref.tokenizer import AddedToken, LongformerTokenizer


@pytest.fixture
def tokenizer() -> LongformerTokenizer:
    return LongformerTokenizer.from_pretrained()


def test_tokens_and_ids_both_ways(both):
    vocab = both.get_vocab()
    assert sorted(vocab.values()) == list(range(len(both)))
    tokens = list(vocab)[::37]
    ids = both.convert_tokens_to_ids(tokens)
    assert ids == [vocab[token] for token in tokens]
    assert both.convert_ids_to_tokens(ids) == tokens
    assert both.convert_ids_to_tokens(ids[1]) == tokens[1]
    assert both.convert_tokens_to_ids("no such token") == both.unk_token_id
    assert both.convert_ids_to_tokens([0, 5, 2, both.mask_token_id], skip_special_tokens=True) == [
        both.convert_ids_to_tokens(5)
    ]
    vocab.clear()
    assert both.get_vocab()


def test_roles(demo):
    assert demo.all_special_tokens == ["<s>", "</s>", "<unk>", "<pad>", "<mask>"]
    assert demo.all_special_ids == [0, 2, 3, 1, demo.mask_token_id]
    assert (demo.cls_token, demo.sep_token, demo.bos_token, demo.eos_token) == ("<s>", "</s>", "<s>", "</s>")
    assert (demo.pad_token, demo.pad_token_id, demo.unk_token, demo.unk_token_id) == ("<pad>", 1, "<unk>", 3)
    assert demo.special_tokens_map["mask_token"] == "<mask>"
    assert demo.additional_special_tokens == demo.additional_special_tokens_ids == []
    assert demo.max_len_single_sentence == demo.model_max_length - 2
    assert demo.max_len_sentences_pair == demo.model_max_length - 4
    assert bool(demo)


def test_roles_can_be_set(tokenizer):
    tokenizer.pad_token = "</s>"
    assert tokenizer.pad_token_id == 2
    tokenizer.pad_token_id = 3
    assert tokenizer.pad_token == "<unk>"
    assert tokenizer(["a", "a b"], padding=True).input_ids[0][-1] == 3
    tokenizer.mask_token = None
    assert tokenizer.mask_token_id is None
    assert "<mask>" not in tokenizer.all_special_tokens
    with pytest.raises(
        InputError, match=r"pad_token must be a token of the vocabulary, got '\[PAD\]'.*add_special_tokens"
    ):
        tokenizer.pad_token = "[PAD]"
    with pytest.raises(InputError, match="pad_token must be a string"):
        tokenizer.pad_token = 7


def test_added_tokens_get_ids_from_the_end_on(tokenizer):
    size = len(tokenizer)
    assert tokenizer.add_tokens(["<x>", "<y>", "<x>", "Ġthe"]) == 3
    assert tokenizer.convert_tokens_to_ids(["<x>", "<y>"]) == [size, size + 1]
    assert tokenizer.convert_tokens_to_ids("Ġthe") < size
    assert (len(tokenizer), tokenizer.vocab_size) == (size + 2, size)
    assert tokenizer.add_tokens("<x>") == 0
    assert tokenizer.add_tokens(AddedToken("<x>", lstrip=True)) == 1
    assert tokenizer.convert_tokens_to_ids("<x>") == size
    assert tokenizer.tokenize("a <x>b") == ["a", " <x>", "b"]
    assert tokenizer.added_tokens_decoder[size] == AddedToken("<x>", lstrip=True)
    assert tokenizer.added_tokens_encoder == tokenizer.get_added_vocab()
    assert tokenizer.add_tokens([]) == 0
    with pytest.raises(InputError, match="non-empty string, got 3"):
        tokenizer.add_tokens([3])
    with pytest.raises(InputError, match="lone surrogate"):
        tokenizer.add_tokens(["\ud800"])


def test_special_tokens_are_added_by_role(tokenizer):
    size = len(tokenizer)
    added = tokenizer.add_special_tokens({"mask_token": "[M]", "additional_special_tokens": ["<q>", "</s>"]})
    assert added == 3  # </s> with other options than it had
    assert (tokenizer.mask_token, tokenizer.mask_token_id) == ("[M]", size)
    assert tokenizer.additional_special_tokens == ["<q>", "</s>"]
    assert tokenizer.additional_special_tokens_ids == [size + 1, 2]
    ids = tokenizer.encode("a [M] <q> b")
    assert tokenizer.decode(ids, skip_special_tokens=True) == "a   b"
    tokenizer.add_special_tokens({"additional_special_tokens": ["<r>"]}, replace_additional_special_tokens=False)
    assert tokenizer.additional_special_tokens == ["<q>", "</s>", "<r>"]
    tokenizer.add_special_tokens({"additional_special_tokens": ["<z>"]})
    assert tokenizer.additional_special_tokens == ["<z>"]
    for wrong in ({"mask": "x"}, {"mask_token": ["x", "y"]}, {"mask_token": []}):
        with pytest.raises(InputError, match="special_tokens_dict must have one token for a role"):
            tokenizer.add_special_tokens(wrong)
    with pytest.raises(InputError, match=r"special_tokens_dict must map roles to tokens, .*, got \['<q>'\]"):
        tokenizer.add_special_tokens(["<q>"])


def test_adding_a_token_leaves_earlier_results_alone(tokenizer):
    before = tokenizer("one two three", return_offsets_mapping=True)
    other = tokenizer("one two three")
    tokenizer.add_tokens(["two"])
    assert other.tokens() == before.tokens() != tokenizer("one two three").tokens()
    assert other[0].offsets == before.offset_mapping


@pytest.fixture(scope="module")
def stripping() -> LongformerTokenizer:
    tokenizer = LongformerTokenizer.from_pretrained()
    tokenizer.add_tokens([AddedToken("<L>", lstrip=True), AddedToken("<R>", rstrip=True), AddedToken("<N>")])
    return tokenizer


@unhurried
@given(left=st.text(WHITE_SPACE, max_size=5), right=st.text(WHITE_SPACE, max_size=5), between=texts)
def test_stripping_takes_white_space_of_its_side_only(stripping, left, right, between):
    tokenizer = stripping
    between = f"x{between}x"
    decoded = tokenizer.decode(
        tokenizer.encode(
            f"a{left}<L>{right}{between}{left}<R>{right}b{left}<N>{right}",
            add_special_tokens=False,
            split_special_tokens=True,
        )
    )
    assert decoded == f"a<L>{right}{between}{left}<R>b{left}<N>{right}"
    assert tokenizer.tokenize(f"<R>{left}<L>") == [f"<R>{left}", "<L>"]  # the first to come takes it


def test_a_token_that_lost_its_white_space_is_not_found(tokenizer):
    tokenizer.add_tokens([AddedToken("<R>", rstrip=True), "\tx"])
    assert tokenizer.tokenize("<R>\tx") == ["<R>\t", "x"]
    assert tokenizer.tokenize("a\tx") == ["a", "\tx"]


@pytest.mark.parametrize(
    ("text", "found"),
    [("a <w> b", 1), ("a<w> b", 0), ("a <w>b", 0), ("<w>", 1), (".<w>,", 1), ("é<w>", 0), ("1<w>", 0), ("_<w>", 0),
     ("\u0301<w>", 0), ("\u200d<w>", 0), ("<w><w>", 2), ("👍<w>", 1)],
)  # fmt: skip
def test_a_single_word_stands_alone(tokenizer, text, found):
    tokenizer.add_tokens([AddedToken("<w>", single_word=True)])
    assert tokenizer.tokenize(text).count("<w>") == found


def test_the_longest_of_several_tokens_wins(tokenizer):
    tokenizer.add_tokens(["ab", "abc", "b", "cd", ".*"])
    assert tokenizer.tokenize("abcd") == ["abc", "d"]
    assert tokenizer.tokenize("bab.*") == ["b", "ab", ".*"]


def test_tokens_that_are_not_normalized_go_first(tokenizer):
    tokenizer.add_tokens([AddedToken("abc", normalized=True), AddedToken("bc", normalized=False)])
    assert tokenizer.tokenize("abc") == ["a", "bc"]


def test_roles_from_arguments():
    tokenizer = LongformerTokenizer.from_pretrained(
        DEMO, mask_token="[MASK]", pad_token=AddedToken("[PAD]", rstrip=True), additional_special_tokens=["<q>"]
    )
    size = tokenizer.vocab_size
    assert tokenizer.get_added_vocab() == {
        "<s>": 0, "</s>": 2, "<unk>": 3, "[PAD]": size, "[MASK]": size + 1, "<q>": size + 2,
    }  # fmt: skip
    assert tokenizer.tokenize("a [MASK]") == ["a", " [MASK]"]
    assert tokenizer.tokenize("a<mask>")[1:] != ["<mask>"]


def test_another_cls_token_begins_rows():
    tokenizer = LongformerTokenizer.from_pretrained(cls_token="<unk>", sep_token="<pad>")
    assert tokenizer.encode("") == [3, 1]


def test_a_representation_that_fits_a_line(demo):
    assert repr(demo) == "<LongformerTokenizer demo: 8192 tokens, inputs of at most 2048>"
    assert repr(demo("a")[0]) == "Encoding(num_tokens=3)"
