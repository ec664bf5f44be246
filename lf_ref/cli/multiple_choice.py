"""`lf-ref multiple-choice`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import COUNT, command
from ..errors import InputError
from ..records.columns import ANSWERS
from ..records.record import Fields
from .inputs import InputOutput, answer, input_options
from .options import length_options, load, model_options
from .output import table, visible
from .texts import argument, piped

_WAYS = (
    "give a question (or --file PATH) and at least one choice, or --lines PATH; before --files GLOB the choices alone"
)
_FIELDS = Fields(text="question", required=("question", "choices"), lists=("choices",))


@command("multiple-choice", short_help="Rank answers to a question.")
@click.argument("texts", metavar="[QUESTION] [CHOICE]...", nargs=-1)
@click.option("--top-k", type=COUNT, help="Number of choices, the best first (default: all).")
@input_options(_FIELDS, ANSWERS["multiple-choice"], "the question")
@length_options
@model_options
def multiple_choice(
    texts: tuple[str, ...],
    top_k: int | None,
    io: InputOutput,
    truncation: bool | None,
    max_length: int | None,
    **source: Any,
) -> None:
    """Rank the CHOICEs by how well they answer or continue QUESTION. With --file, --lines or --files all
    arguments are choices, the same for all questions; without them each line has its own.

    If nothing is given, standard input is read: the question on its first line, a choice on each further line.

    \b
    Example:
      lf-ref multiple-choice --model FOLDER "The sky is" "blue." "made of bread."
    """
    options = {"top_k": top_k, "truncation": truncation, "max_length": max_length}
    if io.is_one and io.file is None:
        first, *choices = texts or piped(_WAYS).splitlines()
    else:
        first, choices = None, [*texts]
    if not choices and io.lines is None:
        raise InputError(_WAYS)
    given = io.read(first, **({"choices": [argument(choice) for choice in choices]} if choices else {}))
    answer(load("multiple-choice", source), given, _show, **options)


def _show(answers: list[dict[str, Any]]) -> None:
    table([[f"{found['score']:.4f}", str(found["choice"]), visible(found["text"])] for found in answers], right=[1])
