"""`lf-ref feature-extraction` and `lf-ref embed`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from ..command_line import command
from ..errors import InputError
from ..records.columns import Answers, Vectors
from .inputs import TEXTS, InputOutput, answer, input_options
from .options import length_options, load, model_options, quietly, stride_option, together
from .output import print_json

_OPTIONS = (
    "pooling",
    "prompt",
    "prompt_name",
    "normalize",
    "strip",
    "global_attention",
    "truncation",
    "max_length",
    "stride",
)
_POOLINGS = ["none", "cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
_shared_options = together(
    click.option("--prompt", help="Put this text before each text."),
    click.option("--prompt-name", help="Put the prompt of this name in the checkpoint before each text."),
    click.option("--normalize", is_flag=True, help="Divide each vector by its Euclidean norm."),
    click.option("--strip", is_flag=True, help="Remove white space from both ends of a text."),
    click.option(
        "--global-attention",
        type=click.Choice(["none", "first_token", "all_tokens"]),
        default="none",
        show_default=True,
        help="The tokens of a text with global attention.",
    ),
    input_options(TEXTS, arrays=True),
    length_options,
    stride_option,
    model_options,
)


@command("embed", short_help="Compute one vector of a text.")
@click.argument("text", required=False)
@click.option(
    "--pooling",
    type=click.Choice(_POOLINGS[1:]),
    help="Pool the vectors of the tokens (default: by the modules of the checkpoint, else mean).",
)
@_shared_options
def embed(text: str | None, io: InputOutput, **options: Any) -> None:
    """Compute one vector of TEXT, as JSON, or as a file of NumPy, Parquet or CSV.

    A checkpoint of sentence-transformers is used with its modules and prompts. Texts that are too long are truncated,
    unless --stride is given.

    \b
    Examples:
      lf-ref embed "A text to compare with others."
      lf-ref embed --normalize "A text to compare with others." --out vector.npy
    """
    _run(_load_encoder, io, text, **options)


@command("feature-extraction", short_help="Compute embeddings of a text.")
@click.argument("text", required=False)
@click.option(
    "--pooling",
    type=click.Choice(_POOLINGS),
    help="Return a vector for each token (none), or pool these (default: by the modules of a sentence-transformers "
    "checkpoint, else mean).",
)
@_shared_options
def feature_extraction(text: str | None, io: InputOutput, **options: Any) -> None:
    """Compute the embeddings of TEXT, as JSON, or as a file of NumPy, Parquet or CSV.

    \b
    Examples:
      lf-ref feature-extraction --pooling cls "A text to compare with others."
      lf-ref feature-extraction --pooling none --out tokens.npy "A text to compare with others."
    """
    _run(_load, io, text, **options)


def _load(source: dict[str, Any]) -> Any:
    """The pipeline, which pools by mean if the checkpoint has no modules."""
    pipe: Any = load("feature-extraction", source)
    if pipe.modules is None:
        pipe.defaults["pooling"] = "mean"
    return pipe


def _load_encoder(source: dict[str, Any]) -> Any:
    """The pipeline of a `SentenceEncoder`."""
    from ..embeddings.encoder import SentenceEncoder

    with quietly(source["quiet"]):
        return SentenceEncoder.from_pretrained(source.pop("model"), **source).pipeline


def _run(load_pipe: Callable[[dict[str, Any]], Any], io: InputOutput, text: str | None, **arguments: Any) -> None:
    """Run the command; arguments: the options of the task, and what loads the model."""
    options = {name: arguments.pop(name) for name in _OPTIONS}
    by_token, given = options["pooling"] == "none", io.read(text)
    if given.out is not None and given.out.suffix == ".npy" and given.many and by_token:
        raise InputError("with --pooling none, --lines and --files need --out NAME.npz, since texts differ in length")
    pipe = load_pipe(arguments)
    columns = Answers(Vectors(pipe.dimension(options["pooling"]), per_token=by_token))
    given = replace(given, answers=columns, as_json=False)  # on one line with --json too
    answer(pipe, given, print_json, return_tensors=True, **options)
