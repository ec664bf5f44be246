"""Read the texts of a call as HF's tokenizers do: one text, a pair, a batch or a batch of pairs, whole or as words."""

from __future__ import annotations

from typing import Any

from ...errors import InputError
from ..arguments import as_sequence, refuse_unordered, shown

Text = str | list[str]  # a text, or its words


def read_texts(text: Any, text_pair: Any, *, is_split_into_words: bool) -> tuple[list[tuple[Text, ...]], bool]:
    """Return the one or two texts of every row, and whether the call is for a batch.

    Without `is_split_into_words` a sequence is a batch, and a sequence of two strings in it is a pair. With it, a
    sequence of strings is one text, and a sequence of such sequences a batch. As in HF, an empty second text counts as
    none in a single call, and as a text in a batch. Lists, tuples, arrays and iterators are sequences.
    """
    texts = as_sequence("text", text)
    words = as_sequence("text[0]", texts[0]) if texts and is_split_into_words else None
    if texts is None or (is_split_into_words and words is None):
        text = text if texts is None else texts
        second = as_sequence("text_pair", text_pair)
        row = (text, text_pair if second is None else second)
        return [_check(row if row[1] else row[:1], "", is_split_into_words)], False
    if words is not None:
        texts[0] = words  # an iterator can be read only once
    if text_pair is None:
        rows: list[tuple[Any, ...]] = [
            (entry,) if is_split_into_words or (pair := as_sequence(f"text[{number}]", entry)) is None else tuple(pair)
            for number, entry in enumerate(texts)
        ]
    else:
        pairs = as_sequence("text_pair", text_pair)
        if pairs is None or len(pairs) != len(texts):
            raise InputError(
                f"text is a batch of {len(texts)}, so text_pair must be a list of {len(texts)} texts, got "
                + (shown(text_pair) if pairs is None else f"{len(pairs)}")
            )
        rows = list(zip(texts, pairs, strict=True))
    return [_check(row, f"[{number}]", is_split_into_words) for number, row in enumerate(rows)], True


def _check(row: tuple[Any, ...], index: str, split: bool) -> tuple[Text, ...]:
    if not 1 <= len(row) <= 2:
        raise InputError(f"text{index} must be a text or a pair of texts, got {len(row)} entries")
    return tuple(
        _check_words(f"{name}{index}", text) if split else _check_text(f"{name}{index}", text)
        for name, text in zip(("text", "text_pair"), row, strict=False)
    )


def _check_text(name: str, text: Any) -> str:
    if isinstance(text, str):
        return text
    refuse_unordered(name, text)
    ids = "; for ids call prepare_for_model" if hasattr(text, "__index__") else ""
    raise InputError(f"{name} must be a string, got {shown(text)}{ids}")


def _check_words(name: str, words: Any) -> list[str]:
    sequence = as_sequence(name, words)
    if sequence is None:
        raise InputError(f"{name} must be a list of words, since is_split_into_words=True, got {shown(words)}")
    return [_check_text(f"{name}[{number}]", word) for number, word in enumerate(sequence)]
