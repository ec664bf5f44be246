"""The vocabularies that the tokenizer is tested with, and texts that are hard on a tokenizer."""

from __future__ import annotations

import os
from pathlib import Path
from unicodedata import category, ucd_3_2_0

import pytest
from hypothesis import settings
from hypothesis import strategies as st

DEMO = Path(__file__).parents[2] / "lf_ref" / "demo"
FILES = ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json")  # of DEMO
ROBERTA = Path(os.environ.get("LF_REF_ROBERTA", Path(__file__).parents[3] / "shared" / "tokenizer" / "roberta"))


def vocabulary(name: str) -> Path:
    """The folder of "demo" or "roberta"; without the latter a test is skipped, or fails where peers are required."""
    if name == "demo":
        return DEMO
    if not (ROBERTA / "vocab.json").is_file():
        reason = f"no RoBERTa vocabulary in {ROBERTA}; LF_REF_ROBERTA names a folder that has one"
        if os.environ.get("LF_REF_REQUIRE_PEERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return ROBERTA


# How long an example takes depends on what else the machine does.
unhurried = settings(deadline=None)

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

# Whole strings, so that hypothesis meets what it would not spell: special tokens, contractions, joined emoji,
# every Unicode space, and the control characters that one notion of white space has and another lacks.
NASTY = [
    *("<mask>", " <mask>", "<s>", "</s>", "<pad>", "<unk>", "<|endoftext|>", "<mas", "k>", "<", ">"),
    *("'s", "'S", "'ll", "'re", "n't", " '", "\u2019s", "I'm", "don't", "''"),
    *("é", "e\u0301", "Å", "A\u030a", "ﬁ", "ß", "İ", "\u0300", "漢字", "かな", "한국어", "ไทย", "हिन्दी"),
    *("👩‍👩‍👧", "🏳️‍🌈", "👍🏽", "🇩🇪", "שלום", "مرحبا", "\u202e", "\u200b", "\u200d", "\ufeff", "\u180e", "\ufffd"),
    *("١٢", "½", "Ⅷ", "x²", "123", "3.14", "...", "—", "«", "€"),
    *WHITE_SPACE,
    *("  ", "    ", "\r\n", " \n \n", "\t\t"),
    *("\x00", "\x01", "\x1b", "\x1c", "\x1d", "\x1e", "\x1f", "\x7f", "\x80", "\x9f", "\xad"),
    *("Ġ", "Ċ", "Ġthe", "Hello", " world", " the", "THE", "aaaaaaaa", "-" * 20, "=" * 33),
]
# Letters and numbers that Unicode got after version 16, and code points that it has not assigned yet.
NEW = ["\U0001e6c0", "\U0003d000", "\U00011de1", "\u0378", "\U000e0fff", "\U0010ffff"]

texts = st.lists(st.one_of(st.sampled_from(NASTY + NEW), st.text(max_size=7)), max_size=13).map("".join)


def is_old(character: str) -> bool:
    """Whether Unicode has known a character since 3.2, so that every version of Python agrees on what it is."""
    return ucd_3_2_0.category(character) != "Cn" and category(character) != "Cs"


old_texts = st.lists(
    st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs", "Cn"]), max_size=7)), max_size=13
).map(lambda parts: "".join(character for character in "".join(parts) if is_old(character)))
