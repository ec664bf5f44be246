"""The layout of each tensor of a trace, and which of its elements are defined."""

from __future__ import annotations

import numpy as np

from ...reference.ops import Array
from .metadata import Run
from .tensor_names import BAND, COLUMNS, GLOBALS, TOKENS, lookup, split_layer

_PER_TOKEN = ("LongformerForMaskedLM", "LongformerForTokenClassification")


def layout_of(name: str, run: Run) -> str | None:
    """The layout of a tensor, one of those in `tensor_names`; None where it has no axis of rows."""
    if "logits_at" in run.inputs and (name == "logits" or name.startswith("lm_head")):
        return None  # of some tokens only
    if name in ("logits", "classifier"):
        return TOKENS if run.class_name in _PER_TOKEN else None
    if name in ("last_hidden_state", "start_logits", "end_logits"):
        return TOKENS
    entry = lookup(name)
    return None if entry is None else entry.layout


def valid_elements(name: str, ndim: int, run: Run, ignore_padding: bool) -> Array:
    """A mask of the elements of a tensor that are defined, which broadcasts to it.  # -> bool, ndim axes

    It excludes the unused slots of rows that have fewer global tokens than others, the local rows of global queries
    (implementations compute different values there, and overwrite them) and, with ignore_padding, masked tokens.
    """
    visible, is_global = run.visible, run.is_global
    shown = visible if ignore_padding else np.ones_like(visible)
    count = is_global.sum(axis=1)
    slots = np.arange(max(1, int(count.max()))) < count[:, None]  # [B, x]
    layout, (_, within) = layout_of(name, run), split_layer(name)
    if layout == GLOBALS:
        return slots[:, :, None]
    if layout == COLUMNS:
        return slots[:, None, None, :] & shown[:, None, :, None]
    if layout == BAND:
        rows = visible & ~is_global if "scores" in within else shown & ~is_global
        return rows[:, None, :, None]
    if layout == TOKENS:
        if within.endswith(("key_global", "value_global")):
            shown = shown & (count > 0)[:, None]
        elif within == "attention.self.context":
            shown = shown & ~is_global
        return shown.reshape(*shown.shape, *[1] * (ndim - 2))
    return np.ones([1] * ndim, bool)
