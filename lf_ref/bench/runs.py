"""A whole run: checkpoints in a temporary folder, and the chosen measurements one after another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..kernels.cpus import usable_cpus
from .bars import TOLERANCES, bars, holds
from .engines import conversions
from .kinds import KINDS, OURS, left_out, setup
from .machine import features_used, machine_facts
from .own import FIGURES, Own
from .sides import Side
from .size import Size
from .works import compare, works


def names() -> list[str]:
    """The names of all measurements, in order."""
    return [*(work.name for work in works(Size(1, 1, 2, 32, 8))), *FIGURES]


def run(
    size: Size,
    chosen: Sequence[str],
    against: str | None,
    dtype: str,
    repeats: int,
    num_threads: int | None,
    progress: Callable[[str], None],
    roofline: Path | None = None,
) -> dict[str, Any]:
    """Run the chosen measurements (by default all possible ones), and return the results as JSON values.

    against: one of `kinds.PEERS`, or None for lf_ref alone. dtype: one of `kinds.DTYPES`; a peer without it runs in
    another. progress: called with what comes next. roofline: where to draw the plot, if wanted.

    Raises:
        InputError: a name is unknown or not for this dtype and peer, or a package that this needs is missing.
    """
    not_measured = _check(chosen, against, dtype, roofline)
    threads = usable_cpus() if num_threads is None else num_threads
    with tempfile.TemporaryDirectory(prefix="lf_ref-bench-") as folder:
        setups = [setup(name, Path(folder), threads, dtype) for name in (OURS, against) if name is not None]
        sides: dict[str, Side] = {one.name: one.open() for one in setups}
        peer = setups[1] if against is not None else None
        facts: dict[str, Any] = {
            "machine": machine_facts(KINDS[against].packages if against is not None else ()),
            "size": asdict(size),
            "num_threads": threads,
            "repeats": repeats,
            "dtype": dtype,
            "peer": against,
            "peer_dtype": peer.dtype if peer is not None else None,
        }
        for one in sorted({(one.dtype, one.folder) for one in setups}):
            progress(f"writing a checkpoint in {one[0]}")
            size.write_checkpoint(one[1], one[0])
        wanted = [name for name in names() if (not chosen or name in chosen) and name not in not_measured]
        tolerance = max(TOLERANCES[one.dtype] for one in setups)
        rows = _measure(wanted, sides, Own(size, setups[0], peer, repeats), tolerance, progress)
        table = [row for row in rows if "value" not in row]
        ahead = bars(against, dtype, features_used())
        for row in table:
            row["wanted"] = ahead.get(row["name"])
        for row in rows:
            row["holds"] = holds(row)
        if roofline is not None:
            from .roofline import draw, measure_parts

            progress("roofline")
            facts["roofline"] = measure_parts(size, threads, repeats)
            draw(facts["roofline"], facts["machine"], roofline)
        return {
            **facts,
            "works": table,
            "figures": [row for row in rows if "value" in row],
            "left_out": {name: reason for name, reason in not_measured.items() if not chosen},
            "conversions": [] if peer is None else conversions(peer),
        }


def _measure(
    wanted: Collection[str], sides: dict[str, Side], own: Own, tolerance: float, progress: Callable[[str], None]
) -> list[dict[str, Any]]:
    """The results of the chosen measurements: rows of the table, and single values."""
    rows: list[dict[str, Any]] = []
    for work in works(own.size):
        if work.name in wanted:
            progress(work.title)
            rows.append(compare(work, sides, own.repeats, tolerance))
    for name, measure in FIGURES.items():
        if name in wanted:
            progress(name)
            rows += measure(own)
    return rows


def _check(chosen: Sequence[str], against: str | None, dtype: str, roofline: Path | None) -> dict[str, str]:
    """Check the choice before the measurements; returns the reasons for those left out, by name."""
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        raise InputError(f"no such work: {', '.join(unknown)}; there are {', '.join(names())}")
    if against == dtype:
        raise InputError(f"lf_ref in {dtype} against itself has no meaning; choose another dtype, or another peer")
    not_measured = left_out(dtype, against)
    for name in chosen:
        if name in not_measured:
            beside = "" if against is None else f" beside {against}"
            raise InputError(f"{name} cannot be measured in {dtype}{beside}: {not_measured[name]}")
    if roofline is not None:
        if dtype != "float32":
            raise InputError(f"the roofline is that of the float32 kernels; leave out dtype {dtype}, or the plot")
        from .roofline import check_place

        check_place(roofline)
    return not_measured
