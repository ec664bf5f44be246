"""`lf-ref feature-extraction`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from ..command_line import command, complete_file, input_option
from ..errors import InputError
from .options import length_options, load, model_options, stride_option, text_options
from .output import answer_lines, path_to_write, print_json, stream_lines, writing
from .texts import TEXT, Lines, one_or_lines


@command("feature-extraction", short_help="Compute embeddings of a text.")
@click.argument("text", required=False)
@click.option(
    "--pooling",
    type=click.Choice(["none", "cls", "mean"]),
    default="mean",
    show_default=True,
    help="Return a vector for each token, that of the first token, or the mean over all tokens.",
)
@input_option(
    "--out",
    metavar="PATH",
    shell_complete=complete_file,
    help="Write arrays to a .npy file, or to a .npz file as arr_0, arr_1, ... for each text.",
)
@text_options
@length_options
@stride_option
@model_options
def feature_extraction(
    text: str | None,
    file: str | None,
    lines: str | None,
    as_json: bool,
    pooling: str,
    out: str | None,
    truncation: bool | None,
    max_length: int | None,
    stride: int | None,
    **source: Any,
) -> None:
    """Compute the embeddings of TEXT, as JSON or as a NumPy file.

    \b
    Examples:
      lf-ref feature-extraction --pooling cls "A text to compare with others."
      lf-ref feature-extraction --pooling none --out tokens.npy "A text to compare with others."
    """
    given = one_or_lines(text, file, lines)
    options = {"pooling": pooling, "truncation": truncation, "max_length": max_length, "stride": stride}
    if out is None:
        pipe = load("feature-extraction", source)
        if isinstance(given, Lines):
            answer_lines(pipe, given.records(TEXT), given, **options)
        else:
            print_json(pipe(given, **options))
        return
    if as_json:
        raise InputError("give either --json or --out, not both")
    path = _check_path(out, ragged=pooling == "none" and isinstance(given, Lines))
    pipe = load("feature-extraction", source)
    options["return_tensors"] = True
    if isinstance(given, Lines):
        texts = (text for text, _ in given.records(TEXT))
        found: Iterable[Any] = stream_lines(pipe, texts, given, **options)
        count = _write(path, found if pooling != "none" else (features[0] for features in found))
        summary = f"{count} texts"
    else:
        features = pipe(given, **options)
        features = features[0] if pooling == "none" else features
        _write(path, [features], alone=True)
        summary = f"{features.dtype} {features.shape}"
    if not source["quiet"]:
        click.echo(f"wrote {path}: {summary}", err=True)


def _check_path(out: str, ragged: bool) -> Path:
    """The file to write, checked before the work begins."""
    path = path_to_write(out, (".npy", ".npz"))
    if ragged and path.suffix == ".npy":
        raise InputError("with --pooling none, --lines needs --out NAME.npz, since texts differ in length")
    return path


def _write(path: Path, arrays: Iterable[Any], alone: bool = False) -> int:
    """Write arrays to `path` as they come; how many there were."""
    from .arrays import write_npy, write_npz

    with writing(path) as temporary, open(temporary, "wb") as file:
        return write_npz(file, arrays) if path.suffix == ".npz" else write_npy(file, arrays, alone)
