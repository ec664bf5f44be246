"""Masks of global attention, to pass as `global_attention_mask`, and the default of each of HF's heads.

Beltagy et al. 2020, section 3.1, defines which tokens a task makes global.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..hf_names import accepts_names
from ..reference.ops import Array
from ..tokenizer.arguments import as_index
from .inputs import as_array, row_name


@accepts_names()
def on_first_token(input_ids: ArrayLike) -> Array:
    """Global attention on the first token, as for classification.  # int (..., seq) -> int64 (..., seq)

    Raises:
        InputError: the rows are not of one length, or have no token.
    """
    mask: Array = np.zeros(_ids(input_ids).shape, np.int64)
    mask[..., 0] = 1
    return mask


@accepts_names()
def on_question(input_ids: ArrayLike, sep_token_id: int = 2) -> Array:
    """Global attention on every token before the first separator, as for question answering.

    input_ids: int (..., seq), each row `<s> question </s></s> document </s>`; sep_token_id: the id of `</s>`. Returns
    int64 (..., seq).

    Raises:
        InputError: a row does not have exactly three separators. (HF checks only the total of the batch.)
    """
    ids = _ids(input_ids)
    return (np.arange(ids.shape[-1]) < _first_separator(ids, sep_token_id)[..., None]).astype(np.int64)


@accepts_names()
def after_question(input_ids: ArrayLike, sep_token_id: int = 2) -> Array:
    """Global attention on every token after the first `</s></s>`, HF's default for multiple choice.

    input_ids: int (..., seq), each row `<s> question </s></s> choice </s>`; sep_token_id: the id of `</s>`. Returns
    int64 (..., seq).

    Raises:
        InputError: a row does not have exactly three separators.
    """
    ids = _ids(input_ids)
    return (np.arange(ids.shape[-1]) > _first_separator(ids, sep_token_id)[..., None] + 1).astype(np.int64)


@accepts_names()
def on_token_ids(input_ids: ArrayLike, token_ids: ArrayLike) -> Array:
    """Global attention on every token whose id is in `token_ids`.  # int (..., seq), int (n,) -> int64 (..., seq)

    Raises:
        InputError: the rows are not of one length, or have no token; token_ids are no integers.
    """
    tokens = as_array("token_ids", token_ids)
    if tokens.size and tokens.dtype.kind not in "iu":
        raise InputError(f"token_ids must be integers, got dtype {tokens.dtype}")
    return np.isin(_ids(input_ids), tokens).astype(np.int64)


@accepts_names()
def on_positions(input_ids: ArrayLike, positions: ArrayLike) -> Array:
    """Global attention at these positions of every row, from 0; negative ones count from the end.

    input_ids: int (..., seq); positions: int (n,), or a scalar. Returns int64 (..., seq).

    Raises:
        InputError: the rows are not of one length, or have no token; a position lies outside the sequence.
    """
    mask: Array = np.zeros(_ids(input_ids).shape, np.int64)
    indices = np.atleast_1d(as_array("positions", positions))
    length = mask.shape[-1]
    if len(indices) == 0:
        return mask
    if indices.dtype.kind not in "iu" or indices.ndim != 1:
        raise InputError(f"positions must be integers (n,), got {indices.dtype} of shape {indices.shape}")
    outside = indices[(indices < -length) | (indices >= length)]
    if len(outside):
        raise InputError(f"position {outside[0]} lies outside the sequence of {length} tokens")
    mask[..., indices] = 1
    return mask


def _ids(input_ids: ArrayLike) -> Array:
    ids = as_array("input_ids", input_ids)
    if ids.dtype.kind not in "iub" or ids.ndim == 0 or ids.shape[-1] == 0:
        raise InputError(f"input_ids must be integers (..., seq) with a token at least, got {ids.dtype} of {ids.shape}")
    return ids


def _first_separator(ids: Array, sep_token_id: int) -> Array:
    """Position of the first separator of each row.  # int (..., seq) -> int (...)"""
    sep_token_id = as_index("sep_token_id", sep_token_id)
    is_separator = ids == sep_token_id
    counts = is_separator.sum(axis=-1)
    for row in np.argwhere(counts != 3).tolist():
        raise InputError(
            f"{row_name(row)} of the batch has {counts[tuple(row)]} separators (id {sep_token_id}); exactly 3 are "
            "needed to find the question: encode the texts as a pair, tokenizer(question, document), or pass "
            "global_attention_mask yourself"
        )
    return is_separator.argmax(axis=-1)
