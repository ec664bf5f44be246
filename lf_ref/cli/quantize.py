"""`lf-ref quantize`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import command, complete_folder
from .options import quietly, source_options, writing


@command("quantize", short_help="Quantize a checkpoint to int8.")
@click.argument("source", metavar="FOLDER|REPO|demo", shell_complete=complete_folder)
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False))
@source_options
def quantize(source: str, out: str, quiet: bool, **where: Any) -> None:
    """Quantize a checkpoint to int8, and write it with its tokenizer into the folder OUT.

    Linear layers and word embeddings are stored as int8, with a scale for each row, in a quarter of the bytes.
    from_pretrained and every command load the folder. `lf-ref precision` measures the quantization errors.

    The modules of a sentence-transformers checkpoint are copied with it.

    \b
    Example:
      lf-ref quantize demo demo-int8
    """
    from ..checkpoint import quantize as write
    from ..embeddings.copying import copy_modules, encoder_of

    with quietly(quiet), writing(out):
        encoder, folder, modules = encoder_of(source, out, where)
        write(encoder, folder)
        copy_modules(modules, out)
    if not quiet:
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
        click.echo(f"wrote {out}: {size / 1e6:.1f} MB of weights", err=True)
