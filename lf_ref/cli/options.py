"""The options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..command_line import (
    COUNT,
    Number,
    complete_file,
    complete_folder,
    input_option,
    model_option,
    other_option,
    performance_option,
)

if TYPE_CHECKING:
    from ..pipelines import Pipeline

Command = TypeVar("Command", bound=Callable[..., Any])

AGGREGATIONS = ["mean", "max"]
DTYPES = ["float32", "float64", "bfloat16", "int8"]


def together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several options as one decorator; they show in this order in the help."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


# Where the files of a checkpoint come from, whatever names it.
source_options = together(
    model_option("--revision", help="Branch, tag or commit of the Hub repository."),
    model_option("--token", help="Access token of the Hub (default: $HF_TOKEN, or that of the login)."),
    model_option(
        "--cache-dir",
        metavar="FOLDER",
        shell_complete=complete_folder,
        help="Folder of downloads (default: the cache of the Hub).",
    ),
    model_option("--local-files-only", is_flag=True, help="Use local files only; send no request to the Hub."),
    other_option("--quiet", is_flag=True, help="Print no progress."),
)


def checkpoint_options_or(default: str) -> Callable[[Command], Command]:
    """Options for the source of the weights; default: its description without --model."""
    return together(
        model_option(
            "--model",
            metavar="FOLDER|REPO",
            shell_complete=complete_folder,
            help=f"Folder of a checkpoint, or repository id on the Hugging Face Hub (default: {default}).",
        ),
        source_options,
    )


checkpoint_options = checkpoint_options_or("the bundled demo")

tokenizer_option = model_option(
    "--tokenizer",
    metavar="FOLDER|REPO",
    shell_complete=complete_folder,
    help="Take the tokenizer from another checkpoint (default: that of the model).",
)

threads_option = performance_option(
    "--num-threads",
    type=COUNT,
    help="Number of threads (default: all CPUs, up to the container's CPU quota and $OMP_NUM_THREADS).",
)

engine_options = together(
    threads_option,
    performance_option(
        "--dtype",
        type=click.Choice(DTYPES),
        help="Precision of weights and computation (default: int8 for a quantized checkpoint, else float32).",
    ),
    performance_option(
        "--backend",
        type=click.Choice(["numba", "numpy"]),
        default="numba",
        show_default=True,
        help="Run the fast kernels, or the reference implementation in plain NumPy.",
    ),
)

model_options = together(
    checkpoint_options,
    tokenizer_option,
    engine_options,
    performance_option(
        "--batch-tokens",
        type=COUNT,
        default=4096,
        show_default=True,
        help="Tokens of a batch, padding included; texts of similar length are batched together.",
    ),
)

json_option = input_option("--json", "as_json", is_flag=True, help="Print the whole result as JSON.")


def file_option(what: str = "the text") -> Callable[[Command], Command]:
    """The option for a file to read; what: its content."""
    option: Callable[[Command], Command] = input_option(
        "--file",
        metavar="PATH|-",
        shell_complete=complete_file,
        help=f"Read {what} from a UTF-8 file, or from standard input (-).",
    )
    return option


length_options = together(
    input_option(
        "--truncation",
        is_flag=True,
        default=None,
        help="Truncate a text that is too long, at the end, or as the tokenizer's settings choose.",
    ),
    input_option(
        "--max-length", type=COUNT, help="Truncate texts to N tokens (default: the limit of tokenizer and model)."
    ),
)

stride_option = input_option(
    "--stride",
    type=Number(min=0),
    help="Read a text that is too long in windows of --max-length tokens that overlap by N; nothing is truncated.",
)

aggregation_option = click.option(
    "--aggregation",
    type=click.Choice(AGGREGATIONS),
    default="mean",
    show_default=True,
    help="With --stride: mean of the windows' logits, weighted by the tokens that each adds, or the largest.",
)


def quietly(quiet: bool) -> AbstractContextManager[None]:
    """A context without progress bars of downloads, if `quiet`."""
    from ..files import quiet_downloads

    return quiet_downloads() if quiet else nullcontext()


@contextmanager
def writing(out: str) -> Iterator[None]:
    """A context that reports an error of the operating system as one of the folder OUT."""
    from ..errors import InputError, LfRefError

    try:
        yield
    except LfRefError:
        raise
    except OSError as error:
        raise InputError(f"OUT {out} cannot be written: {error.strerror or error}") from error


def load(task: str, source: dict[str, Any]) -> Pipeline[Any]:
    """The pipeline of a task, from the values of `model_options`."""
    from ..pipelines import pipeline

    with quietly(source["quiet"]):
        return pipeline(task, **source)
