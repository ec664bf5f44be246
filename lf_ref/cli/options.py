"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ..pipelines import Pipeline

Command = TypeVar("Command", bound=Callable[..., Any])

DTYPES = ["float32", "float64", "bfloat16", "int8"]

_COUNT = click.IntRange(min=1)


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator; they show in this order in the help."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def checkpoint_options_or(default: str) -> Callable[[Command], Command]:
    """Where weights come from; without --model from what `default` calls."""
    return _together(
        click.option(
            "--model",
            metavar="FOLDER|REPO",
            help=f"Folder of a checkpoint, or repository id on the Hugging Face Hub (default: {default}).",
        ),
        click.option("--revision", help="Branch, tag or commit of the Hub repository."),
        click.option(
            "--token", help="The Hub's token, for private repositories (default: $HF_TOKEN, or that of the login)."
        ),
        click.option("--cache-dir", metavar="FOLDER", help="Where downloads are kept (default: the Hub's own cache)."),
        click.option("--local-files-only", is_flag=True, help="Never ask the Hub; use what is here."),
        click.option("--quiet", is_flag=True, help="No progress bars."),
    )


checkpoint_options = checkpoint_options_or("the bundled demo")

tokenizer_option = click.option(
    "--tokenizer", metavar="FOLDER|REPO", help="Where the tokenizer comes from (default: the checkpoint's own)."
)

engine_options = _together(
    click.option("--num-threads", type=_COUNT, help="Threads to compute with (default: all CPUs)."),
    click.option(
        "--dtype",
        type=click.Choice(DTYPES),
        help="Of the weights and the computation (default: int8 for what `lf-ref quantize` made, else float32).",
    ),
    click.option(
        "--backend",
        type=click.Choice(["numba", "numpy"]),
        default="numba",
        show_default=True,
        help="The fast kernels, or the definition in plain NumPy.",
    ),
)

model_options = _together(
    checkpoint_options,
    tokenizer_option,
    engine_options,
    click.option(
        "--batch-tokens",
        type=_COUNT,
        default=4096,
        show_default=True,
        help="Tokens to run at once, padding included; lines of about the same length go together.",
    ),
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print all of the result, as JSON.")


def input_options(lines: str, what: str = "the text") -> Callable[[Command], Command]:
    """Where the input comes from, if not from the command line, and JSON in place of lines for people.

    lines: what stands on each line of the file that --lines names; what: what the file holds that --file names.
    """
    return _together(
        click.option("--file", metavar="PATH|-", help=f"Read {what} from a UTF-8 file, or from standard input."),
        click.option(
            "--lines",
            metavar="PATH|-",
            help=f"Read {lines} from each line, and print one line of JSON for each. What else an object holds, an "
            '"id" say, is printed with its answer, which then is under "result".',
        ),
        json_option,
    )


PAIRS = 'one text, or {"text": ..., "text_pair": ...},'
text_options = input_options('one text, or {"text": ...},')

length_options = _together(
    click.option(
        "--truncation",
        is_flag=True,
        default=None,
        help="Cut off the end of a text that is too long, or its beginning where the tokenizer's settings say so.",
    ),
    click.option(
        "--max-length", type=_COUNT, help="Cut off what is beyond so many tokens (default: as tokenizer and model say)."
    ),
)


def quietly(quiet: bool) -> AbstractContextManager[None]:
    """A block without progress bars of downloads, if that is what is wanted."""
    from ..files import quiet_downloads

    return quiet_downloads() if quiet else nullcontext()


def load(task: str, source: dict[str, Any]) -> Pipeline[Any]:
    """The pipeline of a task, from what `model_options` gave."""
    from ..pipelines import pipeline

    with quietly(source["quiet"]):
        return pipeline(task, **source)
