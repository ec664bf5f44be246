"""The command of the conformance suite: `python -m lf_ref.testing TARGET`, also `lf-ref oracle run TARGET`.

Its help needs no NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from ...command_line import SETTINGS, Number, command, complete_file, input_option
from . import arguments


def _tolerance(context: click.Context, option: click.Parameter, value: str | None) -> str | float | None:
    try:
        return None if value is None else arguments.tolerance(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def complete_case(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The names of standard cases that begin with the typed text; after a comma, another one."""
    from ..cases.standard_cases import standard_cases

    before, comma, start = incomplete.rpartition(",")
    return [before + comma + case.name for case in standard_cases() if case.name.startswith(start)]


def comparison_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the comparison and of the output."""
    for option in reversed(
        (
            click.option(
                "--precision",
                type=click.Choice(arguments.PRECISIONS),
                default="float32",
                show_default=True,
                help="Dtype that the candidate computes in.",
            ),
            click.option(
                "--tolerance",
                metavar=arguments.TOLERANCE,
                callback=_tolerance,
                help="Multiples of the measured rounding errors of the precision (default); a fixed relative error; or "
                "a relative error of your own, by the largest magnitude of each tensor.",
            ),
            click.option("--ignore-padding", is_flag=True, help="Ignore tokens that the attention mask hides."),
            click.option(
                "--pad-to",
                metavar="TOKENS",
                type=Number(min=1),
                help="Pad each input to so many tokens, and cut the outputs, for a graph of a fixed shape; cases with "
                "more tokens are skipped.",
            ),
            click.option(
                "--case",
                "cases",
                metavar="NAME",
                multiple=True,
                shell_complete=complete_case,
                help="Only this case; repeatable.",
            ),
            click.option(
                "--class",
                "class_names",
                metavar="NAME",
                multiple=True,
                help="Only cases of this HF class; repeatable.",
            ),
            input_option("--verbose", is_flag=True, help="Print passing cases too."),
            input_option("--json", "as_json", is_flag=True, help="Print all results as JSON."),
        )
    ):
        function = option(function)
    return function


def show(context: click.Context, results: Any, as_json: bool, verbose: bool) -> None:
    """Print the results; exit with code 1 if a case failed."""
    click.echo(results.to_json(indent=2) if as_json else results.text(verbose))
    if not results.passed:
        context.exit(1)


@command("run", short_help="Run the conformance suite on a callable.", context_settings=SETTINGS)
@click.argument("target", metavar="PACKAGE.MODULE:CALLABLE")
@comparison_options
@input_option(
    "--xfail",
    metavar="FILE",
    shell_complete=complete_file,
    help="File of expected failures: on each line a case and the reason.",
)
@click.option(
    "--draws",
    type=Number(min=0),
    default=20,
    show_default=True,
    help="Number of random cases beside the standard ones.",
)
@click.option(
    "--seed",
    type=Number(0, 2**64 - 1),
    default=0,
    show_default=True,
    help="Seed of random cases.",
)
@click.option(
    "--isolate/--no-isolate",
    default=True,
    show_default=True,
    help="Run each case in a process of its own, which may crash or hang; it imports the candidate anew.",
)
@click.option(
    "--time-limit",
    metavar="SECONDS",
    type=click.FloatRange(min=0, min_open=True),
    help="Time for each case in a process of its own (default: 60).",
)
@click.pass_context
def run(
    context: click.Context,
    target: str,
    precision: str,
    tolerance: Any,
    ignore_padding: bool,
    pad_to: int | None,
    cases: tuple[str, ...],
    class_names: tuple[str, ...],
    verbose: bool,
    as_json: bool,
    xfail: str | None,
    draws: int,
    seed: int,
    isolate: bool,
    time_limit: float | None,
) -> None:
    """Run a candidate on the standard cases and on random ones, and report where it diverges and by which mistake.

    The candidate is called as target(config, weights, inputs) with three dicts: the fields of a config.json, with the
    class in config["architectures"]; float32 NumPy arrays by the names in HF's checkpoints; and int64 NumPy arrays by
    HF's argument names (float32 for inputs_embeds). It returns its outputs by HF's names, such as last_hidden_state or
    logits, and optionally intermediates by HF's module names, as arrays of any library; or its first output alone. The
    oracle is the reference implementation in float64. Failures appear on standard error as they come, and so does what
    the candidate prints.

    Exit code 0: every case passes, or fails as expected. 1: a case fails, or passes unexpectedly, or the disk or the
    system failed. 2: the command, an argument or a file is wrong. 130: interrupted.

    \b
    Example, with port.py in the working folder:
      lf-ref oracle run port:target --precision bfloat16
    """
    from ...progress import progress
    from ..cases.case import cases_of_classes, select_cases
    from ..cases.random_cases import drawn_cases
    from ..cases.standard_cases import standard_cases
    from .expected_failures import read_expected_to_fail
    from .suite import check_target
    from .targets import load_target

    if time_limit is not None and not isolate:
        raise click.UsageError("--time-limit needs --isolate")
    known = (*standard_cases(), *drawn_cases(seed, draws))
    reasons = {} if xfail is None else read_expected_to_fail(xfail, [case.name for case in known])
    chosen = select_cases(cases_of_classes(known, class_names), cases or ("standard",))
    with progress("conformance suite", len(chosen), "cases") as bar:
        groups = set()

        def on_result(result: Any) -> None:
            if verbose or not result.passed:
                bar.clear()
                known = result.group in groups
                click.echo(f"{result.state:8}{result.case}: the same" if known else result.line(), err=True)
                groups.add(result.group)
            bar.update()

        results = check_target(
            target if isolate else load_target(target),
            chosen,
            precision=precision,
            tolerance=tolerance,
            ignore_padding=ignore_padding,
            expected_to_fail=reasons,
            title=target,
            pad_to=pad_to,
            isolate=isolate,
            time_limit=time_limit,
            on_result=on_result,
        )
    show(context, results, as_json, verbose)
