"""Texts as HF's tokenizers take them: one, a pair, a batch, a batch of pairs, whole or as words."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Set
from operator import index
from typing import Any

from ..errors import InputError

# A text, or its words.
Text = str | list[str]


def refuse_unordered(name: str, value: object) -> None:
    """Refuse what holds texts under names or in no order: mappings, sets and frames.

    Raises:
        InputError: it is one, with what to write in its place.
    """
    if isinstance(value, Mapping):
        way_out = f"for the texts in it give list({name}.values()), or one of them by its key"
    elif isinstance(value, Set):
        way_out = f"a set has no order; give a list, such as sorted({name})"
    elif hasattr(value, "columns") or getattr(getattr(value, "dtype", None), "names", None):
        way_out = f'give one column, such as {name}["text"]'
    else:
        return
    raise InputError(f"{name} must be a text or a sequence of texts, got {type(value).__name__}: {way_out}")


def as_sequence(name: str, value: object) -> list[Any] | None:
    """The entries of a sequence, an array or an iterator; None where the value is a text or no sequence at all.

    Raises:
        InputError: a mapping, a set or a frame.
    """
    if isinstance(value, (str, bytes, bytearray)):
        return None
    refuse_unordered(name, value)
    if hasattr(value, "tolist"):  # an array, of which one without dimensions cannot be iterated over, or a column
        value = value.tolist()
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else None


def as_strings(name: str, value: object) -> list[str]:
    """The strings of a sequence, an array or an iterator.

    Raises:
        InputError: it is none, or of something else.
    """
    strings = as_sequence(name, value)
    wrong = [value] if strings is None else [string for string in strings if not isinstance(string, str)]
    if strings is None or wrong:
        raise InputError(f"{name} must be strings in a sequence, got {shown(wrong[0])}")
    return strings


def read_rows(text: Any, text_pair: Any, *, is_split_into_words: bool) -> tuple[list[tuple[Text, ...]], bool]:
    """One row of one or two texts for every example, and whether the call was for a batch.

    Without `is_split_into_words` a sequence is a batch, and two strings in a sequence of it are a pair. With it, a
    sequence of strings is one text and a sequence of these a batch. As in HF, a single call takes an empty second text
    for none at all, while in a batch it is a second text like any other. Lists, tuples, arrays and iterators are
    sequences.
    """
    texts = as_sequence("text", text)
    words = as_sequence("text[0]", texts[0]) if texts and is_split_into_words else None
    if texts is None or (is_split_into_words and words is None):
        text = text if texts is None else texts
        second = as_sequence("text_pair", text_pair)
        row = (text, text_pair if second is None else second)
        return [_check(row if row[1] else row[:1], "", is_split_into_words)], False
    if words is not None:
        texts[0] = words  # an iterator yields them once
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


def half_a_character(text: str, at: int) -> str:
    """What an error says of the lone surrogate at position `at`, and the way out."""
    return (
        f"a lone surrogate, U+{ord(text[at]):04X}, at position {at}: half a character, which UTF-8 cannot write; take "
        "it out, for instance by text.encode('utf-8', 'replace').decode()"
    )


def shown(value: object) -> str:
    """A value in an error message: at most a line, and safe for values nested deeply."""
    text = reprlib.repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


_LONGEST = 100


def as_index(name: str, value: object) -> int:
    """Let integers through, NumPy's too.

    Raises:
        InputError: anything else.
    """
    try:
        return index(value)  # type: ignore[arg-type]  # what has no index is the error
    except TypeError:
        raise InputError(f"{name} must be an integer, got {shown(value)}") from None


def _check(row: tuple[Any, ...], place: str, split: bool) -> tuple[Text, ...]:
    if not 1 <= len(row) <= 2:
        raise InputError(f"text{place} must be a text or a pair of texts, got {len(row)} entries")
    return tuple(
        _check_words(f"{name}{place}", text) if split else _check_text(f"{name}{place}", text)
        for name, text in zip(("text", "text_pair"), row, strict=False)
    )


def _check_text(name: str, text: Any) -> str:
    if isinstance(text, str):
        return text
    refuse_unordered(name, text)
    ids = "; rows of ids are made by prepare_for_model" if hasattr(text, "__index__") else ""
    raise InputError(f"{name} must be a string, got {shown(text)}{ids}")


def _check_words(name: str, words: Any) -> list[str]:
    sequence = as_sequence(name, words)
    if sequence is None:
        raise InputError(f"{name} must be a list of words, since is_split_into_words=True, got {shown(words)}")
    return [_check_text(f"{name}[{number}]", word) for number, word in enumerate(sequence)]
