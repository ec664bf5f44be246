"""The workloads that are timed on both sides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..reference.ops import Array
from .kinds import SideError
from .sides import Side
from .size import Size, first_token
from .timing import in_turns, largest_difference, ratios

_LOGITS = 10.0  # how large those of the masked LM are


@dataclass(frozen=True)
class Work:
    """A workload: `prepare` returns, for a side, the function to time.

    select: the part of the result to compare. scale: the size of its values, relative to hidden states.
    """

    name: str
    title: str
    prepare: Callable[[Side], Callable[[], Any]]
    select: Callable[[Any], Array] = np.asarray
    scale: float = 1.0


def works(size: Size) -> list[Work]:
    """All of them, for a size."""
    return [
        _encoder("encoder", size, size.tokens),
        _encoder("encoder-middle", size, size.middle),
        _encoder("encoder-short", size, size.short),
        _batch(size),
        _one_by_one(size),
        _classification(size),
        _masked_lm("masked-lm", size, size.tokens // 2, True),
        _masked_lm("masked-lm-near", size, size.middle // 2, False),
        _attention("attention", size, size.window),
        _attention("attention-half", size, size.window // 2 // 2 * 2),
        _attention("attention-quarter", size, size.window // 4 // 2 * 2),
        _matmul(size),
    ]


def compare(work: Work, sides: Mapping[str, Side], repeats: int, tolerance: float) -> dict[str, Any]:
    """Time a workload on lf_ref, and in turns with a peer, if there is one; the results as JSON values.

    sides: by their names, lf_ref's first. tolerance: the largest difference of results with numbers near 1. If the peer
    fails, `failure` is the reason, and lf_ref is timed alone; with results that differ by more it has failed too.
    """
    names, things = list(sides), [work.prepare(side) for side in sides.values()]
    facts: dict[str, Any] = {"name": work.name, "title": work.title}
    try:
        runs = in_turns(things, repeats)
    except SideError as failure:
        facts["failure"] = str(failure)
        runs = in_turns(things[:1], repeats)
    facts |= {name: timed.facts() for name, timed in zip(names, runs, strict=False)}
    if len(runs) > 1:
        ours, peer = runs
        difference = largest_difference(work.select(ours.result), work.select(peer.result))
        allowed = tolerance * work.scale
        facts["difference"] = difference
        if difference <= allowed:  # which NaN is not
            pairs = ratios(peer, ours)
            facts |= {"ratio": float(np.median(pairs)), "ratios": pairs}
        else:
            facts["failure"] = f"its result differs by {difference:.1e}, by more than {allowed:g}"
    return facts


def _encoder(name: str, size: Size, length: int) -> Work:
    ids = size.text(length)
    return Work(name, f"encoder, {length} tokens", lambda side: partial(side.encoder, ids, first_token(ids)))


def _batch(size: Size) -> Work:
    """Texts of many lengths at once, padded to the longest as tokenizers do; padding is not compared."""
    ids = np.full((len(size.batch), max(size.batch)), size.config.pad_token_id, np.int64)
    visible = np.zeros_like(ids)
    for row, length in enumerate(size.batch):
        ids[row, :length], visible[row, :length] = size.text(length, salt=row), 1
    return Work(
        "batch",
        f"batch of {len(size.batch)} texts of {min(size.batch)} to {max(size.batch)} tokens",
        lambda side: partial(side.encoder, ids, first_token(ids), visible),
        lambda hidden: hidden[visible.astype(bool)],
    )


def _one_by_one(size: Size) -> Work:
    """The same texts one after another, without padding."""
    texts = [size.text(length, salt=row) for row, length in enumerate(size.batch)]
    return Work(
        "one-by-one",
        "the same texts, one at a time",
        lambda side: lambda: [side.encoder(ids, first_token(ids))[0] for ids in texts],
        np.concatenate,
    )


def _classification(size: Size) -> Work:
    ids = size.text(size.tokens)
    title = f"sequence classification, {size.tokens} tokens"
    return Work("classification", title, lambda side: partial(side.classifier, ids))


def _masked_lm(name: str, size: Size, position: int, some_global: bool) -> Work:
    ids = size.text(size.tokens)
    ids[0, position] = size.vocabulary - 1  # where RoBERTa's vocabulary has <mask>
    is_global = first_token(ids) * int(some_global)
    title = f"masked LM, {size.tokens} tokens, one mask at {position}" + ("" if some_global else ", none global")
    return Work(name, title, lambda side: partial(side.masked_lm, ids, is_global, position), scale=_LOGITS)


def _attention(name: str, size: Size, window: int) -> Work:
    rng = np.random.default_rng(window)
    query, key, value = rng.standard_normal((3, size.tokens, size.config.hidden_size), np.float32)
    title = f"banded attention alone, {size.tokens} tokens, window {window}"
    return Work(name, title, lambda side: side.attention(query, key, value, size.heads, max(2, window)))


def _matmul(size: Size) -> Work:
    """The first matrix of a feed-forward network, for all tokens of the long text."""
    hidden, inner = size.config.hidden_size, size.config.intermediate_size
    rng = np.random.default_rng(inner)
    x = rng.standard_normal((size.tokens, hidden), np.float32)
    weight = rng.standard_normal((inner, hidden), np.float32) * np.float32(hidden**-0.5)
    title = f"matmul [{size.tokens}, {hidden}] x [{hidden}, {inner}], {2 * x.size * inner / 1e9:.3g} GFLOP, one thread"
    return Work("matmul", title, lambda side: side.linear(x, weight), _as_array)


def _as_array(result: Any) -> Array:
    """A result in lanes, or of torch in any dtype; it is not converted within the time."""
    return np.asarray(result.float() if hasattr(result, "float") else result)
