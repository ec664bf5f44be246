"""The command of the conformance kit: `python -m lf_ref.testing TARGET`, which is also `lf-ref oracle run TARGET`.

It starts without NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from . import arguments


def _tolerance(context: click.Context, option: click.Parameter, value: str | None) -> str | float | None:
    try:
        return None if value is None else arguments.tolerance(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def judging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """How a candidate is judged, and how the result is printed."""
    for option in reversed(
        (
            click.option(
                "--precision",
                type=click.Choice(arguments.PRECISIONS),
                default="float32",
                show_default=True,
                help="What the candidate computes in.",
            ),
            click.option(
                "--tolerance",
                metavar=arguments.TOLERANCE,
                callback=_tolerance,
                help="A multiple of the errors to expect of the precision, as measured (default); a fixed part of the "
                "largest magnitude of each tensor; or this part of it.",
            ),
            click.option("--ignore-padding", is_flag=True, help="Leave out tokens that the attention mask hides."),
            click.option("--case", "cases", metavar="NAME", multiple=True, help="Only this case; may be repeated."),
            click.option(
                "--class",
                "class_names",
                metavar="NAME",
                multiple=True,
                help="Only cases of this class of HF; may be repeated.",
            ),
            click.option("--verbose", is_flag=True, help="Print the cases that pass too."),
            click.option("--json", "as_json", is_flag=True, help="Print everything, as JSON."),
        )
    ):
        command = option(command)
    return command


def show(context: click.Context, results: Any, as_json: bool, verbose: bool) -> None:
    """Print results, and end with 1 if they are not as they should be."""
    click.echo(results.to_json(indent=2) if as_json else results.text(verbose))
    if not results.passed:
        context.exit(1)


@click.command(
    "run",
    short_help="Run the conformance kit on a callable.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("target", metavar="PACKAGE.MODULE:CALLABLE")
@judging_options
@click.option("--xfail", metavar="FILE", help="Cases that are expected to fail: on each line a name and the reason.")
@click.option(
    "--draws",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="How many cases to draw at random beside the standard ones.",
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Of the drawn cases.")
@click.pass_context
def run(
    context: click.Context,
    target: str,
    precision: str,
    tolerance: Any,
    ignore_padding: bool,
    cases: tuple[str, ...],
    class_names: tuple[str, ...],
    verbose: bool,
    as_json: bool,
    xfail: str | None,
    draws: int,
    seed: int,
) -> None:
    """Run a candidate on the standard cases, and on some that are drawn at random, and say where it goes wrong.

    It is called as target(config, weights, inputs), three dicts: the fields of a config.json, with the class in
    config["architectures"]; float32 NumPy arrays by HF's stored names; and int64 NumPy arrays by HF's argument names
    (float32 for inputs_embeds). It returns its outputs by HF's names, such as last_hidden_state or logits, and any
    intermediates by HF's module names, as arrays of any library; or its first output alone. The oracle is the
    definition in float64.

    Exit code 0: all is as it should be. 1: a case fails, or one passes that is expected to fail. 2: a mistake in the
    command.

    \b
    Example, with the working folder holding port.py:
      lf-ref oracle run port:target --precision bfloat16
    """
    from ..cases.case import choose, of_classes
    from ..cases.random_cases import drawn_cases
    from ..cases.standard_cases import standard_cases
    from .expected_failures import read_expected_to_fail
    from .suite import check_target
    from .targets import load_target

    callable_ = load_target(target)
    known = (*standard_cases(), *drawn_cases(seed, draws))
    reasons = {} if xfail is None else read_expected_to_fail(xfail, [case.name for case in known])
    chosen = choose(of_classes(known, class_names), cases or ("standard",))
    results = check_target(
        callable_,
        chosen,
        precision=precision,
        tolerance=tolerance,
        ignore_padding=ignore_padding,
        expected_to_fail=reasons,
        title=target,
    )
    show(context, results, as_json, verbose)
