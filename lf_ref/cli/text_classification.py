"""`lf-ref text-classification`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..errors import InputError
from .options import input_options, length_options, load, model_options
from .output import answer, answer_records, table, visible
from .texts import Lines, Record, argument, one_or_lines


@click.command("text-classification", short_help="Score a model's labels for a text.")
@click.argument("text", required=False)
@click.option("--pair", help="The second text, for models that judge a pair.")
@click.option("--top-k", type=click.IntRange(min=1), default=5, show_default=True, help="Labels, the best first.")
@click.option(
    "--function-to-apply",
    type=click.Choice(["sigmoid", "softmax", "none"]),
    help="From the model's scores to those printed (default: as the model's config says).",
)
@input_options('one text, or {"text": ..., "text_pair": ...}, from each line')
@length_options
@model_options
def text_classification(
    text: str | None,
    file: str | None,
    lines: str | None,
    as_json: bool,
    pair: str | None,
    top_k: int,
    function_to_apply: str | None,
    truncation: bool,
    max_length: int | None,
    **source: Any,
) -> None:
    """Score the labels of a model for TEXT.

    A line of --lines that starts with "{" is JSON: {"text": ...}, or for a pair {"text": ..., "text_pair": ...}. What
    else such an object holds, an "id" say, is printed with its answer, which then is under "result". Any other line is
    a text as it stands.

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
    }
    second = None if pair is None else argument(pair)
    pipe = load("text-classification", source)
    if isinstance(given, Lines):
        answer_records(pipe, _with_pair(given, second), given, **options)
    else:
        answer(pipe, {"text": given, "text_pair": second}, as_json, _show, **options)


def _with_pair(lines: Lines, second: str | None) -> Iterator[Record]:
    """The texts and pairs of the lines, those without a second text with that of --pair."""
    for place, (given, rest) in enumerate(lines.records(("text", "text_pair"), plain="text")):
        if second is not None and given.get("text_pair") is not None:
            raise InputError(f"{lines.name(place)} has a text_pair, so there is nothing for --pair to do")
        yield ({**given, "text_pair": second} if second is not None else given), rest


def _show(answers: list[dict[str, Any]]) -> None:
    table([[f"{answer['score']:.4f}", visible(answer["label"])] for answer in answers], right=[0])
