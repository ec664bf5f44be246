"""`lf-ref info`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .options import DTYPES, checkpoint_options, quietly
from .output import echo, print_json, table

if TYPE_CHECKING:
    from ..config import LongformerConfig

_SHOWN = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act", "vocab_size",
    "max_position_embeddings", "type_vocab_size", "attention_window", "layer_norm_eps", "pad_token_id", "sep_token_id",
)  # fmt: skip


@click.command("info", short_help="Tell what a checkpoint holds and costs.")
@click.argument("folder", metavar="[FOLDER|REPO]", required=False)
@click.option(
    "--length", "lengths", type=click.IntRange(min=1), multiple=True, help="Tokens to estimate for; may be repeated."
)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    help="Of the weights in memory and of the estimate (default: as it would be loaded).",
)
@click.option("--num-threads", type=click.IntRange(min=1), help="Threads to estimate for (default: all CPUs).")
@click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON.")
@checkpoint_options
def info(
    folder: str | None,
    lengths: tuple[int, ...],
    dtype: str | None,
    num_threads: int | None,
    as_json: bool,
    model: str | None,
    quiet: bool,
    **source: Any,
) -> None:
    """Tell what a checkpoint holds: config, tensors, tasks, memory, and about how long a text takes on this machine.

    \b
    Example:
      lf-ref info --length 1024
    """
    from ..checkpoint import is_quantized, open_tensors, read_config
    from ..errors import InputError
    from ..files import locate
    from .costs import estimate, tensor_facts

    if folder is not None and model is not None:
        raise InputError("give the checkpoint once, as an argument or with --model")
    with quietly(quiet):
        place = locate(folder if model is None else model, **source)
        config = read_config(place)
        tensors = open_tensors(place)
    dtype = dtype or ("int8" if is_quantized(config) else "float32")
    lengths = lengths or (config.max_tokens,)
    for length in lengths:
        if length > config.max_tokens:
            raise InputError(f"--length {length} is more than the {config.max_tokens} tokens that this model takes")
    facts = {
        "name": place.name,
        "file": tensors.origin,
        "longest_input": config.max_tokens,
        **tensor_facts(tensors, config, dtype),
        "estimates": estimate(config, lengths, dtype, num_threads),
        "config": config.to_dict(),
    }
    if as_json:
        print_json(facts, indent=2)
    else:
        _show(facts, config)


def _show(facts: dict[str, Any], config: LongformerConfig) -> None:
    table(
        [
            ["checkpoint", facts["name"]],
            ["file", facts["file"]],
            ["tasks", ", ".join(facts["tasks"]) or "none: weights are missing"],
            ["labels", ", ".join(map(str, config.id2label.values())) + " (of a classification head)"],
            ["parameters", f"{facts['parameters']:,}"],
            ["in the file", f"{_size(facts['stored_bytes'])} ({', '.join(facts['stored_dtypes'])})"],
            ["in memory", f"{_size(facts['memory_bytes'])} as {facts['dtype']}, {facts['copied']}"],
            ["longest input", f"{facts['longest_input']} tokens"],
        ]
    )
    echo("\nconfig")
    table([[f"  {name}", str(getattr(config, name))] for name in _SHOWN])
    _show_estimates(facts["estimates"])
    echo("\ntensors")
    rows = [["  name", "dtype", "shape", "size"]]
    rows += [
        [f"  {tensor['name']}", tensor["dtype"], str(tuple(tensor["shape"])), _size(tensor["bytes"])]
        for tensor in facts["tensors"]
    ]
    table(rows, right=[3])


def _show_estimates(estimates: dict[str, Any]) -> None:
    echo("\nestimate of the encoder, one text at a time")
    rows = [["  tokens", "GFLOP", "seconds", "working memory"]]
    rows += [
        [f"  {one['length']}", f"{one['gflop']:.1f}", f"{one['seconds']:.2g}", _size(one["working_bytes"])]
        for one in estimates["lengths"]
    ]
    table(rows, right=[0, 1, 2, 3])
    rate, threads = f"{estimates['gflop_per_second']:.0f} GFLOP/s", f"{estimates['threads']} thread(s)"
    echo(f"  As if all of it ran at the {rate} that a matrix product in {estimates['dtype']} just reached here")
    echo(f"  with {threads}. No run is quite like that: attention is slower, and other work on the machine counts.")


def _size(count: int) -> str:
    """Bytes for people: powers of 1000, as disks and `ls --si` have them."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
