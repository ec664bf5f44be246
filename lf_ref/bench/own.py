"""Measurements of lf_ref alone, or of a subprocess of each side."""

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
from statistics import median
from typing import Any

import numpy as np

from ..errors import LfRefError
from .cells import cell
from .kinds import Setup, SideError
from .size import Size, first_token
from .timing import Matmul, in_turns, largest_difference, ratios

_TIMES_AS_LONG = 4


@dataclass(frozen=True)
class Own:
    """The sides of the measurements below; `peer` may be None."""

    size: Size
    ours: Setup
    peer: Setup | None
    repeats: int


def memory(own: Own) -> list[dict[str, Any]]:
    """Memory of a subprocess of each side: in all, of the loaded model, and of the computation."""
    found, failure = _cells(own, "memory", own.size.tokens, repeats=1)
    titles = {
        "process_bytes": ("memory-process", f"peak memory of the process, {own.size.tokens} tokens"),
        "loaded_bytes": ("memory-model", "of it, the model once it is loaded"),
        "bytes": ("memory", f"peak memory above the weights, {own.size.tokens} tokens"),
    }
    rows = []
    for key, (name, title) in titles.items():
        costs = {side: [cell[key] for cell in cells] for side, cells in found.items()}
        rows.append(
            {"name": name, "title": title}
            | {side: {"bytes": values[0]} for side, values in costs.items()}
            | _ratio(costs)
            | failure
        )
    return [*rows[:2], rows[2] | _difference(found)]


def first_answer(own: Own) -> list[dict[str, Any]]:
    """From the start of a process to its first answer; the kernels are compiled, the files in the system's cache."""
    _cells(own, "answer", own.size.short, repeats=1)
    found, failure = _cells(own, "answer", own.size.short, own.repeats)
    costs = {side: [cell["seconds"] for cell in cells] for side, cells in found.items()}
    facts = {"name": "first-answer", "title": f"process start to first answer, {own.size.short} tokens"}
    times = {side: {"seconds": median(seconds), "runs": seconds} for side, seconds in costs.items()}
    return [facts | times | _ratio(costs) | failure | _difference(found)]


def linear_rate(own: Own) -> list[dict[str, Any]]:
    """The rate of the linear layers over the encoder's time, relative to the machine's sgemm rate."""
    size = own.size
    hidden, inner = size.config.hidden_size, size.config.intermediate_size
    matmul = Matmul(size.tokens, hidden, inner, own.ours.num_threads)
    run = _encoder(own, size.tokens)
    encoder, rate = in_turns([run, matmul], own.repeats)
    linear = size.linear_flop_per_token * size.tokens
    rates = [linear / whole / (matmul.flop / one) for whole, one in zip(encoder.seconds, rate.seconds, strict=True)]
    gflops = matmul.flop / rate.median / 1e9
    return [
        _figure("sgemm", f"rate of a matmul [{size.tokens}, {hidden}] x [{hidden}, {inner}]", gflops, "GFLOP/s"),
        _figure(
            "linear-rate",
            f"linear layers' arithmetic over the encoder's time, {size.tokens} tokens, relative to that rate",
            median(rates),
            "",
            ("at least", 0.75) if own.ours.dtype == "float32" else None,
        ),
    ]


def growth(own: Own) -> list[dict[str, Any]]:
    """The growth of time and memory with the length."""
    tokens, longer = own.size.tokens, _TIMES_AS_LONG * own.size.tokens
    short, long = in_turns([_encoder(own, tokens), _encoder(own, longer)], own.repeats)
    held = [cell(own.ours, "memory", own.size.text(length).tolist())["bytes"] for length in (tokens, longer)]
    return [
        _figure(
            "growth",
            f"encoder's time, {longer} tokens over {tokens}",
            median(ratios(long, short)),
            "times",
            ("at most", 4.2) if own.ours.dtype == "float32" else None,
        ),
        _figure("growth-seconds", f"encoder's time, {longer} tokens", long.median, "s"),
        _figure("growth-memory", f"peak memory, {longer} tokens over {tokens}", held[1] / held[0], "times"),
    ]


def first_compile(own: Own) -> list[dict[str, Any]]:
    """Seconds of `lf-ref warmup` with an empty cache, and again with the cache that it filled."""
    program, options = "from lf_ref.cli import main; main()", ["--json"]
    command_name = "lf-ref warmup"
    if own.ours.dtype != "float32":
        options.append(f"--{own.ours.dtype}")
        command_name += f" {options[-1]}"
    titles = {"first-compile": f"{command_name} with an empty cache", "second-warmup": f"{command_name} again"}
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name, title in titles.items():
            start = time.perf_counter()
            command = [sys.executable, "-c", program, "warmup", *options]
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
    "linear-rate": linear_rate,
    "growth": growth,
    "first-compile": first_compile,
}


def _figure(name: str, title: str, value: float, unit: str, wanted: tuple[str, float] | None = None) -> dict[str, Any]:
    return {"name": name, "title": title, "value": value, "unit": unit, "wanted": wanted}


def _encoder(own: Own, length: int) -> Callable[[], Any]:
    ids = own.size.text(length)
    return partial(own.ours.open().encoder, ids, first_token(ids))


def _cells(own: Own, what: str, length: int, repeats: int) -> tuple[dict[str, list[dict[str, Any]]], dict[str, str]]:
    """The results of subprocesses of each side, in turns, and the reason if the peer's failed."""
    ids = own.size.text(length).tolist()
    found: dict[str, list[dict[str, Any]]] = {own.ours.name: []}
    if own.peer is not None:
        found[own.peer.name] = []
    failure: dict[str, str] = {}
    for _ in range(repeats):
        found[own.ours.name].append(cell(own.ours, what, ids))
        if own.peer is not None and not failure:
            try:
                found[own.peer.name].append(cell(own.peer, what, ids))
            except SideError as error:
                failure = {"failure": str(error)}
                del found[own.peer.name]
    return found, failure


def _ratio(costs: dict[str, list[Any]]) -> dict[str, Any]:
    """The ratios of the peer's values to lf_ref's, if there is a peer."""
    if len(costs) < 2:
        return {}
    pairs = [above / below for below, above in zip(*costs.values(), strict=True)]
    return {"ratio": median(pairs), "ratios": pairs}


def _difference(found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """The difference of the answers, if there are two."""
    if len(found) < 2:
        return {}
    return {"difference": largest_difference(*(np.array(cells[-1]["answer"]) for cells in found.values()))}
