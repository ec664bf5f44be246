"""`lf-ref oracle`: golden files, the standard cases, and the conformance kit."""

from __future__ import annotations

from typing import Any

import click

from ..testing.conformance.command import judging_options, run, show
from .group import Commands
from .options import checkpoint_options_or, quietly
from .output import echo, print_json, table


@click.group(
    "oracle", cls=Commands, invoke_without_command=True, short_help="Judge another implementation of Longformer."
)
@click.pass_context
def oracle(context: click.Context) -> None:
    """Find out whether another implementation of Longformer computes what it should, and where it does not.

    \b
    Example:
      lf-ref oracle cases
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@oracle.command("make", short_help="Write a golden file.")
@click.option(
    "--cases",
    multiple=True,
    default=["standard"],
    show_default=True,
    metavar="standard|NAME,NAME...",
    help="All standard cases, or some by name; may be repeated.",
)
@click.option("--out", required=True, metavar="PATH.safetensors", help="Where to write; replaced if it is there.")
@checkpoint_options_or("none; weights made by the generator")
def make(cases: tuple[str, ...], out: str, model: str | None, quiet: bool, **where: Any) -> None:
    """Compute what the cases must give, in float64 by the definition, and write it to a golden file.

    The weights are small and made of integers by a documented generator, so that any language has them to the bit. With
    --model they are those of a checkpoint: the cases that are about inputs are fitted to its sizes, and the SHA-256 of
    its files are noted. Made twice on one machine, a golden file has the same bytes.

    \b
    Example:
      lf-ref oracle make --cases standard --out golden.safetensors
    """
    from ..testing.golden.creation import make_golden

    with quietly(quiet):
        named = [name.strip() for name in ",".join(cases).split(",")]
        command = _command(",".join(cases), model, where)
        golden = make_golden(out, named, model=model, command=command, quiet=quiet, **where)
    if not quiet:
        size = golden.path.stat().st_size
        click.echo(f"wrote {out}: {_counted(len(golden.cases), 'case')}, {size / 1e6:.1f} MB", err=True)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _command(cases: str, model: str | None, where: dict[str, Any]) -> str:
    """The command as the manifest has it: what the contents depend on."""
    parts = ["lf-ref oracle make --cases", cases]
    parts += ["--model", model] if model is not None else []
    parts += ["--revision", where["revision"]] if where["revision"] is not None else []
    return " ".join(parts)


@oracle.command("check", short_help="Judge outputs by a golden file.")
@click.argument("golden", metavar="GOLDEN.safetensors")
@click.option(
    "--candidate", required=True, metavar="PATH", help="A .npz or .safetensors file with arrays called CASE/NAME."
)
@judging_options
@click.pass_context
def check(
    context: click.Context,
    golden: str,
    candidate: str,
    precision: str,
    tolerance: Any,
    ignore_padding: bool,
    cases: tuple[str, ...],
    class_names: tuple[str, ...],
    verbose: bool,
    as_json: bool,
) -> None:
    """Judge the outputs of a candidate by a golden file. No model is run.

    NAME is an output, as in one-window/last_hidden_state, or an intermediate that the file holds, by HF's module names.

    Exit code 0: all agrees. 1: something diverges, or is missing. 2: a mistake in the command or the files.

    \b
    Example:
      lf-ref oracle check golden.safetensors --candidate outputs.npz --precision bfloat16
    """
    from ..testing.cases.case import choose, of_classes
    from ..testing.conformance.suite import check_golden
    from ..testing.golden.golden_file import load_golden

    read = load_golden(golden)
    chosen = choose(of_classes(read.cases, class_names), cases or ("standard",))
    results = check_golden(
        read,
        candidate,
        precision=precision,
        tolerance=tolerance,
        ignore_padding=ignore_padding,
        cases=[case.name for case in chosen],
    )
    show(context, results, as_json, verbose)


@oracle.command("cases", short_help="List the standard cases, or those of a golden file.")
@click.argument("golden", metavar="[GOLDEN.safetensors]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print everything about them, as JSON.")
def cases(golden: str | None, as_json: bool) -> None:
    """List the standard cases, or those of a golden file: name, class, and the fault that each is for.

    \b
    Example:
      lf-ref oracle cases
    """
    from ..testing.cases.standard_cases import standard_cases
    from ..testing.golden.golden_file import load_golden

    known = standard_cases() if golden is None else load_golden(golden).cases
    if as_json:
        print_json([case.to_dict() for case in known], indent=2)
    else:
        table([[case.name, case.class_name.removeprefix("Longformer"), case.about] for case in known])


@oracle.command("export", short_help="Write models and inputs of a golden file for a candidate to read.")
@click.argument("golden", metavar="GOLDEN.safetensors")
@click.option("--out", required=True, metavar="FOLDER", help="Where to write a folder for each case.")
def export(golden: str, out: str) -> None:
    """Write each case of a golden file as a folder: config.json and model.safetensors, a checkpoint as HF reads it (if
    the weights are those of the generator), and the inputs, inputs.npz.

    \b
    Example:
      lf-ref oracle export golden.safetensors --out cases
    """
    from ..testing.cases.export import export_cases
    from ..testing.golden.golden_file import load_golden

    written = export_cases(load_golden(golden).cases, out)
    echo(f"wrote {_counted(len(written), 'folder')} to {out}")


oracle.add_command(run)
