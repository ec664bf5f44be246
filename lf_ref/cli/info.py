"""`lf-ref info`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..command_line import COUNT, command, complete_folder, performance_option
from .options import DTYPES, checkpoint_options, json_option, quietly, threads_option
from .output import echo, print_json, table, visible

if TYPE_CHECKING:
    from ..config import LongformerConfig

# Tasks whose answers are labels of the checkpoint's own.
_CLASSIFYING = {"text-classification", "token-classification"}
_MOST_LABELS = 10


@command("info", short_help="Show the contents and the cost of a checkpoint.")
@click.argument("folder", metavar="[FOLDER|REPO]", required=False, shell_complete=complete_folder)
@click.option("--length", "lengths", type=COUNT, multiple=True, help="Estimate for a text of N tokens; repeatable.")
@click.option("--tensors", "with_tensors", is_flag=True, help="List the tensors.")
@json_option
@performance_option(
    "--dtype",
    type=click.Choice(DTYPES),
    help="Precision of the weights in memory and of the estimate (default: as the checkpoint would be loaded).",
)
@threads_option
@checkpoint_options
def info(
    folder: str | None,
    lengths: tuple[int, ...],
    with_tensors: bool,
    dtype: str | None,
    num_threads: int | None,
    as_json: bool,
    model: str | None,
    quiet: bool,
    **source: Any,
) -> None:
    """Show a checkpoint: its tasks, sizes and memory, and an estimate of the time for a text on this machine.

    \b
    Example:
      lf-ref info --length 1024
    """
    from ..checkpoint import is_quantized, open_tensors, read_config
    from ..embeddings.folder import locate_encoder
    from ..errors import InputError
    from .costs import estimate, tensor_facts

    if folder is not None and model is not None:
        raise InputError("give the checkpoint once, as an argument or with --model")
    with quietly(quiet):
        place = locate_encoder(folder if model is None else model, source)
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
        if with_tensors:
            _show_tensors(facts)


def _show(facts: dict[str, Any], config: LongformerConfig) -> None:
    labels = [visible(str(label)) for label in config.id2label.values()]
    windows = config.windows if len(set(config.windows)) > 1 else config.windows[:1]
    rows = [
        ["checkpoint", facts["name"]],
        ["file", facts["file"]],
        ["tasks", ", ".join(facts["tasks"]) or "none: weights are missing"],
        ["labels", ", ".join(labels[:_MOST_LABELS]) + (f", ... ({len(labels)})" if len(labels) > _MOST_LABELS else "")],
        ["parameters", f"{facts['parameters']:,}"],
        ["in the file", f"{_size(facts['stored_bytes'])} ({', '.join(facts['stored_dtypes'])})"],
        ["in memory", f"{_size(facts['memory_bytes'])} as {facts['dtype']}, {facts['copied']}"],
        ["longest input", f"{facts['longest_input']} tokens"],
        ["encoder", f"{config.num_hidden_layers} layers, {config.num_attention_heads} heads, {config.hidden_act}"],
        ["sizes", f"hidden {config.hidden_size}, intermediate {config.intermediate_size}"],
        ["window", f"{', '.join(map(str, windows))} tokens" + ("" if len(windows) == 1 else ", by layer")],
        ["vocabulary", f"{config.vocab_size} tokens"],
    ]
    table([row for row in rows if row[0] != "labels" or _CLASSIFYING & set(facts["tasks"])])
    _show_estimates(facts["estimates"])


def _show_tensors(facts: dict[str, Any]) -> None:
    echo("\ntensors")
    rows = [["  name", "dtype", "shape", "size"]]
    rows += [
        [f"  {tensor['name']}", tensor["dtype"], str(tuple(tensor["shape"])), _size(tensor["bytes"])]
        for tensor in facts["tensors"]
    ]
    table(rows, right=[3])


def _show_estimates(estimates: dict[str, Any]) -> None:
    echo("\nestimate for the encoder, one text at a time")
    rows = [["  tokens", "GFLOP", "seconds", "working memory"]]
    rows += [
        [f"  {one['length']}", f"{one['gflop']:.1f}", f"{one['seconds']:.2g}", _size(one["working_bytes"])]
        for one in estimates["lengths"]
    ]
    table(rows, right=[0, 1, 2, 3])
    rate, threads = f"{estimates['gflop_per_second']:.0f} GFLOP/s", f"{estimates['threads']} thread(s)"
    echo(f"  At the {rate} that a matmul in {estimates['dtype']} reached on {threads}.")
    echo("  A real run takes longer: attention is slower than a matmul.")


def _size(count: int) -> str:
    """Bytes for people: powers of 1000, as disks and `ls --si` have them."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
