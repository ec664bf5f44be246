"""Byte-level BPE by its definition, character by character, merge by merge. Imports nothing from lf_ref.

Slow on purpose: a scanner in place of a regular expression, strings in place of ids, one merge at a time.
"""

from __future__ import annotations

import json
import unicodedata
from itertools import pairwise
from pathlib import Path

# Unicode's property White_Space, from PropList.txt.
WHITE_SPACE = {0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, *range(9, 14), *range(0x2000, 0x200B)}
CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")


def kind(character: str) -> str:
    """ "space", "letter", "number" or "other". By Python's Unicode: for characters it has known for long."""
    if ord(character) in WHITE_SPACE:
        return "space"
    return {"L": "letter", "N": "number"}.get(unicodedata.category(character)[0], "other")


def first_word(text: str) -> str:
    """The piece that the text begins with."""
    for contraction in CONTRACTIONS:
        if text.startswith(contraction):
            return contraction
    start = 1 if text[0] == " " and len(text) > 1 and kind(text[1]) != "space" else 0
    end = start
    while end < len(text) and kind(text[end]) == kind(text[start]):
        end += 1
    if kind(text[start]) == "space" and end < len(text) and end > 1:
        return text[: end - 1]  # the last white space is left for the word after it
    return text[:end]


def words(text: str) -> list[str]:
    """All pieces of a text."""
    found = []
    while text:
        word = first_word(text)
        found.append(word)
        text = text[len(word) :]
    return found


def byte_characters() -> list[str]:
    """The printable character of every byte."""
    characters = []
    for byte in range(256):
        shown = 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174
        others = sum(not (33 <= b <= 126 or 161 <= b <= 172 or b >= 174) for b in range(byte))
        characters.append(chr(byte if shown else 256 + others))
    return characters


class NaiveBPE:
    """A vocabulary with merges, and tokens that are cut out of texts first."""

    def __init__(self, vocab: dict[str, int], merges: list[tuple[str, str]], special: list[str], mask: str) -> None:
        self.vocab = vocab
        self.rank = {pair: rank for rank, pair in enumerate(merges)}
        self.special = special
        self.mask = mask
        self.characters = byte_characters()

    @classmethod
    def from_folder(cls, folder: Path) -> NaiveBPE:
        """Read vocab.json and merges.txt as RoBERTa and Longformer have them."""
        vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
        merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
        return cls(vocab, merges, ["<s>", "<pad>", "</s>", "<unk>"], "<mask>")  # type: ignore[arg-type]

    def merge(self, symbols: list[str]) -> list[str]:
        """Join the pair of lowest rank, of equal ones the leftmost, until no pair has a rank."""
        while True:
            ranked = [(self.rank[pair], at) for at, pair in enumerate(pairwise(symbols)) if pair in self.rank]
            if not ranked:
                return symbols
            _, at = min(ranked)
            symbols = [*symbols[:at], symbols[at] + symbols[at + 1], *symbols[at + 2 :]]

    def pieces(self, text: str) -> list[str]:
        """The text cut before and after every special token; the mask takes the white space before it along."""
        cut: list[str] = []
        plain = ""
        at = 0
        while at < len(text):
            token = next((token for token in [self.mask, *self.special] if text.startswith(token, at)), None)
            if token is None:
                plain += text[at]
                at += 1
                continue
            if token == self.mask:
                while plain and ord(plain[-1]) in WHITE_SPACE:
                    plain = plain[:-1]
            cut += [plain, token]
            plain = ""
            at += len(token)
        return [piece for piece in [*cut, plain] if piece]

    def ids(self, text: str) -> list[int]:
        """The ids of a text, without special tokens around it."""
        found: list[int] = []
        for piece in self.pieces(text):
            if piece in [self.mask, *self.special]:
                found.append(self.vocab[piece])
                continue
            for word in words(piece):
                symbols = [self.characters[byte] for byte in word.encode("utf-8")]
                found += [self.vocab.get(symbol, self.vocab["<unk>"]) for symbol in self.merge(symbols)]
        return found
