"""Hints on a tensor whose shape fits no layout: how it would."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...reference.ops import Array
from ..traces.tensor_names import BAND, TOKENS, split_layer
from ..traces.trace import Trace
from ..traces.valid_elements import layout_of


def shape_hints(name: str, got: Array, expected: Trace, allowed: float) -> Iterator[str]:
    """Hints on a candidate's tensor; allowed: the largest error that passes."""
    wanted, run = expected[name], expected.run
    canonical = expected.canonical_name(name)
    layout = layout_of(canonical, run)
    if layout == TOKENS and got.ndim == wanted.ndim > 1 and got.shape[1] > wanted.shape[1]:
        cut = got[:, : wanted.shape[1]]
        if cut.shape == wanted.shape and (np.abs(cut - wanted) <= allowed).all():
            yield f"its first {wanted.shape[1]} tokens agree: cut the padding"
    if layout == BAND and got.ndim == 4:
        slots, window = int(run.is_global.sum(axis=1).max()), run.config.windows[split_layer(canonical)[0] or 0]
        widths = {"twice the window": 2 * window, "half the window": window // 4 * 2, "its window": window}
        for title, width in widths.items():
            if slots and got.shape[3] == width + 1:
                yield f"it has no global columns, and fits {title}"
            if got.shape[3] == slots + width + 1 and width != window:
                yield f"it fits {title}"
