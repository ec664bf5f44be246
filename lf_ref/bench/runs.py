"""A whole run: the checkpoint in a folder of its own, what was chosen measured one after another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..kernels.threads import usable_cpus
from .cells import open_side
from .machine import machine_facts
from .own import FIGURES, Own
from .size import Size
from .works import compare, works

PEERS = ("transformers",)


def names() -> list[str]:
    """What can be chosen, in the order in which it is measured."""
    return [*(work.name for work in works(Size(1, 1, 2, 32, 8))), *FIGURES]


def run(
    size: Size,
    chosen: Sequence[str],
    against: str | None,
    repeats: int,
    num_threads: int | None,
    progress: Callable[[str], None],
    roofline: Path | None = None,
) -> dict[str, Any]:
    """Measure what was chosen (nothing: everything), and return the figures as JSON values.

    against: one of `PEERS`, or None for lf_ref alone. progress: is told what comes next. roofline: where to draw the
    plot, if wanted.

    Raises:
        InputError: a name is unknown, or a package that this needs is missing.
    """
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        raise InputError(f"no such work: {', '.join(unknown)}; there are {', '.join(names())}")
    threads = usable_cpus() if num_threads is None else num_threads
    if roofline is not None:
        from .roofline import drawing

        drawing()  # before hours of measuring, not after
    with tempfile.TemporaryDirectory(prefix="lf_ref-bench-") as folder:
        ours, peer = open_side("lf_ref"), None
        if against is not None:
            peer = open_side(against)(folder, threads)
        facts: dict[str, Any] = {
            "machine": machine_facts(with_peer=peer is not None),
            "size": asdict(size),
            "num_threads": threads,
            "repeats": repeats,
            "peer": against,
        }
        progress("writing a checkpoint")
        size.write_checkpoint(Path(folder))
        own, side = Own(size, Path(folder), threads, repeats, against), ours(folder, threads)
        table: list[dict[str, Any]] = []
        figures: list[dict[str, Any]] = []
        for work in works(size):
            if not chosen or work.name in chosen:
                progress(work.title)
                table.append(compare(work, side, peer, repeats))
        for name, measure in FIGURES.items():
            if not chosen or name in chosen:
                progress(name)
                for figure in measure(own):
                    (figures if "value" in figure else table).append(figure)
        if roofline is not None:
            from .roofline import draw, measure_parts

            progress("roofline")
            facts["roofline"] = measure_parts(size, threads, repeats)
            draw(facts["roofline"], facts["machine"], roofline)
    return {**facts, "works": table, "figures": figures}
