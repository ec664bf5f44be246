"""Batches written as text: a letter for the kind of each token.

>>> batch({"vocab_size": 7, "pad_token_id": 1, "sep_token_id": 2}, ["glm", "lpp"], seed=0, stream="")["attention_mask"]
array([[1, 1, 0],
       [1, 0, 0]])
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..generator import integers

LOCAL, GLOBAL, MASKED, MASKED_GLOBAL, PADDING, VISIBLE_PADDING, SEPARATOR = "lgmxpvs"
# l: local. g: global. m: masked. x: masked, though marked as global. p: the padding id, masked. v: the padding id, not
# masked, as in a call without a mask. s: the separator, local.


def row(
    length: int,
    g: Collection[int] = (),
    m: Collection[int] = (),
    x: Collection[int] = (),
    v: Collection[int] = (),
    left: int = 0,
    right: int = 0,
) -> str:
    """The letters of a row of `length` tokens.

    g, m, x, v: positions of these letters; negative ones count from the end. left, right: the number of padding tokens
    on each side; positions include them. All other tokens are local.
    """
    letters = [PADDING] * left + [LOCAL] * (length - left - right) + [PADDING] * right
    for letter, positions in ((GLOBAL, g), (MASKED, m), (MASKED_GLOBAL, x), (VISIBLE_PADDING, v)):
        for position in positions:
            letters[position] = letter
    return "".join(letters)


def batch(fields: Mapping[str, Any], rows: Sequence[str], seed: int, stream: str) -> dict[str, NDArray[np.int64]]:
    """The inputs that the letters describe. Other ids are random, but neither the padding id nor the separator.

    fields: vocab_size, pad_token_id and sep_token_id of a config; seed, stream: of the generator.
    Returns input_ids, attention_mask and global_attention_mask, int64 (batch, seq).
    """
    letters = np.array([list(each) for each in rows])
    pad, separator = fields["pad_token_id"], fields["sep_token_id"]
    reserved = sorted({token for token in (pad, separator) if token < fields["vocab_size"]})
    ids = integers(seed, f"{stream}input_ids", letters.size, fields["vocab_size"] - len(reserved))
    for token in reserved:
        ids += ids >= token
    ids = ids.reshape(letters.shape)
    ids = np.where(np.isin(letters, (PADDING, VISIBLE_PADDING)), pad, ids)
    ids = np.where(letters == SEPARATOR, separator, ids)
    return {
        "input_ids": ids,
        "attention_mask": 1 - np.isin(letters, (MASKED, MASKED_GLOBAL, PADDING)).astype(np.int64),
        "global_attention_mask": np.isin(letters, (GLOBAL, MASKED_GLOBAL)).astype(np.int64),
    }
