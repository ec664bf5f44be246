"""How each tensor of a trace is laid out, and which of its elements mean something."""

from __future__ import annotations

import numpy as np

from ...reference.ops import Array
from .metadata import Run
from .tensor_names import BAND, COLUMNS, GLOBALS, TOKENS, place_of, split

_PER_TOKEN = ("LongformerForMaskedLM", "LongformerForTokenClassification")


def layout_of(name: str, run: Run) -> str | None:
    """How the tensor of a place or an output is laid out; None for what has no rows."""
    if "logits_at" in run.inputs and (name == "logits" or name.startswith("lm_head")):
        return None  # of some tokens
    if name in ("logits", "classifier"):
        return TOKENS if run.class_name in _PER_TOKEN else None
    if name in ("last_hidden_state", "start_logits", "end_logits"):
        return TOKENS
    place = place_of(name)
    return None if place is None else place.layout


def counted(name: str, ndim: int, run: Run, ignore_padding: bool) -> Array:
    """Which numbers of a tensor mean something, as a mask that broadcasts to it.

    Left out are slots of rows with fewer global tokens than others, the local rows of global queries (every
    implementation computes something else there, and replaces it) and, on request, masked tokens.
    """
    visible, is_global = run.visible, run.is_global
    shown = visible if ignore_padding else np.ones_like(visible)
    count = is_global.sum(axis=1)
    slots = np.arange(max(1, int(count.max()))) < count[:, None]  # [B, x]
    layout, (_, within) = layout_of(name, run), split(name)
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
