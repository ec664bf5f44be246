"""The `lf-ref` command."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from . import __version__
from .errors import InputError, LfRefError

Command = Callable[..., None]


class _Errors(click.Group):
    """Turn the errors that are raised on purpose into one line on standard error and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LfRefError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(2)


@click.group(cls=_Errors, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lf-ref")
def main() -> None:
    """Longformer on a CPU, without torch."""


def _model_options(command: Command) -> Command:
    """The options of every command that loads a model."""
    for option in (
        click.option("--num-threads", type=click.IntRange(min=1), help="Threads to compute with (default: all CPUs)."),
        click.option("--revision", help="Branch, tag or commit of the Hub repository."),
        click.option(
            "--model",
            metavar="FOLDER|REPO",
            help="Folder of a checkpoint, or repository id on the Hugging Face Hub (default: the bundled demo).",
        ),
    ):
        command = option(command)
    return command


@main.command("fill-mask")
@click.argument("text", required=False)
@click.option("--file", metavar="PATH|-", help="Read the text from a UTF-8 file, or from standard input.")
@click.option("--top-k", type=click.IntRange(min=1), default=5, show_default=True, help="Answers for each mask.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON with scores, token ids and whole sequences.")
@_model_options
def fill_mask(text: str | None, file: str | None, top_k: int, as_json: bool, **source: Any) -> None:
    """Name the words that fit where TEXT says <mask>.

    \b
    Example:
      lf-ref fill-mask "He opened the <mask> and went into the room."
    """
    from .pipelines import pipeline

    document = _document(text, file)
    answers = pipeline("fill-mask", **source)(document, top_k=top_k)
    if as_json:
        click.echo(json.dumps(answers, ensure_ascii=False, indent=2))
        return
    several = isinstance(answers[0], list)
    for number, choices in enumerate(answers if several else [answers], start=1):
        if several:
            click.echo(f"{'' if number == 1 else chr(10)}mask {number}")
        for answer in choices:
            click.echo(f"{answer['score']:7.4f}  {answer['token_str'].strip() or repr(answer['token_str'])}")


def _document(text: str | None, file: str | None) -> str:
    """The text of the command line or of the file; exactly one of the two is to be given."""
    if (text is None) == (file is None):
        raise InputError(
            "give either a text or --file PATH (- for standard input)" + ("" if text is None else ", not both")
        )
    if file is None:
        return str(text)
    name = "standard input" if file == "-" else file
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{name} is not UTF-8: byte {content[error.start]:#04x} at offset {error.start}") from error
