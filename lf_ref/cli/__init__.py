"""The `lf-ref` command. Its start imports neither NumPy nor Numba: each command loads what it needs when it runs."""

from __future__ import annotations

import click

from ..version import __version__
from .attention import attention
from .bench import bench
from .docs import docs
from .feature_extraction import feature_extraction
from .fill_mask import fill_mask
from .group import Commands
from .info import info
from .multiple_choice import multiple_choice
from .oracle import oracle
from .precision import precision
from .quantize import quantize
from .question_answering import question_answering
from .text_classification import text_classification
from .token_classification import token_classification
from .tokenize import tokenize
from .warmup import warmup
from .zero_shot_classification import zero_shot_classification

__all__ = ["main"]


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lf-ref")
@click.pass_context
def main(context: click.Context) -> None:
    """Longformer on a CPU, without torch.

    Texts come from the command line, from a file (--file), or one from each line of a file (--lines); "-" is standard
    input. Mistakes end in one line on standard error and exit code 2. Each command has a --help with an example.

    \b
    Example:
      lf-ref fill-mask "He opened the <mask> and went into the room."
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for _command in (
    fill_mask,
    feature_extraction,
    text_classification,
    zero_shot_classification,
    token_classification,
    question_answering,
    multiple_choice,
    tokenize,
    attention,
    quantize,
    precision,
    oracle,
    info,
    warmup,
    bench,
    docs,
):
    main.add_command(_command)
