"""HF's fast tokenizer beside ours: both of a folder, and everything that a call of either answers."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

from lf_ref.errors import InputError
from lf_ref.tokenizer import LongformerTokenizer


@cache
def theirs(folder: Path, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the peer are not ours
        import transformers

        transformers.utils.logging.set_verbosity_error()
        return transformers.LongformerTokenizerFast.from_pretrained(folder, **options)


@cache
def ours(folder: Path, **options: Any) -> LongformerTokenizer:
    return LongformerTokenizer.from_pretrained(folder, **options)


def facts(encoded: Any) -> dict[str, Any]:
    """Everything that a result says, of the values and of every row."""
    rows = [
        (
            row.ids,
            row.tokens,
            row.offsets,
            row.word_ids,
            row.sequence_ids,
            row.attention_mask,
            row.special_tokens_mask,
        )
        for row in encoded.encodings
    ]
    return {"values": dict(encoded), "rows": [tuple(map(list, row)) for row in rows]}


def answer(tokenizer: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any] | None:
    """The facts of a call, None where it is refused. HF's tokenizer panics at some arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return facts(tokenizer(*arguments, **options))
        except InputError:
            return None
        except BaseException as error:
            if type(error).__name__ in ("PanicException", "Exception", "ValueError", "AssertionError"):
                return None
            raise
