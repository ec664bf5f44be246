"""`lf-ref attention`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import Number, command, input_option
from ..errors import InputError
from ..records.writing import path_to_write, writing
from .options import checkpoint_options, engine_options, file_option, length_options, load, tokenizer_option
from .texts import document

_FORMATS = (".png", ".svg", ".pdf")


@command("attention", short_help="Draw an attention map.")
@click.argument("text", required=False)
@file_option()
@click.option("--layer", type=Number(min=0), help="Layer, from 0 (default: the last).")
@click.option("--head", type=Number(min=0), help="Head, from 0 (default: the mean of all heads).")
@click.option(
    "--global",
    "positions",
    metavar="POSITION",
    type=int,
    multiple=True,
    help="Position of a token with global attention, from 0, or from -1 backwards; repeatable (default: 0, the <s>).",
)
@click.option("--no-global", is_flag=True, help="Use sliding-window attention alone, without global tokens.")
@input_option("--out", metavar="PATH", required=True, help="Write the picture to a .png, .svg or .pdf file.")
@length_options
@checkpoint_options
@tokenizer_option
@engine_options
def attention(
    text: str | None,
    file: str | None,
    layer: int | None,
    head: int | None,
    positions: tuple[int, ...],
    no_global: bool,
    out: str,
    truncation: bool | None,
    max_length: int | None,
    **source: Any,
) -> None:
    """Draw the attention map of TEXT: a row for each query, a column for each key.

    Colours show the attention weights inside the sliding window, a band along the diagonal, and in the rows and columns
    of the global tokens, which are marked at the edge. `lf-ref tokenize` shows the positions of tokens. For a long text
    a cell of the picture covers several tokens.

    \b
    Examples:
      lf-ref attention --out map.png "The leaf moved towards the light."
      lf-ref attention --layer 0 --head 1 --global 0 --global 4 --out map.svg "The leaf moved towards the light."
    """
    from ..attention_map import attention_map, draw
    from ..bench.roofline import drawing
    from ..pipelines.options import Options

    if positions and no_global:
        raise InputError("give either --global or --no-global, not both")
    given = document(text, file)
    path = path_to_write(out, _FORMATS)
    drawing()  # before the work, which would be for nothing without it
    pipe = load("feature-extraction", source)
    ids = pipe.encode("the text", Options(truncation, max_length), given).tolist()
    globals_ = [] if no_global else list(positions) or [0]
    found = attention_map(pipe.model, ids, globals_, -1 if layer is None else layer, head)
    with writing(path) as temporary:
        draw(found, pipe.tokenizer.convert_ids_to_tokens(ids), temporary, path.suffix[1:])
    if not source["quiet"]:
        click.echo(f"wrote {path}: {found.title}", err=True)
