"""`lf-ref zero-shot-classification`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import command
from ..records.columns import ANSWERS
from .inputs import TEXTS, InputOutput, answer, input_options
from .options import aggregation_option, length_options, load, model_options, stride_option
from .output import table, visible
from .texts import argument


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
@input_options(TEXTS, ANSWERS["zero-shot-classification"])
@aggregation_option
@length_options
@stride_option
@model_options
def zero_shot_classification(
    text: str | None,
    io: InputOutput,
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
    given = io.read(text)
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
    answer(pipe, given, _show, **options)


def _show(result: dict[str, Any]) -> None:
    table([[f"{score:.4f}", visible(label)] for label, score in zip(result["labels"], result["scores"], strict=True)])
