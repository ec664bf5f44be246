"""`lf-ref embed` and `lf-ref feature-extraction`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from ..command_line import command, complete_file, input_option
from ..errors import InputError
from .options import length_options, load, model_options, quietly, text_options, together
from .output import answer_lines, path_to_write, print_json, stream_lines, writing
from .texts import TEXT, Lines, one_or_lines

_OPTIONS = (
    "pooling",
    "prompt",
    "prompt_name",
    "normalize",
    "strip",
    "global_attention",
    "truncation",
    "max_length",
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
    input_option(
        "--out",
        metavar="PATH",
        shell_complete=complete_file,
        help="Write arrays to a .npy file, or to a .npz file as arr_0, arr_1, ... for each text.",
    ),
    text_options,
    length_options,
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
def embed(text: str | None, file: str | None, lines: str | None, as_json: bool, **options: Any) -> None:
    """Compute one vector of TEXT, as JSON or as a NumPy file.

    A checkpoint of sentence-transformers is used with its modules and prompts. Texts that are too long are truncated.

    \b
    Examples:
      lf-ref embed "A text to compare with others."
      lf-ref embed --normalize "A text to compare with others." --out vector.npy
    """
    _run(_load_encoder, one_or_lines(text, file, lines), as_json, **options)


@command("feature-extraction", short_help="Compute embeddings of a text.")
@click.argument("text", required=False)
@click.option(
    "--pooling",
    type=click.Choice(_POOLINGS),
    help="Return a vector for each token (none), or pool these (default: by the modules of a sentence-transformers "
    "checkpoint, else mean).",
)
@_shared_options
def feature_extraction(text: str | None, file: str | None, lines: str | None, as_json: bool, **options: Any) -> None:
    """Compute the embeddings of TEXT, as JSON or as a NumPy file.

    \b
    Examples:
      lf-ref feature-extraction --pooling cls "A text to compare with others."
      lf-ref feature-extraction --pooling none --out tokens.npy "A text to compare with others."
    """
    _run(_load, one_or_lines(text, file, lines), as_json, **options)


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


def _run(
    load_pipe: Callable[[dict[str, Any]], Any], given: str | Lines, as_json: bool, out: str | None, **arguments: Any
) -> None:
    """Run the command; arguments: the options of the task, and what loads the model."""
    options = {name: arguments.pop(name) for name in _OPTIONS}
    if out is None:
        pipe = load_pipe(arguments)
        if isinstance(given, Lines):
            answer_lines(pipe, given.records(TEXT), given, **options)
        else:
            print_json(pipe(given, **options))
        return
    if as_json:
        raise InputError("give either --json or --out, not both")
    by_token = options["pooling"] == "none"
    path, quiet = _check_path(out, ragged=by_token and isinstance(given, Lines)), arguments["quiet"]
    pipe = load_pipe(arguments)
    options["return_tensors"] = True
    if isinstance(given, Lines):
        texts = (text for text, _ in given.records(TEXT))
        found: Iterable[Any] = stream_lines(pipe, texts, given, **options)
        count = _write(path, (features[0] for features in found) if by_token else found)
        summary = f"{count} texts"
    else:
        features = pipe(given, **options)
        features = features[0] if by_token else features
        _write(path, [features], alone=True)
        summary = f"{features.dtype} {features.shape}"
    if not quiet:
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
