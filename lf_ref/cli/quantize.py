"""`lf-ref quantize`."""

from __future__ import annotations

from typing import Any

import click

from .options import quietly


@click.command("quantize", short_help="Write a checkpoint with weights of 8 bits.")
@click.argument("source", metavar="FOLDER|REPO|demo")
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False))
@click.option("--revision", help="Branch, tag or commit of the Hub repository.")
@click.option("--token", help="The Hub's token, for private repositories (default: $HF_TOKEN, or that of the login).")
@click.option("--cache-dir", metavar="FOLDER", help="Where downloads are kept (default: the Hub's own cache).")
@click.option("--local-files-only", is_flag=True, help="Never ask the Hub; use what is here.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def quantize(source: str, out: str, quiet: bool, **where: Any) -> None:
    """Write into the folder OUT a checkpoint with a quarter of the weights' bytes, and the tokenizer.

    Weights of linear maps and word embeddings become integers from -127 to 127 with a scale for each row;
    from_pretrained and every command take the folder. `lf-ref precision` tells the errors that this makes.

    \b
    Example:
      lf-ref quantize demo demo-int8
    """
    from pathlib import Path

    from ..checkpoint import quantize as write
    from ..errors import InputError
    from ..files import locate

    with quietly(quiet):
        place = locate(source, **where)
        try:
            write(place, out)
        except OSError as error:
            raise InputError(f"OUT {out} cannot be written: {error.strerror or error}") from error
    if not quiet:
        size = sum(path.stat().st_size for path in Path(out).glob("*.safetensors"))
        click.echo(f"wrote {out}: {size / 1e6:.1f} MB of weights", err=True)
