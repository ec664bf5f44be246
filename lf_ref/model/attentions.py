"""A view of HF's attentions that can be read: every query over every key."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ..errors import InputError
from ..hf_names import accepts_names
from ..reference.ops import Array
from .inputs import as_array


@accepts_names()
def dense_attentions(
    attentions: ArrayLike,
    global_attentions: ArrayLike | None = None,
    global_attention_mask: ArrayLike | None = None,
    attention_mask: ArrayLike | None = None,
    dilation: int | Sequence[int] = 1,
) -> Array:
    """Put one layer's local and global attentions together: entry [b, h, i, j] is how much query i looks at key j.

    Each row sums to 1, and is 0 throughout for a masked query.

    Args:
        attentions: float (batch, heads, seq, x + attention_window + 1), `output.attentions[layer]`.
        global_attentions: float (batch, heads, seq, x), `output.global_attentions[layer]`, or None.
        global_attention_mask, attention_mask: 0 or 1 (batch, seq), as they were given to the model. A class that
            chooses its global attention itself: see `lf_ref.global_attention` for the masks.
        dilation: of the layer's window, in tokens, or one for each head; `config.dilations[layer]`.

    Returns:
        float (batch, heads, seq, seq), of the dtype of `attentions`.

    Raises:
        InputError: shapes, masks, dilation and attentions do not belong together.
    """
    local = as_array("attentions", attentions)
    if local.ndim != 4:
        raise InputError(
            f"attentions must be those of one layer, 4-D (batch, heads, seq, columns), got {local.ndim}-D of shape "
            f"{local.shape}; pass output.attentions[layer]"
        )
    batch, heads, length, width = local.shape
    visible = _mask("attention_mask", attention_mask, (batch, length), True)
    is_global = _mask("global_attention_mask", global_attention_mask, (batch, length), False) & visible
    columns = int(is_global.sum(axis=1).max())
    shape = (batch, heads, length, columns)
    global_ = np.zeros(shape) if global_attentions is None else as_array("global_attentions", global_attentions)
    one_sided, odd = divmod(width - columns - 1, 2)
    if global_.shape != shape or odd or one_sided < 1:
        raise InputError(
            f"masks with {columns} global tokens in a row go with global_attentions of shape {shape} and attentions of"
            f" {columns} + attention_window + 1 columns, got shapes {global_.shape} and {local.shape}"
        )
    dense = _put_together(local, global_, is_global, one_sided, _by_head(dilation, heads))
    sums = dense.sum(axis=3)
    expected = sums > 0.5 if attention_mask is None else visible[:, None]
    if not np.allclose(sums, expected, rtol=0, atol=1e-3):
        raise InputError(
            "the attentions of a token do not add up to 1 (to 0 where it is masked): these masks are not those "
            "that the model was given, or chose by default, or the dilation is not that of the layer"
        )
    return dense


def _put_together(local: Array, global_: Array, is_global: Array, one_sided: int, dilations: list[int]) -> Array:
    batch, heads, length, _ = local.shape
    columns = global_.shape[3]
    dense = np.zeros((batch, heads, length, length), local.dtype)
    query = np.arange(length)
    for head, dilation in enumerate(dilations):
        most = min(one_sided, (length - 1) // dilation)
        for step in range(-most, most + 1):
            offset = step * dilation
            rows = query[max(0, -offset) : length - max(0, offset)]
            dense[:, head, rows, rows + offset] = local[:, head, rows, columns + one_sided + step]
    for row, mask in enumerate(is_global):
        globals_ = np.flatnonzero(mask)
        dense[row][:, :, globals_] = local[row, :, :, : len(globals_)]
        dense[row][:, globals_] = global_[row, :, :, : len(globals_)].swapaxes(1, 2)
    return dense


def _by_head(dilation: int | Sequence[int], heads: int) -> list[int]:
    values = as_array("dilation", dilation)
    if values.dtype.kind not in "iu" or values.shape not in ((), (heads,)) or (values < 1).any():
        raise InputError(
            f"dilation must be a positive integer, or one for each of the {heads} heads, got {dilation!r:.80}; pass "
            "config.dilations[layer]"
        )
    return np.broadcast_to(values, heads).tolist()


def _mask(name: str, value: ArrayLike | None, shape: tuple[int, int], default: bool) -> Array:
    if value is None:
        return np.full(shape, default)
    mask = as_array(name, value)
    if mask.shape != shape:
        raise InputError(f"{name} must be of shape {shape} (batch, seq), got {mask.shape}")
    return mask.astype(bool)
