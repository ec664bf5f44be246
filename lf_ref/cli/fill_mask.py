"""`lf-ref fill-mask`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import COUNT, command
from .inputs import TEXTS, InputOutput, answer, input_options
from .options import length_options, load, model_options
from .output import echo, table, visible


@command("fill-mask", short_help="Predict the masked words of a text.")
@click.argument("text", required=False)
@click.option("--top-k", type=COUNT, default=5, show_default=True, help="Number of answers for each mask.")
@click.option("--target", "targets", multiple=True, help="Score only this word; repeatable.")
@input_options(TEXTS)
@length_options
@model_options
def fill_mask(
    text: str | None,
    io: InputOutput,
    top_k: int,
    targets: tuple[str, ...],
    truncation: bool | None,
    max_length: int | None,
    **source: Any,
) -> None:
    """Predict the words of TEXT that <mask> stands for.

    \b
    Examples:
      lf-ref fill-mask "He opened the <mask> and went into the room."
      lf-ref fill-mask --target " door" --target " book" "He opened the <mask>."
    """
    given = io.read(text)
    options = {
        "top_k": top_k,
        "targets": list(targets) or None,
        "truncation": truncation,
        "max_length": max_length,
    }
    pipe = load("fill-mask", source)
    answer(pipe, given, _show, **options)


def _show(answers: Any) -> None:
    several = isinstance(answers[0], list)
    for number, choices in enumerate(answers if several else [answers], start=1):
        if several:
            echo(f"{'' if number == 1 else chr(10)}mask {number}")
        table([[f"{answer['score']:.4f}", _word(answer["token_str"])] for answer in choices])


def _word(token: str) -> str:
    """The word without its leading space; white space alone in quotation marks."""
    word = token.strip()
    return visible(word) if word else repr(token)
