"""The `lf-ref` command. Its start imports neither NumPy nor Numba: each command loads what it needs when it runs."""

from __future__ import annotations

import click

from ..command_line import SETTINGS
from ..version import __version__
from .attention import attention
from .bench import bench
from .convert import convert
from .docs import docs
from .feature_extraction import embed, feature_extraction
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


@click.group(cls=Commands, invoke_without_command=True, context_settings=SETTINGS)
@click.version_option(__version__, prog_name="lf-ref")
@click.pass_context
def main(context: click.Context) -> None:
    """Longformer on a CPU, without torch.

    Give a text as an argument or as a file (--file); or many, one in each line of a file or row of CSV or Parquet
    (--lines), or one in each file (--files). "-" is standard input, which is also read if no text is given and it is
    not a terminal. Results are printed, or written to a file of JSON lines, CSV or Parquet (--out). Each command has a
    --help with an example.

    \b
    Example:
      lf-ref fill-mask "He opened the <mask> and went into the room."

    \b
    Exit codes:
      0    done
      1    not possible now: a download, the disk or the memory failed; or a comparison found a difference; or some
           inputs have an error in place of a result (--on-error record)
      2    the command, an argument or the input is wrong
      130  interrupted

    \b
    Shell completion of commands, options, folders and case names; put the line for your shell into its startup file:
      bash  eval "$(_LF_REF_COMPLETE=bash_source lf-ref)"
      zsh   eval "$(_LF_REF_COMPLETE=zsh_source lf-ref)"
      fish  _LF_REF_COMPLETE=fish_source lf-ref | source
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
    embed,
    tokenize,
    attention,
    convert,
    quantize,
    precision,
    oracle,
    info,
    warmup,
    bench,
    docs,
):
    main.add_command(_command)
