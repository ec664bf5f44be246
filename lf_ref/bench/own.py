"""What is asked of lf_ref alone, or of a process of its own on each side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ..errors import LfRefError
from .cells import cell
from .sides import Ours
from .size import Size, first_token
from .timing import Product, in_turns, largest_difference, ratios

_TIMES_AS_LONG = 4


@dataclass(frozen=True)
class Own:
    """What the figures below are measured on. peer: the other side's name, if there is one."""

    size: Size
    folder: Path
    num_threads: int
    repeats: int
    peer: str | None

    @property
    def names(self) -> list[str]:
        """The sides."""
        return [Ours.name, *([self.peer] if self.peer else [])]


def memory(own: Own) -> list[dict[str, Any]]:
    """Peak memory above the weights, each side in a process of its own."""
    found = _cells(own, "memory", own.size.tokens, repeats=1)
    facts: dict[str, Any] = {
        "name": "memory",
        "title": f"peak memory above the weights, {own.size.tokens} tokens",
        "wanted": 4.0,
        **{name: {"bytes": cells[0]["bytes"]} for name, cells in found.items()},
    }
    return [facts | _difference(own, found, lambda cell: cell["bytes"])]


def first_answer(own: Own) -> list[dict[str, Any]]:
    """From the start of a process to its first answer; the kernels are compiled, the files in the system's cache."""
    _cells(own, "answer", own.size.short, repeats=1)
    found = _cells(own, "answer", own.size.short, own.repeats)
    facts: dict[str, Any] = {
        "name": "first-answer",
        "title": f"process start to first answer, {own.size.short} tokens",
        "wanted": 3.0,
    }
    for name, cells in found.items():
        seconds = [cell["seconds"] for cell in cells]
        facts[name] = {"seconds": median(seconds), "runs": seconds}
    return [facts | _difference(own, found, lambda cell: cell["seconds"])]


def linear_share(own: Own) -> list[dict[str, Any]]:
    """How much of the machine's sgemm rate is left when the linear layers' arithmetic takes the encoder's time."""
    size = own.size
    hidden, inner = size.config.hidden_size, size.config.intermediate_size
    product = Product(size.tokens, hidden, inner, own.num_threads)
    run = _encoder(own, size.tokens)
    encoder, rate = in_turns([run, product], own.repeats)
    linear = size.linear_flop_per_token * size.tokens
    shares = [linear / whole / (product.flop / one) for whole, one in zip(encoder.seconds, rate.seconds, strict=True)]
    gflops = product.flop / rate.median / 1e9
    return [
        _figure("sgemm", f"rate of a product [{size.tokens}, {hidden}] x [{hidden}, {inner}]", gflops, "GFLOP/s"),
        _figure(
            "linear-share",
            f"linear layers' arithmetic over the encoder's time, {size.tokens} tokens, as a share of that rate",
            median(shares),
            "",
            ("at least", 0.75),
        ),
    ]


def growth(own: Own) -> list[dict[str, Any]]:
    """How time and memory grow with the length."""
    tokens, longer = own.size.tokens, _TIMES_AS_LONG * own.size.tokens
    short, long = in_turns([_encoder(own, tokens), _encoder(own, longer)], own.repeats)
    held = [_cell(own, Ours.name, "memory", length)["bytes"] for length in (tokens, longer)]
    return [
        _figure(
            "growth",
            f"encoder's time, {longer} tokens over {tokens}",
            median(ratios(long, short)),
            "times",
            ("at most", 4.2),
        ),
        _figure("growth-seconds", f"encoder's time, {longer} tokens", long.median, "s"),
        _figure("growth-memory", f"peak memory, {longer} tokens over {tokens}", held[1] / held[0], "times"),
    ]


def first_compile(own: Own) -> list[dict[str, Any]]:
    """Seconds of `lf-ref warmup` with an empty cache, and again with what it left there."""
    program = "from lf_ref.cli import main; main()"
    titles = {"first-compile": "lf-ref warmup with an empty cache", "second-warmup": "lf-ref warmup again"}
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, title in titles.items():
            start = time.perf_counter()
            command = [sys.executable, "-c", program, "warmup", "--json"]
            done = subprocess.run(
                command, env={**os.environ, "NUMBA_CACHE_DIR": folder}, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise LfRefError(f"lf-ref warmup failed: {done.stderr.strip()}")
            seconds, kernels = time.perf_counter() - start, json.loads(done.stdout)["kernels"]
            title += f" ({len(kernels)} kernels)"
            figures.append(_figure(name, title, seconds, "s", ("at most", 20.0) if name == "first-compile" else None))
    return figures


FIGURES: dict[str, Callable[[Own], list[dict[str, Any]]]] = {
    "memory": memory,
    "first-answer": first_answer,
    "linear-share": linear_share,
    "growth": growth,
    "first-compile": first_compile,
}


def _figure(name: str, title: str, value: float, unit: str, wanted: tuple[str, float] | None = None) -> dict[str, Any]:
    return {"name": name, "title": title, "value": value, "unit": unit, "wanted": wanted}


def _encoder(own: Own, length: int) -> Callable[[], Any]:
    ids = own.size.text(length)
    return partial(Ours(own.folder, own.num_threads).encoder, ids, first_token(ids))


def _cell(own: Own, name: str, what: str, length: int) -> dict[str, Any]:
    return cell(name, what, own.folder, own.num_threads, own.size.text(length).tolist())


def _cells(own: Own, what: str, length: int, repeats: int) -> dict[str, list[dict[str, Any]]]:
    """What processes of each side found, in turns."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in own.names}
    for _ in range(repeats):
        for name, cells in found.items():
            cells.append(_cell(own, name, what, length))
    return found


def _difference(
    own: Own, found: dict[str, list[dict[str, Any]]], cost: Callable[[dict[str, Any]], float]
) -> dict[str, Any]:
    """The sides against each other, where there are two."""
    if own.peer is None:
        return {}
    pairs = [cost(peer) / cost(ours) for ours, peer in zip(found[Ours.name], found[own.peer], strict=True)]
    answers = [np.array(found[name][-1]["answer"]) for name in own.names]
    return {"ratio": median(pairs), "ratios": pairs, "difference": largest_difference(*answers)}
