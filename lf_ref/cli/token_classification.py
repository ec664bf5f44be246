"""`lf-ref token-classification`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import command
from .inputs import TEXTS, InputOutput, answer, input_options
from .options import length_options, load, model_options, stride_option
from .output import echo, table, visible


@command("token-classification", short_help="Find the named entities in a text.")
@click.argument("text", required=False)
@click.option(
    "--aggregation-strategy",
    type=click.Choice(["none", "simple", "first", "average", "max"]),
    default="simple",
    show_default=True,
    help="Group tokens into entities: none, adjacent tokens of one label, or whole words by one of three rules.",
)
@click.option(
    "--ignore-label", "ignored", multiple=True, default=["O"], show_default=True, help="Omit this label; repeatable."
)
@input_options(TEXTS)
@length_options
@stride_option
@model_options
def token_classification(
    text: str | None,
    io: InputOutput,
    aggregation_strategy: str,
    ignored: tuple[str, ...],
    truncation: bool | None,
    max_length: int | None,
    stride: int | None,
    **source: Any,
) -> None:
    """Find the named entities in TEXT, or label each of its tokens.

    \b
    Example:
      lf-ref token-classification --model FOLDER "Ada Lovelace was born in London."
    """
    given = io.read(text)
    pipe = load("token-classification", source)
    numbers = [label for label in pipe.model.config.id2label.values() if str(label) in ignored]  # as they are printed
    options = {
        "aggregation_strategy": aggregation_strategy,
        "ignore_labels": [*ignored, *numbers],
        "stride": stride,
        "truncation": truncation,
        "max_length": max_length,
    }
    answer(pipe, given, _show, **options)


def _show(entities: list[dict[str, Any]]) -> None:
    if not entities:
        echo("nothing found")
        return
    rows = [["start", "end", "score", "label", "word"]]
    for entity in entities:
        label = entity.get("entity_group", entity.get("entity"))
        place = [str(entity["start"]), str(entity["end"])]
        rows.append([*place, f"{entity['score']:.4f}", visible(str(label)), visible(entity["word"].strip())])
    table(rows, right=[0, 1])
