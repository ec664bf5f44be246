"""`lf-ref text-classification`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import COUNT, command, input_option
from ..records.columns import ANSWERS
from .inputs import PAIRS, InputOutput, answer, input_options
from .options import aggregation_option, length_options, load, model_options, stride_option
from .output import table, visible
from .texts import argument


@command("text-classification", short_help="Classify a text, or a pair of texts.")
@click.argument("text", required=False)
@input_option("--pair", metavar="TEXT", help="Second text, for a model of pairs; the same for all inputs.")
@click.option("--top-k", type=COUNT, default=5, show_default=True, help="Number of labels, the best first.")
@click.option(
    "--function-to-apply",
    type=click.Choice(["sigmoid", "softmax", "none"]),
    help="Function of the logits (default: as in the config of the model).",
)
@input_options(PAIRS, ANSWERS["text-classification"])
@aggregation_option
@length_options
@stride_option
@model_options
def text_classification(
    text: str | None,
    io: InputOutput,
    pair: str | None,
    top_k: int,
    function_to_apply: str | None,
    truncation: bool | None,
    max_length: int | None,
    stride: int | None,
    aggregation: str,
    **source: Any,
) -> None:
    """Classify TEXT with the labels of a model, such as sentiments.

    \b
    Example:
      lf-ref text-classification --model FOLDER "The soup was cold, and the waiter rude."
    """
    given = io.read(text, **({} if pair is None else {"text_pair": argument(pair)}))
    options = {
        "top_k": top_k,
        "function_to_apply": function_to_apply,
        "truncation": truncation,
        "max_length": max_length,
        "stride": stride,
        "aggregation": aggregation,
    }
    answer(load("text-classification", source), given, _show, **options)


def _show(answers: list[dict[str, Any]]) -> None:
    table([[f"{answer['score']:.4f}", visible(str(answer["label"]))] for answer in answers], right=[0])
