"""Ids against the naive definition, and decoding; runs of a million characters; unknown bytes; pickling."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizer.vocabularies import WHITE_SPACE, old_texts, texts, unhurried

from lf_ref.errors import InputError
from lf_ref.tokenizer import LongformerTokenizer
from oracles.naive_bpe import NaiveBPE


@pytest.fixture(scope="session")
def oracle(folder: Path) -> NaiveBPE:
    return NaiveBPE.from_folder(folder)


@unhurried
@given(text=old_texts)
def test_ids_are_those_of_the_oracle(both, oracle, text):
    assert both.encode(text, add_special_tokens=False) == oracle.ids(text)


@unhurried
@given(text=texts)
def test_decoding_gives_the_text_back(both, text):
    ids = both.encode(text, add_special_tokens=False, split_special_tokens=True)
    assert both.decode(ids) == text


@unhurried
@given(text=texts)
def test_decoding_loses_no_more_than_the_white_space_before_masks(demo, text):
    expected = re.sub(f"[{WHITE_SPACE}]+<mask>", "<mask>", text)
    assert demo.decode(demo.encode(text, add_special_tokens=False)) == expected


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (" Hello world", [0, 20920, 232, 2]),
        ("Hello world", [0, 31414, 232, 2]),
        ("A, <mask> AllenNLP sentence.", [0, 250, 6, 50264, 3823, 487, 21992, 3645, 4, 2]),
        ("A,\u3000\n\xa0<mask> AllenNLP sentence.", [0, 250, 6, 50264, 3823, 487, 21992, 3645, 4, 2]),
        ("", [0, 2]),
    ],
)
def test_published_ids_of_the_full_vocabulary(roberta, text, ids):
    assert roberta(text).input_ids == ids
    assert roberta("Hello world", " Hello world").input_ids == [0, 31414, 232, 2, 2, 20920, 232, 2]
    assert (roberta.bos_token_id, roberta.pad_token_id, roberta.eos_token_id) == (0, 1, 2)
    assert (roberta.unk_token_id, roberta.mask_token_id) == (3, 50264)


@pytest.mark.parametrize("separator", ["\x1c", "\x1f", "\u200b", "\ufeff", "\u180e"])
def test_what_is_no_white_space_stays_before_a_mask(demo, separator):
    assert demo.tokenize(f"a{separator}<mask>")[-1] == "<mask>"
    assert demo.decode(demo.encode(f"a{separator}<mask>", add_special_tokens=False)) == f"a{separator}<mask>"


@pytest.mark.parametrize("text", ["a" * 10**6, " " * 10**6, "\n" * 10**6, "é" * 10**6, "<mask>" * 10**5, "-" * 10**6])
def test_a_million_equal_characters_are_soon_done(both, text):
    started = time.process_time()
    ids = both.encode(text, add_special_tokens=False)
    took = time.process_time() - started
    assert both.decode(ids) == text
    assert took < 3  # a tenth of that on an idle machine; anything quadratic takes hours


def test_offsets_of_a_long_word(both):
    encoded = both("é" * 20000, return_offsets_mapping=True, add_special_tokens=False)
    covered = [at for start, end in encoded.offset_mapping for at in range(start, end)]
    assert sorted(set(covered)) == list(range(20000))


def test_a_lone_surrogate_is_an_error_with_its_position(demo):
    with pytest.raises(InputError, match=r"text 1: .*U\+D83D, at position 8"):
        demo(["fine", "a <mask>\ud83d b"])
    with pytest.raises(InputError, match=r"U\+DC00, at position 0"):
        demo.encode("\udc00")
    # A pair of surrogates is as little a character in Python.
    with pytest.raises(InputError, match=r"U\+D83D, at position 2"):
        demo.encode("é \ud83d\ude00")


@unhurried
@given(text=st.text("ab c\u00e9\u00c9\u6f22", max_size=20))
def test_a_byte_without_a_token_is_unknown(text):
    vocab = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 7, "a": 11, "b": 12, "ab": 13, "\u00c3": 17, "\u00a9": 5}
    oracle = NaiveBPE(vocab, [("a", "b")], [], "<mask>")
    found = LongformerTokenizer(vocab, ["a b"])(text, add_special_tokens=False, return_offsets_mapping=True)
    assert found.input_ids == oracle.ids(text)
    byte_of = {character: byte for byte, character in enumerate(oracle.characters)}
    assert bytes(byte_of[character] for character in "".join(found.tokens())) == text.encode()
    assert sorted(found.word_ids()) == found.word_ids()
    at = 0
    for token, (start, end) in zip(found.tokens(), found.offset_mapping, strict=True):
        first = len(text.encode()[:at].decode(errors="ignore"))
        at += len(token)
        if token == oracle.characters[0x20]:  # trimmed off
            assert (start, end) == (first + 1, first + 1)
        else:
            assert (start, end) == (first, first + len(token))
    again = pickle.loads(pickle.dumps(found))
    assert (again.tokens(), again.word_ids()) == (found.tokens(), found.word_ids())


def test_without_an_unknown_token_such_a_byte_is_an_error_that_names_it():
    tokenizer = LongformerTokenizer({"<s>": 0, "</s>": 2, "a": 3, "b": 4, "ab": 5}, ["a b"], unk_token=None)
    assert tokenizer.encode("aba") == [0, 5, 3, 2]
    with pytest.raises(InputError, match=r"no token for byte 0x63 \('c'\).*no unk_token.*set unk_token"):
        tokenizer.encode("abc")
    tokenizer.unk_token = "</s>"
    assert tokenizer.encode("abc") == [0, 5, 2, 2]


def test_a_copy_by_pickle_encodes_the_same(both):
    copy = pickle.loads(pickle.dumps(both))
    text = "A, <mask> sentence\u2009that isn't easy. 👩‍👩‍👧"
    assert copy(text, return_offsets_mapping=True) == both(text, return_offsets_mapping=True)
    assert len(pickle.dumps(both(text))) < 5000  # a result does not carry the vocabulary along
    result = pickle.loads(pickle.dumps(both(text)))
    assert (result.tokens(), result.word_ids()) == (both(text).tokens(), both(text).word_ids())
    assert result[0].offsets == both(text, return_offsets_mapping=True).offset_mapping


def test_importing_the_tokenizer_brings_in_nothing_heavy():
    code = """
import sys
import lf_ref.tokenizer
tokenizer = lf_ref.tokenizer.LongformerTokenizer.from_pretrained()
tokenizer("Plain English needs nothing more.")
print(sorted({"numba", "numpy", "huggingface_hub", "regex", "torch", "transformers", "tokenizers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
