"""The pieces of work that are timed on both sides, and by how much lf_ref means to be ahead in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..reference.ops import Array
from .sides import Side
from .size import Size, first_token
from .timing import in_turns, largest_difference, ratios


@dataclass(frozen=True)
class Work:
    """Something to compute: `prepare` gives, for a side, what is run and timed.

    wanted: how many times faster than the peer lf_ref means to be; None where it is only for information.
    select: what is compared of the result.
    """

    name: str
    title: str
    wanted: float | None
    prepare: Callable[[Side], Callable[[], Any]]
    select: Callable[[Any], Array] = np.asarray


def works(size: Size) -> list[Work]:
    """All of them, for a size."""
    return [
        _encoder("encoder", size, size.tokens, 2.6),
        _encoder("encoder-middle", size, size.middle, 2.0),
        _encoder("encoder-short", size, size.short, 5.0),
        _batch(size),
        _one_by_one(size),
        _classification(size),
        _masked_lm("masked-lm", size, size.tokens // 2, True, 3.0),
        _masked_lm("masked-lm-near", size, size.middle // 2, False, 6.0),
        _attention("attention", size, size.window, 8.0),
        _attention("attention-half", size, size.window // 2 // 2 * 2, None),
        _attention("attention-quarter", size, size.window // 4 // 2 * 2, None),
    ]


def compare(work: Work, ours: Side, peer: Side | None, repeats: int) -> dict[str, Any]:
    """Time a piece of work, side by side where there is a peer; the figures as JSON values."""
    sides = [ours] if peer is None else [ours, peer]
    runs = in_turns([work.prepare(side) for side in sides], repeats)
    facts: dict[str, Any] = {"name": work.name, "title": work.title, "wanted": work.wanted, ours.name: runs[0].facts()}
    if peer is not None:
        pairs = ratios(runs[1], runs[0])
        facts |= {
            peer.name: runs[1].facts(),
            "ratio": float(np.median(pairs)),
            "ratios": pairs,
            "difference": largest_difference(work.select(runs[0].result), work.select(runs[1].result)),
        }
    return facts


def _encoder(name: str, size: Size, length: int, wanted: float) -> Work:
    ids = size.text(length)
    return Work(name, f"encoder, {length} tokens", wanted, lambda side: partial(side.encoder, ids, first_token(ids)))


def _batch(size: Size) -> Work:
    """Texts of many lengths at once, padded to the longest as tokenizers do; padding is not compared."""
    ids = np.full((len(size.batch), max(size.batch)), size.config.pad_token_id, np.int64)
    visible = np.zeros_like(ids)
    for row, length in enumerate(size.batch):
        ids[row, :length], visible[row, :length] = size.text(length, salt=row), 1
    return Work(
        "batch",
        f"batch of {len(size.batch)} texts of {min(size.batch)} to {max(size.batch)} tokens",
        3.0,
        lambda side: partial(side.encoder, ids, first_token(ids), visible),
        lambda hidden: hidden[visible.astype(bool)],
    )


def _one_by_one(size: Size) -> Work:
    """The same texts one after another: for a peer that pays for padding the better way."""
    texts = [size.text(length, salt=row) for row, length in enumerate(size.batch)]
    return Work(
        "one-by-one",
        "the same texts, one at a time",
        None,
        lambda side: lambda: [side.encoder(ids, first_token(ids))[0] for ids in texts],
        np.concatenate,
    )


def _classification(size: Size) -> Work:
    ids = size.text(size.tokens)
    title = f"sequence classification, {size.tokens} tokens"
    return Work("classification", title, 2.8, lambda side: partial(side.classifier, ids))


def _masked_lm(name: str, size: Size, position: int, some_global: bool, wanted: float) -> Work:
    ids = size.text(size.tokens)
    ids[0, position] = size.vocabulary - 1  # where RoBERTa's vocabulary has <mask>
    is_global = first_token(ids) * int(some_global)
    title = f"masked LM, {size.tokens} tokens, one mask at {position}" + ("" if some_global else ", none global")
    return Work(name, title, wanted, lambda side: partial(side.masked_lm, ids, is_global, position))


def _attention(name: str, size: Size, window: int, wanted: float | None) -> Work:
    rng = np.random.default_rng(window)
    query, key, value = rng.standard_normal((3, size.tokens, size.config.hidden_size), np.float32)
    title = f"banded attention alone, {size.tokens} tokens, window {window}"
    return Work(name, title, wanted, lambda side: side.attention(query, key, value, size.heads, max(2, window)))
