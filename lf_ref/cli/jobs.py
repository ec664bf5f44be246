"""`lf-ref map`: a command for each task, with the options of the command of its name."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from ..command_line import (
    COUNT,
    IMPOSSIBLE,
    INPUT,
    MODEL,
    OTHER,
    PERFORMANCE,
    Command,
    ManyOption,
    complete_file,
    complete_folder,
    input_option,
    one_line,
    performance_option,
)
from ..records.record import FIELDS, Fields
from .feature_extraction import embed, feature_extraction
from .fill_mask import fill_mask
from .group import Commands
from .multiple_choice import multiple_choice
from .options import (
    batch_option,
    checkpoint_options,
    engine_options,
    json_option,
    quietly,
    together,
    tokenizer_option,
)
from .output import print_json, table
from .question_answering import question_answering
from .text_classification import text_classification
from .token_classification import token_classification
from .zero_shot_classification import zero_shot_classification

# Options of the commands for other inputs and results than those of a job.
_NOT_OF_JOBS = ("file", "lines", "files", "text_field", "out", "on_error", "as_json", "pair")


class _Shard(click.ParamType):  # type: ignore[type-arg]  # generic for type checkers alone
    """One of several runs, I/N."""

    name = "I/N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """The two numbers."""
        index, _, count = str(value).partition("/")
        if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
            self.fail(f"{value!r} is not I/N, the I-th of N runs, I from 0 to N - 1.", param, ctx)
        return int(index), int(count)


_job_options = together(
    click.option(
        "--input",
        "inputs",
        cls=ManyOption,
        section=INPUT,
        required=True,
        metavar="GLOB|DIR...",
        shell_complete=complete_file,
        help="Read the rows of .parquet files and of files of JSON lines, .jsonl or .ndjson.",
    ),
    input_option(
        "--output",
        required=True,
        metavar="DIR|URI",
        shell_complete=complete_folder,
        help="Folder of the parts, or its URI on a filesystem that pyarrow knows, such as s3://bucket/folder.",
    ),
    input_option(
        "--text-field",
        multiple=True,
        metavar="NAME|FIELD=NAME",
        help="Name of the field of the text, or FIELD=NAME for another field of the task. Repeatable.",
    ),
    input_option("--keep", multiple=True, metavar="NAME", help="Field to keep beside the result. Repeatable."),
    input_option(
        "--rows-per-part", type=COUNT, default=1000, show_default=True, help="Rows of a file that make a part at most."
    ),
    input_option("--resume", is_flag=True, help="Go on with the job that is in the output, if there is one."),
    input_option(
        "--shard", type=_Shard(), help="Do every N-th part, from the I-th on, as one of N runs on one output."
    ),
    json_option,
    performance_option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Run on processes of this machine, or on a Ray cluster.",
    ),
    performance_option("--address", help="Address of the Ray cluster (default: a new one on this machine)."),
    performance_option("--workers", type=COUNT, default=1, show_default=True, help="Number of processes."),
    checkpoint_options,
    tokenizer_option,
    engine_options,
    batch_option(2048),  # as for `run`
)


@click.group("map", cls=Commands, invoke_without_command=True, short_help="Run a task on many files, as a job.")
@click.pass_context
def map_(context: click.Context) -> None:
    """Run a task on all rows of many files. The results are written in parts, and a job that ended goes on with
    --resume. The options of a task are those of the command of its name, with the defaults of its pipeline.

    \b
    Example:
      lf-ref map embed --help
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def _task_options(command: click.Command) -> list[click.Option]:
    """The options of a task, without defaults: those of the pipeline hold."""
    found = []
    for option in command.params:
        section = getattr(option, "section", "")
        is_of_task = section not in (MODEL, PERFORMANCE, OTHER) and option.name not in _NOT_OF_JOBS
        if isinstance(option, click.Option) and is_of_task:
            own = copy.copy(option)
            own.default, own.show_default = None, False
            found.append(own)
    return found


def _add(command: click.Command, more: str) -> None:
    """Add the command for a task; more: the options of its example."""
    name = str(command.name)
    own = _task_options(command)

    @click.pass_context
    def function(context: click.Context, /, **given: Any) -> None:
        options = {
            option.name: list(value) if isinstance(value, tuple) else value
            for option in own
            for value in [given.pop(str(option.name))]
            if context.get_parameter_source(str(option.name)) is not ParameterSource.DEFAULT
        }
        _run(context, name, options, **given)

    function.__doc__ = f"""Run {name} on all rows of files, in parts.

    Each part is a Parquet file: file, row, the fields to keep, and the result. Rows that do not fit are listed in
    errors-*.jsonl. Exit code 1: rows are missing, since a part failed.

    \b
    Example:
      lf-ref map {name} {more}--input "texts/*.parquet" --output {name}
    """
    made = click.command(name, cls=Command, short_help=command.short_help)(_job_options(function))
    made.params = [*own, *made.params]
    map_.add_command(made)


def _run(
    context: click.Context, task: str, options: dict[str, Any], text_field: Sequence[str], as_json: bool, **given: Any
) -> None:
    from ..jobs import run

    main = FIELDS.get(task, Fields()).text
    pairs = [one.partition("=") if "=" in one else (main, "=", one) for one in text_field]
    try:
        with quietly(given["quiet"]):
            summary = run(
                task, given.pop("model"), text_field={one: name for one, _, name in pairs}, **given, **options
            )
    except KeyboardInterrupt:
        click.echo("interrupted: the parts that are done stay, and --resume goes on", err=True)
        raise
    for number, why in summary.failed.items():
        click.echo(f"Error: part {number}, {one_line(why)}", err=True)
    found = summary.to_dict()
    if as_json:
        print_json(found, indent=2)
    else:
        found["failed"] = len(summary.failed)
        table([[name.replace("_", " "), f"{value:.1f}" if isinstance(value, float) else str(value)]
               for name, value in found.items()], right=[1])  # fmt: skip
    if summary.failed or (summary.missing and given["shard"] is None):
        context.exit(IMPOSSIBLE)


for _command, _more in (
    (fill_mask, ""),
    (feature_extraction, "--pooling mean "),
    (text_classification, "--model FOLDER "),
    (zero_shot_classification, "--model FOLDER --label sport --label politics "),
    (token_classification, "--model FOLDER "),
    (question_answering, "--model FOLDER "),
    (multiple_choice, "--model FOLDER "),
    (embed, "--text-field body --keep id "),
):
    _add(_command, _more)
