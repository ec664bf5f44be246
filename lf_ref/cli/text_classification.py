"""`lf-ref text-classification`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import COUNT, command, input_option
from .options import PAIRS, aggregation_option, input_options, length_options, load, model_options, stride_option
from .output import answer, answer_lines, table, visible
from .texts import Lines, argument, one_or_lines


@command("text-classification", short_help="Classify a text, or a pair of texts.")
@click.argument("text", required=False)
@input_option("--pair", metavar="TEXT", help="Second text, for a model of pairs.")
@click.option("--top-k", type=COUNT, default=5, show_default=True, help="Number of labels, the best first.")
@click.option(
    "--function-to-apply",
    type=click.Choice(["sigmoid", "softmax", "none"]),
    help="Function of the logits (default: as in the config of the model).",
)
@input_options(PAIRS)
@aggregation_option
@length_options
@stride_option
@model_options
def text_classification(
    text: str | None,
    file: str | None,
    lines: str | None,
    as_json: bool,
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
    given = one_or_lines(text, file, lines)
    options = {
        "top_k": top_k,
        "function_to_apply": function_to_apply,
        "truncation": truncation,
        "max_length": max_length,
        "stride": stride,
        "aggregation": aggregation,
    }
    second = None if pair is None else argument(pair)
    pipe = load("text-classification", source)
    if isinstance(given, Lines):
        answer_lines(pipe, given.pairs(second), given, **options)
    else:
        answer(pipe, {"text": given, "text_pair": second}, as_json, _show, **options)


def _show(answers: list[dict[str, Any]]) -> None:
    table([[f"{answer['score']:.4f}", visible(str(answer["label"]))] for answer in answers], right=[0])
