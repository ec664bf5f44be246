"""A view of the attentions that can be read: every query over every key."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..reference.ops import Array


def dense_attentions(
    attentions: Array,
    global_attentions: Array | None = None,
    global_attention_mask: ArrayLike | None = None,
    attention_mask: ArrayLike | None = None,
) -> Array:
    """Put one layer's local and global attentions together: entry [b, h, i, j] is how much query i looks at key j.

    Each row sums to 1, and is 0 throughout for a masked query.

    Args:
        attentions: float (batch, heads, seq, x + attention_window + 1), `output.attentions[layer]`.
        global_attentions: float (batch, heads, seq, x), `output.global_attentions[layer]`, or None.
        global_attention_mask, attention_mask: 0 or 1 (batch, seq), as they were given to the model. A class that
            chooses its global attention itself: see `lf_ref.global_attention` for the masks.

    Returns:
        float (batch, heads, seq, seq), of the dtype of `attentions`.

    Raises:
        InputError: the shapes do not belong together, or the masks have more global tokens than the attentions.
    """
    batch, heads, length, width = np.shape(attentions)
    columns = 0 if global_attentions is None else global_attentions.shape[-1]
    one_sided, odd = divmod(width - columns - 1, 2)
    is_global = np.zeros((batch, length), bool)
    if global_attention_mask is not None:
        is_global = np.asarray(global_attention_mask, bool)
        if attention_mask is not None:
            is_global = is_global & np.asarray(attention_mask, bool)
    if odd or one_sided < 1 or is_global.shape != (batch, length) or is_global.sum(axis=1).max() != columns:
        raise InputError(
            f"attentions of shape {np.shape(attentions)} with {columns} columns of global_attentions do not belong to "
            f"masks of shape {is_global.shape} with {int(is_global.sum(axis=-1).max())} global tokens in a row"
        )
    dense = np.zeros((batch, heads, length, length), attentions.dtype)
    query = np.arange(length)
    for offset in range(-min(one_sided, length - 1), min(one_sided, length - 1) + 1):
        rows = query[max(0, -offset) : length - max(0, offset)]
        dense[:, :, rows, rows + offset] = attentions[:, :, rows, columns + one_sided + offset]
    for row, mask in enumerate(is_global):
        globals_ = np.flatnonzero(mask)
        dense[row][:, :, globals_] = attentions[row, :, :, : len(globals_)]
        if global_attentions is not None:
            dense[row][:, globals_] = global_attentions[row, :, :, : len(globals_)].swapaxes(1, 2)
    return dense
