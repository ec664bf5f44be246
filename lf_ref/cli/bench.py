"""`lf-ref bench`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..bench.kinds import DTYPES, PEERS
from ..command_line import COUNT, Number, command, input_option, performance_option
from .options import threads_option
from .output import echo, print_json, table


@command("bench", short_help="Measure the speed, alone or against a peer.")
@click.option(
    "--against",
    type=click.Choice(PEERS),
    help="Compare with this on the same weights and texts; float32 and bfloat16 are lf_ref itself.",
)
@performance_option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="float32",
    show_default=True,
    help="Precision of lf_ref, and of the other library if it has it.",
)
@click.option("--work", "chosen", metavar="NAME", multiple=True, help="Measure only this; repeatable.")
@click.option("--repeats", type=COUNT, default=5, show_default=True, help="Number of timed runs of each library.")
@threads_option
@click.option("--layers", type=COUNT, default=12, show_default=True, help="Number of layers of the model.")
@click.option("--heads", type=COUNT, default=12, show_default=True, help="Number of heads, each of 64 dimensions.")
@click.option(
    "--window",
    type=Number(min=8),
    default=512,
    show_default=True,
    help="Attention window, in tokens.",
)
@click.option("--tokens", type=Number(min=64), default=4096, show_default=True, help="Tokens of the long text.")
@click.option("--vocabulary", type=Number(min=8), default=50265, show_default=True, help="Size of the vocabulary.")
@input_option(
    "--roofline",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw a roofline plot into this file.",
)
@input_option("--json", "as_json", is_flag=True, help="Print all results, with every run, as JSON.")
def bench(
    against: str | None,
    dtype: str,
    chosen: tuple[str, ...],
    repeats: int,
    num_threads: int | None,
    roofline: Path | None,
    as_json: bool,
    **size: int,
) -> None:
    """Measure the speed of lf_ref on a model with random weights, by default of the size of the base checkpoints.

    Times are medians over runs that alternate between the two libraries; the ratio is the median over pairs of runs.
    The difference is the largest absolute difference of the two results. "at least" is the ratio that lf_ref aims at;
    below the tables stands where it is reached.

    openvino and onnxruntime run HF's model, converted separately for each length of text. The conversion takes minutes,
    which the times do not include. torch-sdpa and openvino-sdpa run the encoder as an expert rewrites it around torch's
    scaled_dot_product_attention, with the first token global. The notes name what cannot be converted or run, and why;
    a peer whose results differ too much has failed.

    \b
    Examples:
      lf-ref bench --layers 1 --tokens 256 --repeats 1 --work encoder
      lf-ref bench --layers 1 --tokens 512 --repeats 1 --work encoder --against transformers
      lf-ref bench --layers 1 --tokens 512 --repeats 1 --work encoder --against torch-sdpa
      lf-ref bench --layers 1 --tokens 256 --repeats 1 --work encoder --against float32 --dtype int8
    """
    from ..bench.runs import run
    from ..bench.size import Size
    from ..errors import InputError

    if size["window"] % 2:
        raise InputError(f"--window must be even, got {size['window']}")
    if against == "transformers" and size["tokens"] % size["window"]:
        raise InputError(
            f"--tokens must be a multiple of --window for a comparison, since HF's banded attention alone takes only "
            f"such lengths; got {size['tokens']} and {size['window']}"
        )
    facts = run(Size(**size), chosen, against, dtype, repeats, num_threads, _report, roofline)
    if as_json:
        print_json(facts, indent=2)
    else:
        show(facts)


def _report(what: str) -> None:
    """Print on standard error; standard output has the results alone."""
    click.echo(f"{what} ...", err=True)


def show(facts: dict[str, Any]) -> None:
    """The results as tables."""
    _show_machine(facts)
    if facts["works"]:
        echo()
        _show_works(facts)
    if facts["figures"]:
        echo()
        rows = [["figure", "value", "wanted"]]
        for figure in facts["figures"]:
            wanted = figure["wanted"] or []
            rows.append([figure["title"], f"{figure['value']:.3g} {figure['unit']}", " ".join(map(str, wanted))])
        table(rows, right=[1])
    if "roofline" in facts:
        echo()
        _show_roofline(facts["roofline"])
    _show_bars(facts)
    _show_notes(facts)


def _show_machine(facts: dict[str, Any]) -> None:
    machine, size = facts["machine"], facts["size"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    blas = ", ".join(" ".join(str(part) for part in library.values() if part) for library in machine["blas"])
    load = "" if machine["load"] is None else f", load {machine['load'][0]:.1f} before"
    lines = [
        ["processor", f"{machine['cpu']}, {machine['cores']} cores ({' '.join(machine['features'])})"],
        ["versions", f"{versions}; {blas}"],
        ["model", f"{size['layers']} layers of {size['heads']} heads, window {size['window']}, random weights"],
        ["dtype", _dtypes(facts)],
        ["run", f"{machine['date']}, {facts['num_threads']} threads, {facts['repeats']} repeats{load}"],
    ]
    if machine["settings"]:
        lines.append(["settings", " ".join(f"{name}={value}" for name, value in machine["settings"].items())])
    table(lines)


def _dtypes(facts: dict[str, Any]) -> str:
    """The dtype of each side."""
    dtype, peer, of_peer = facts["dtype"], facts["peer"], facts["peer_dtype"]
    if peer is None or dtype == of_peer or peer == of_peer:
        return dtype
    return f"lf_ref in {dtype}, {peer} in {of_peer}: it is not measured in {dtype}"


def _show_works(facts: dict[str, Any]) -> None:
    works, peer = facts["works"], facts["peer"]
    if peer is None:
        rows = [["work", "lf_ref"], *([work["title"], _cost(work["lf_ref"])] for work in works)]
        return table(rows, right=[1])
    of_peer = peer if peer == facts["peer_dtype"] else f"{peer} {facts['peer_dtype']}"
    rows = [["work", f"lf_ref {facts['dtype']}", of_peer, "ratio", "at least", "difference"]]
    for work in works:
        costs = [_cost(work[side]) if side in work else "-" for side in ("lf_ref", peer)]
        ratio = f"{work['ratio']:.2f} x" if "ratio" in work else "-"
        wanted = "" if work["wanted"] is None else f"{work['wanted']:g} x"
        difference = f"{work['difference']:.1e}" if "difference" in work else ""
        rows.append([work["title"], *costs, ratio, wanted, difference])
    return table(rows, right=[1, 2, 3, 4, 5])


def _show_bars(facts: dict[str, Any]) -> None:
    """Which of the ratios and values that are wanted are reached."""
    rows = [*facts["works"], *facts["figures"]]
    lines = [
        f"{what}: {', '.join(names)}"
        for what, reached in (("reached", True), ("not reached", False))
        if (names := [row["name"] for row in rows if row["holds"] is reached])
    ]
    if lines:
        echo()
        for line in lines:
            echo(line)


def _show_notes(facts: dict[str, Any]) -> None:
    """The measurements that are left out, and the costs that the peer's times do not include."""
    notes = [f"{work['title']}: {facts['peer']}: {work['failure']}" for work in facts["works"] if "failure" in work]
    reasons: dict[str, list[str]] = {}
    for name, reason in facts["left_out"].items():
        reasons.setdefault(reason, []).append(name)
    notes += [f"left out: {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    for graph in facts["conversions"]:
        if "failure" not in graph:
            text = f"{graph['head']}, {graph['tokens']} tokens: {graph['conversion_seconds']:.0f} s"
            notes.append(f"conversion ahead of the runs: {text}, {graph['bytes'] / 1e6:.0f} MB")
    if notes:
        echo()
        for note in notes:
            echo(note)


def _cost(side: dict[str, Any]) -> str:
    if "bytes" in side:
        return f"{side['bytes'] / 1e6:.0f} MB"
    seconds = side["seconds"]
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def _show_roofline(measured: dict[str, Any]) -> None:
    echo(f"sgemm {measured['sgemm_gflops']:.0f} GFLOP/s, memory {measured['bandwidth_gbytes']:.1f} GB/s")
    rows = [["part", "FLOP/byte", "GFLOP/s"]]
    rows += [[part["name"], f"{part['flop_per_byte']:.1f}", f"{part['gflops']:.1f}"] for part in measured["parts"]]
    table(rows, right=[1, 2])
