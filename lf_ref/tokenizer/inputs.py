"""Texts as HF's tokenizers take them: one, a pair, a batch, a batch of pairs, whole or as words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError

# A text, or its words.
Text = str | Sequence[str]


def read_rows(text: Any, text_pair: Any, *, is_split_into_words: bool) -> tuple[list[tuple[Text, ...]], bool]:
    """One row of one or two texts for every example, and whether the call was for a batch.

    Without `is_split_into_words` a list is a batch, and two strings in a list or tuple of it are a pair. With it, a
    list of strings is one text and a list of lists a batch. As in HF, a single call takes an empty second text for
    none at all, while in a batch it is a second text like any other.
    """
    batched = isinstance(text, (list, tuple)) and (
        not is_split_into_words or (len(text) > 0 and isinstance(text[0], (list, tuple)))
    )
    if not batched:
        row = (text, text_pair) if text_pair else (text,)
        return [_check(row, "", is_split_into_words)], False
    if text_pair is None:
        rows = [
            tuple(entry) if not is_split_into_words and isinstance(entry, (list, tuple)) else (entry,) for entry in text
        ]
    elif not isinstance(text_pair, (list, tuple)) or len(text_pair) != len(text):
        raise InputError(
            f"text is a batch of {len(text)}, so text_pair must be a list of {len(text)} texts, got "
            + (f"{len(text_pair)}" if isinstance(text_pair, (list, tuple)) else f"{text_pair!r:.80}")
        )
    else:
        rows = list(zip(text, text_pair, strict=True))
    return [_check(row, f"[{number}]", is_split_into_words) for number, row in enumerate(rows)], True


def half_a_character(text: str, at: int) -> str:
    """What an error says of the lone surrogate at position `at`, and the way out."""
    return (
        f"a lone surrogate, U+{ord(text[at]):04X}, at position {at}: half a character, which UTF-8 cannot write; take "
        "it out, for instance by text.encode('utf-8', 'replace').decode()"
    )


def _check(row: tuple[Any, ...], place: str, split: bool) -> tuple[Text, ...]:
    if not 1 <= len(row) <= 2:
        raise InputError(f"text{place} must be a text or a pair of texts, got {len(row)} entries")
    for name, text in zip(("text", "text_pair"), row, strict=False):
        if split:
            if not isinstance(text, (list, tuple)):
                raise InputError(
                    f"{name}{place} must be a list of words, since is_split_into_words=True, got {text!r:.80}"
                )
            for number, word in enumerate(text):
                if not isinstance(word, str):
                    raise InputError(f"{name}{place}[{number}] must be a string, got {word!r:.80}")
        elif not isinstance(text, str):
            raise InputError(f"{name}{place} must be a string, got {text!r:.80}")
    return row
