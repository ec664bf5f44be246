"""`lf-ref feature-extraction`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from ..command_line import command
from ..errors import InputError
from ..records.columns import Answers, Vectors
from .inputs import TEXTS, InputOutput, answer, input_options
from .options import length_options, load, model_options
from .output import print_json


@command("feature-extraction", short_help="Compute embeddings of a text.")
@click.argument("text", required=False)
@click.option(
    "--pooling",
    type=click.Choice(["none", "cls", "mean"]),
    default="mean",
    show_default=True,
    help="Return a vector for each token, that of the first token, or the mean over all tokens.",
)
@input_options(TEXTS, arrays=True)
@length_options
@model_options
def feature_extraction(
    text: str | None,
    io: InputOutput,
    pooling: str,
    truncation: bool | None,
    max_length: int | None,
    **source: Any,
) -> None:
    """Compute the embeddings of TEXT, as JSON, or as a file of NumPy, Parquet or CSV.

    \b
    Examples:
      lf-ref feature-extraction --pooling cls "A text to compare with others."
      lf-ref feature-extraction --pooling none --out tokens.npy "A text to compare with others."
    """
    given = io.read(text)
    if given.out is not None and given.out.suffix == ".npy" and given.many and pooling == "none":
        raise InputError("with --pooling none, --lines and --files need --out NAME.npz, since texts differ in length")
    options = {"pooling": pooling, "truncation": truncation, "max_length": max_length, "return_tensors": True}
    pipe = load("feature-extraction", source)
    columns = Answers(Vectors(pipe.model.config.hidden_size, per_token=pooling == "none"))
    given = replace(given, answers=columns, as_json=False)  # on one line with --json too
    answer(pipe, given, print_json, **options)
