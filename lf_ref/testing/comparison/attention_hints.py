"""Hints on attention maps: wrong heads, keys that must be masked and are not, keys that are missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...reference.ops import Array
from ..traces.tensor_names import BAND, split_layer
from ..traces.trace import Trace
from ..traces.valid_elements import layout_of
from .metrics import MASKED_SCORE

_LISTED = 6  # rows, heads or ranges of offsets that are listed one by one


def format_ranges(integers: Array) -> str:
    """Sorted integers as text, ranges as `2...5`."""
    breaks = np.flatnonzero(np.diff(integers) != 1) + 1
    parts = [
        f"{run[0]}...{run[-1]}" if len(run) > 2 else ", ".join(map(str, run))
        for run in (part.tolist() for part in np.split(integers, breaks))
    ]
    return ", ".join(parts[:_LISTED]) + (", ..." if len(parts) > _LISTED else "")


def attention_hints(
    canonical: str, got: Array, wanted: Array, mask: Array, off: Array, allowed: float, expected: Trace
) -> list[str]:
    """Hints on scores or probabilities, all arrays [B, H, S, columns]; those at `off` are wrong.

    mask: the valid elements. allowed: the largest error that passes.
    """
    found = []
    heads = np.flatnonzero(off.any(axis=(0, 2, 3)))
    if 0 < len(heads) < off.shape[1]:
        found.append(f"only in head {format_ranges(heads)} of {off.shape[1]}")
    if ".scores" in canonical:
        sees, should = got > MASKED_SCORE, wanted > MASKED_SCORE
    else:
        sees, should = got > allowed, wanted > allowed
        should, sees = should | (sees & (wanted > 0)), sees | (should & (got > 0))
    for verb, wrong in (("wrongly attends to", sees & ~should), ("does not attend to", should & ~sees)):
        keys = "; ".join(_keys(canonical, np.asarray((wrong & mask).any(axis=1)), expected))
        if keys:
            found.append(f"it {verb}: {keys}")
    if layout_of(canonical, expected.run) == BAND and not found:
        found += _columns(canonical, off, mask & (wanted > (MASKED_SCORE if ".scores" in canonical else 0)), expected)
    return found


def _keys(canonical: str, wrong: Array, expected: Trace) -> Iterator[str]:
    """The kinds of keys that some queries wrongly attend to or ignore.  # bool [B, S, columns]"""
    visible, is_global = expected.run.visible, expected.run.is_global
    slots = int(is_global.sum(axis=1).max())
    if layout_of(canonical, expected.run) != BAND:  # rows are keys, columns global queries
        masked = int((wrong.any(axis=2) & ~visible).sum())
        if masked:
            yield f"{masked} masked tokens"
        seen = int((wrong.any(axis=2) & visible).sum())
        if seen:
            yield f"{seen} tokens"
        return
    used = np.arange(slots) < is_global.sum(axis=1)[:, None]
    for title, which in (("global tokens", used), ("slots without a global token", ~used)):
        if (wrong[:, :, :slots] & which[:, None]).any():
            yield title
    one_sided = (wrong.shape[2] - slots - 1) // 2
    length = visible.shape[1]
    key = np.arange(length)[:, None] + np.arange(-one_sided, one_sided + 1)  # [S, 2 w + 1]
    inside = (key >= 0) & (key < length)
    key = np.where(inside, key, 0)
    band = wrong[:, :, slots:]
    for title, which in (
        ("positions outside the text", ~inside[None]),
        ("masked neighbours", inside & ~visible[:, key]),
        ("global tokens among the neighbours", inside & is_global[:, key]),
    ):
        if (band & which).any():
            yield title
    offsets = np.flatnonzero((band & inside & visible[:, key] & ~is_global[:, key]).any(axis=(0, 1))) - one_sided
    if len(offsets):
        yield f"neighbours at offset {format_ranges(offsets)}"


def _columns(canonical: str, off: Array, seen: Array, expected: Trace) -> Iterator[str]:
    """Hints if the keys are right and the values wrong: on global keys, or on neighbours at some offsets.

    seen: the keys that queries have; a text may be too short for the farthest neighbours.
    """
    slots = int(expected.run.is_global.sum(axis=1).max())
    one_sided = expected.run.config.windows[split_layer(canonical)[0] or 0] // 2
    wrong: Array = np.asarray(off.any(axis=(0, 1, 2)))
    right: Array = np.asarray(seen.any(axis=(0, 1, 2))) & ~wrong
    offsets = np.flatnonzero(wrong[slots:]) - one_sided
    if wrong[:slots].any() and not len(offsets):
        yield "only on the global keys"
    elif len(offsets) and right[slots:].any():
        also = " and on global keys" if wrong[:slots].any() else ""
        yield f"only on neighbours at offset {format_ranges(offsets)}{also}"
