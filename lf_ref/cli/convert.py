"""`lf-ref convert`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..command_line import COUNT, Number, command, complete_folder
from .options import quietly, source_options, writing

if TYPE_CHECKING:
    from ..conversion import Conversion


@command("convert", short_help="Make a Longformer of a RoBERTa, or lengthen one.")
@click.argument("source", metavar="FOLDER|REPO|demo", shell_complete=complete_folder)
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False))
@click.option("--max-tokens", type=COUNT, help="Longest text, in tokens (default: 4096, or that of SOURCE if longer).")
@click.option(
    "--window", type=Number(min=2), help="Attention window, both sides together (default: 512, or those of SOURCE)."
)
@click.option("--shorten", is_flag=True, help="Let --max-tokens be less than that of SOURCE.")
@click.option("--without-tokenizer", is_flag=True, help="Leave the tokenizer out.")
@click.option("--only-format", is_flag=True, help="Write the weights as safetensors, and change nothing else.")
@source_options
def convert(source: str, out: str, only_format: bool, without_tokenizer: bool, quiet: bool, **options: Any) -> None:
    """Make a Longformer of a RoBERTa, XLM-RoBERTa or CamemBERT, or a Longformer for longer texts, in the folder OUT.

    Global attention starts as a copy of local attention, and the position embeddings are repeated in blocks. Labels,
    heads and dtype stay. from_pretrained, HF transformers and every command load the folder.

    The modules of a sentence-transformers checkpoint are copied with it.

    \b
    Examples:
      lf-ref convert demo demo-8192 --max-tokens 8192
      lf-ref convert demo demo-safe --only-format
    """
    from ..conversion import convert as lengthen
    from ..conversion import to_safetensors
    from ..errors import InputError

    changes = {name: options.pop(name) for name in ("max_tokens", "window", "shorten")}
    if only_format and any(changes.values()):
        raise InputError("only_format=True changes nothing but the format: leave out max_tokens=, window= and shorten=")
    with quietly(quiet), writing(out):
        if only_format:
            to_safetensors(source, out, without_tokenizer=without_tokenizer, **options)
            told = "the same weights as safetensors"
        else:
            told = _told(lengthen(source, out, without_tokenizer=without_tokenizer, **changes, **options))
    if not quiet:
        click.echo(f"wrote {out}: {told}", err=True)


def _told(made: Conversion) -> str:
    """What holds of a conversion, and what does not."""
    config, most = made.config, made.equal_tokens
    windows = sorted(set(config.windows))
    wide = f"{windows[0]}" if len(windows) == 1 else f"{windows[0]} to {windows[-1]}"
    kept = f"Texts of up to {most} tokens give what SOURCE gives"
    if most < min(made.source_tokens, config.max_tokens):
        kept += ", longer ones do not: their tokens do not see all others"
    return (
        f"texts of up to {config.max_tokens} tokens (SOURCE: {made.source_tokens}), attention windows of {wide}. "
        f"{kept}. Global attention and long texts want further training, which lf-ref does not do."
    )
