"""`lf-ref attention`."""

from __future__ import annotations

from typing import Any

import click

from ..errors import InputError
from .options import checkpoint_options, engine_options, length_options, load, tokenizer_option
from .output import path_to_write, writing
from .texts import document

_FORMATS = (".png", ".svg", ".pdf")


@click.command("attention", short_help="Draw which tokens attend to which.")
@click.argument("text", required=False)
@click.option("--file", metavar="PATH|-", help="Read the text from a UTF-8 file, or from standard input.")
@click.option("--layer", type=click.IntRange(min=0), help="Counted from 0 (default: the last).")
@click.option("--head", type=click.IntRange(min=0), help="Counted from 0 (default: the mean of all heads).")
@click.option(
    "--global",
    "positions",
    metavar="POSITION",
    type=int,
    multiple=True,
    help="Give the token there global attention: from 0, or from -1 at the end; may be repeated (default: 0, the <s>).",
)
@click.option("--no-global", is_flag=True, help="Give no token global attention: the sliding window alone.")
@click.option("--out", metavar="PATH", required=True, help="The picture: a .png, .svg or .pdf file.")
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
    """Draw how much each token of TEXT attends to each other one: a row for each query, a column for each key.

    Only what attention can reach is coloured: the sliding window, a band along the diagonal, and the rows and columns
    of the global tokens, which are marked at the edge. `lf-ref tokenize` tells positions. In the picture of a long text
    a cell stands for several tokens.

    \b
    Examples:
      lf-ref attention --out map.png "The leaf moved towards the light."
      lf-ref attention --layer 0 --head 1 --global 0 --global 4 --out map.svg "The leaf moved towards the light."
    """
    from ..bench.roofline import drawing
    from ..pipelines.options import Options
    from .attention_map import draw, measure

    if positions and no_global:
        raise InputError("give either --global or --no-global, not both")
    given = document(text, file)
    path = path_to_write(out, _FORMATS)
    drawing()  # before the work, which would be for nothing without it
    pipe = load("feature-extraction", source)
    config = pipe.model.config
    layer = _number("layer", layer, config.num_hidden_layers, config.num_hidden_layers - 1)
    head = _number("head", head, config.num_attention_heads, None)
    ids = pipe.encode("the text", Options(truncation, max_length), given).tolist()
    found = measure(pipe.model, ids, [] if no_global else list(positions) or [0], layer, head)
    with writing(path) as temporary:
        draw(found, pipe.tokenizer.convert_ids_to_tokens(ids), temporary, path.suffix[1:])
    if not source["quiet"]:
        click.echo(f"wrote {path}: {found.title}", err=True)


def _number(what: str, given: int | None, count: int, default: Any) -> Any:
    """The layer or head that was asked for."""
    if given is not None and given >= count:
        raise InputError(f"--{what} {given} is not there: this model has {count}, counted from 0 to {count - 1}")
    return default if given is None else given
