"""`lf-ref multiple-choice`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import COUNT, command
from ..errors import InputError
from .options import input_options, length_options, load, model_options
from .output import answer, answer_lines, table, visible
from .texts import Lines, argument, document, piped

_WAYS = "give a question (or --file PATH) and at least one choice, or --lines PATH"


@command("multiple-choice", short_help="Rank answers to a question.")
@click.argument("texts", metavar="[QUESTION] [CHOICE]...", nargs=-1)
@click.option("--top-k", type=COUNT, help="Number of choices, the best first (default: all).")
@input_options('{"question": ..., "choices": [...]}', "the question")
@length_options
@model_options
def multiple_choice(
    texts: tuple[str, ...],
    top_k: int | None,
    file: str | None,
    lines: str | None,
    as_json: bool,
    truncation: bool | None,
    max_length: int | None,
    **source: Any,
) -> None:
    """Rank the CHOICEs by how well they answer or continue QUESTION. With --file all arguments are choices.

    If nothing is given, standard input is read: the question on its first line, a choice on each further line.

    \b
    Example:
      lf-ref multiple-choice --model FOLDER "The sky is" "blue." "made of bread."
    """
    options = {"top_k": top_k, "truncation": truncation, "max_length": max_length}
    if lines is not None:
        if texts or file is not None:
            raise InputError("--lines has the questions and choices in it: give neither as an argument, nor --file")
        given = Lines(lines)
        answer_lines(load("multiple-choice", source), given.records("question", "choices"), given, **options)
        return
    if not texts and file is None:
        texts = tuple(piped(_WAYS).splitlines())
    first, choices = (None, texts) if file is not None else (texts[0], texts[1:])
    if not choices:
        raise InputError(_WAYS)
    item = {"question": document(first, file, "the question"), "choices": [argument(choice) for choice in choices]}
    answer(load("multiple-choice", source), item, as_json, _show, **options)


def _show(answers: list[dict[str, Any]]) -> None:
    table([[f"{found['score']:.4f}", str(found["choice"]), visible(found["text"])] for found in answers], right=[1])
