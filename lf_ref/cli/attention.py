"""`lf-ref attention`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..command_line import Number, command, input_option
from ..errors import CheckpointError, InputError, PipelineException
from ..records.writing import path_to_write, writing
from .options import checkpoint_options, engine_options, file_option, length_options, load, tokenizer_option
from .texts import document

if TYPE_CHECKING:
    from ..pipelines import Options, Pipeline

_PICTURES, _PAGE = (".png", ".svg", ".pdf"), ".html"


def _numbers(nothing: str = "") -> Callable[[click.Context, click.Parameter, str | None], list[int] | None]:
    """A callback that reads whole numbers separated by commas; nothing: a word for an empty list."""

    def read(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
        if value is None or (nothing and value == nothing):
            return None if value is None else []
        try:
            return [int(number) for number in value.split(",")]
        except ValueError:
            wanted = "a list of whole numbers such as 0,2" + f", or {nothing}" * bool(nothing)
            raise click.BadParameter(f"{value!r} is not {wanted}", context, parameter) from None

    return read


@command("attention", short_help="Draw attention, or make a page to explore it.")
@click.argument("text", required=False)
@file_option()
@click.option("--layer", type=Number(min=0), help="Layer of a picture, from 0 (default: the last).")
@click.option("--head", type=Number(min=0), help="Head of a picture, from 0 (default: the mean of all heads).")
@click.option("--layers", metavar="N,N,...", callback=_numbers(), help="Layers of a page, from 0 (default: all).")
@click.option(
    "--heads",
    callback=_numbers("mean"),
    metavar="N,N,...|mean",
    help="Heads of a page, from 0, beside the mean of all heads, or this mean alone (default: all).",
)
@click.option(
    "--global",
    "positions",
    metavar="POSITION",
    type=int,
    multiple=True,
    help="Position of a token with global attention, from 0, or from -1 backwards; repeatable (default: 0, the <s>).",
)
@click.option("--no-global", is_flag=True, help="Use sliding-window attention alone, without global tokens.")
@input_option("--out", metavar="PATH", required=True, help="Write a picture (.png, .svg, .pdf) or a page (.html).")
@length_options
@checkpoint_options
@tokenizer_option
@engine_options
def attention(
    text: str | None,
    file: str | None,
    positions: tuple[int, ...],
    no_global: bool,
    out: str,
    truncation: bool | None,
    max_length: int | None,
    layer: int | None,
    head: int | None,
    layers: list[int] | None,
    heads: list[int] | None,
    **source: Any,
) -> None:
    """Draw the attention map of TEXT, or make a page to explore it.

    In a picture, a row stands for each query and a column for each key. Colours show the attention weights inside the
    sliding window, a band along the diagonal, and in the rows and columns of the global tokens, which are marked at the
    edge. `lf-ref tokenize` shows the positions of tokens. For a long text a cell of the picture covers several tokens.

    A page, one file for any browser, shows for each token of the text what it attends to, and what attends to it, in
    each layer and head; and the words that the model predicts for each <mask>, if it has the head for it.

    \b
    Examples:
      lf-ref attention --out map.png "The leaf moved towards the light."
      lf-ref attention --layer 0 --head 1 --global 0 --global 4 --out map.svg "The leaf moved towards the light."
      lf-ref attention --layers 0,3 --out explorer.html "The <mask> moved towards the light."
    """
    from ..pipelines import Options

    if positions and no_global:
        raise InputError("give either --global or --no-global, not both")
    given = document(text, file)
    path = path_to_write(out, (*_PICTURES, _PAGE))
    lengths = Options(truncation, max_length)
    globals_ = [] if no_global else list(positions) or [0]
    if path.suffix == _PAGE:
        if layer is not None or head is not None:
            raise InputError("--layer and --head are for pictures: --layers and --heads choose those of a page")
        title = _explore(given, path, lengths, globals_, layers, heads, source)
    else:
        if layers is not None or heads is not None:
            raise InputError("--layers and --heads are for pages (.html): --layer and --head choose those of a picture")
        title = _draw(given, path, lengths, globals_, -1 if layer is None else layer, head, source)
    if not source["quiet"]:
        click.echo(f"wrote {path}: {title}", err=True)


def _draw(
    text: str,
    path: Path,
    lengths: Options,
    positions: list[int],
    layer: int,
    head: int | None,
    source: dict[str, Any],
) -> str:
    """Draw the picture, and return its title."""
    from ..attention_map import attention_map, draw
    from ..bench.roofline import drawing

    drawing()  # before the work, which would be for nothing without it
    pipe = load("feature-extraction", source)
    ids = pipe.encode("the text", lengths, text).tolist()
    found = attention_map(pipe.model, ids, positions, layer, head)
    with writing(path) as temporary:
        draw(found, pipe.tokenizer.convert_ids_to_tokens(ids), temporary, path.suffix[1:])
    return found.title


def _explore(
    text: str,
    path: Path,
    lengths: Options,
    positions: list[int],
    layers: list[int] | None,
    heads: list[int] | None,
    source: dict[str, Any],
) -> str:
    """Write the page, and return its title."""
    from ..explorer import attention_explorer

    pipe = _loaded(source)
    found = attention_explorer(
        pipe.model,
        pipe.tokenizer,
        text,
        layers=layers,
        heads=heads,
        global_positions=positions,
        truncation=lengths.truncation,
        max_length=lengths.max_length,
    )
    with writing(path) as temporary:
        temporary.write_text(found.html, encoding="utf-8", newline="")
    return found.title


def _loaded(source: dict[str, Any]) -> Pipeline[Any]:
    """The masked LM of a checkpoint, which predicts words; its encoder, if it has no such head."""
    try:
        return load("fill-mask", source)
    except (CheckpointError, PipelineException):
        return load("feature-extraction", source)
