"""`lf-ref zero-shot-classification`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import command
from .options import aggregation_option, length_options, load, model_options, stride_option, text_options
from .output import answer, answer_lines, table, visible
from .texts import TEXT, Lines, argument, one_or_lines


@command("zero-shot-classification", short_help="Classify a text with your own labels.")
@click.argument("text", required=False)
@click.option("--label", "labels", multiple=True, required=True, help="Candidate label; repeatable.")
@click.option(
    "--hypothesis-template",
    default="This example is {}.",
    show_default=True,
    help="Hypothesis, with {} for the label.",
)
@click.option("--multi-label", is_flag=True, help="Score each label independently, so that several may apply.")
@text_options
@aggregation_option
@length_options
@stride_option
@model_options
def zero_shot_classification(
    text: str | None,
    file: str | None,
    lines: str | None,
    as_json: bool,
    labels: tuple[str, ...],
    hypothesis_template: str,
    multi_label: bool,
    truncation: bool | None,
    max_length: int | None,
    stride: int | None,
    aggregation: str,
    **source: Any,
) -> None:
    """Classify TEXT with your own labels, by a model for natural language inference (NLI).

    \b
    Example:
      lf-ref zero-shot-classification --model FOLDER --label sport --label politics "They won by two goals."
    """
    given = one_or_lines(text, file, lines)
    options = {
        "candidate_labels": [argument(label) for label in labels],
        "hypothesis_template": hypothesis_template,
        "multi_label": multi_label,
        "truncation": truncation,
        "max_length": max_length,
        "stride": stride,
        "aggregation": aggregation,
    }
    pipe = load("zero-shot-classification", source)
    if isinstance(given, Lines):
        answer_lines(pipe, given.records(TEXT), given, **options)
    else:
        answer(pipe, given, as_json, _show, **options)


def _show(result: dict[str, Any]) -> None:
    table([[f"{score:.4f}", visible(label)] for label, score in zip(result["labels"], result["scores"], strict=True)])
