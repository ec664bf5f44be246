"""`lf-ref zero-shot-classification`."""

from __future__ import annotations

from typing import Any

import click

from .options import length_options, load, model_options, text_options
from .output import answer, answer_lines, table, visible
from .texts import TEXT, Lines, argument, one_or_lines


@click.command("zero-shot-classification", short_help="Sort labels of your own for a text.")
@click.argument("text", required=False)
@click.option("--label", "labels", multiple=True, required=True, help="A label to choose from; give it several times.")
@click.option(
    "--hypothesis-template",
    default="This example is {}.",
    show_default=True,
    help="The sentence whose truth is judged, with {} for the label.",
)
@click.option("--multi-label", is_flag=True, help="Judge each label for itself: several may be right.")
@text_options
@length_options
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
    **source: Any,
) -> None:
    """Sort labels of your own by how well they fit TEXT, with a model trained on inference between sentences.

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
    }
    pipe = load("zero-shot-classification", source)
    if isinstance(given, Lines):
        answer_lines(pipe, given.records(TEXT), given, **options)
    else:
        answer(pipe, given, as_json, _show, **options)


def _show(result: dict[str, Any]) -> None:
    table([[f"{score:.4f}", visible(label)] for label, score in zip(result["labels"], result["scores"], strict=True)])
