"""Hints on attention maps: wrong heads, keys that must be masked and are not, keys that are missing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...reference.ops import Array
from ..traces.tensor_names import BAND, split_layer
from ..traces.trace import Trace
from ..traces.valid_elements import layout_of
from .metrics import MASKED_SCORE

_NEIGHBOURS = ("positions outside the text", "masked neighbours", "global tokens among the neighbours")
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
        keys = "; ".join(_keys(canonical, wrong & mask, expected))
        if keys:
            found.append(f"it {verb}: {keys}")
    if layout_of(canonical, expected.run) == BAND and not found:
        found += _columns(canonical, off, mask & (wanted > (MASKED_SCORE if ".scores" in canonical else 0)), expected)
    return found


def _keys(canonical: str, wrong: Array, expected: Trace) -> Iterator[str]:
    """The kinds of keys that some queries wrongly attend to or ignore.  # bool [B, H, S, columns]"""
    visible, is_global = expected.run.visible, expected.run.is_global
    slots = int(is_global.sum(axis=1).max())
    if layout_of(canonical, expected.run) != BAND:  # rows are keys, columns global queries
        masked = int((wrong.any(axis=(1, 3)) & ~visible).sum())
        if masked:
            yield f"{masked} masked tokens"
        seen = int((wrong.any(axis=(1, 3)) & visible).sum())
        if seen:
            yield f"{seen} tokens"
        return
    used = np.arange(slots) < is_global.sum(axis=1)[:, None]
    for title, which in (("global tokens", used), ("slots without a global token", ~used)):
        if (wrong[..., :slots] & which[:, None, None]).any():
            yield title
    length, kinds, offsets = visible.shape[1], set[str](), [np.empty(0, np.int64)]
    for heads, offset in _heads_by_offset(canonical, expected):
        key = np.arange(length)[:, None] + offset  # [S, 2 w + 1]
        inside = (key >= 0) & (key < length)
        key = np.where(inside, key, 0)
        band = np.asarray(wrong[:, heads, :, slots:].any(axis=1))
        masked, wide = inside & ~visible[:, key], inside & is_global[:, key]
        for title, which in zip(_NEIGHBOURS, (~inside, masked, wide), strict=True):
            if (band & which).any():
                kinds.add(title)
        offsets.append(offset[(band & inside & ~masked & ~wide).any(axis=(0, 1))])
    yield from (title for title in _NEIGHBOURS if title in kinds)
    found = np.unique(np.concatenate(offsets))
    if len(found):
        yield f"neighbours at offset {format_ranges(found)}"


def _heads_by_offset(canonical: str, expected: Trace) -> Iterator[tuple[list[int], Array]]:
    """The heads of a layer that share a dilation, and the offset of each column of their window."""
    layer, config = split_layer(canonical)[0] or 0, expected.run.config
    one_sided, dilations = config.windows[layer] // 2, config.dilations[layer]
    for dilation in sorted(set(dilations)):
        heads = [head for head, of in enumerate(dilations) if of == dilation]
        yield heads, dilation * np.arange(-one_sided, one_sided + 1)


def _columns(canonical: str, off: Array, seen: Array, expected: Trace) -> Iterator[str]:
    """Hints if the keys are right and the values wrong: on global keys, or on neighbours at some offsets.

    seen: the keys that queries have; a text may be too short for the farthest neighbours.
    """
    slots = int(expected.run.is_global.sum(axis=1).max())
    wrong: Array = np.asarray(off.any(axis=(0, 1, 2)))
    right: Array = np.asarray(seen.any(axis=(0, 1, 2))) & ~wrong
    groups = _heads_by_offset(canonical, expected)
    offsets = np.unique(
        np.concatenate([at[np.asarray(off[:, heads].any(axis=(0, 1, 2)))[slots:]] for heads, at in groups])
    )
    if wrong[:slots].any() and not len(offsets):
        yield "only on the global keys"
    elif len(offsets) and right[slots:].any():
        also = " and on global keys" if wrong[:slots].any() else ""
        yield f"only on neighbours at offset {format_ranges(offsets)}{also}"
