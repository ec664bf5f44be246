"""`lf-ref oracle`: golden files, the standard cases, and the conformance suite."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import Number, complete_file, complete_folder, input_option
from ..testing.conformance.command import comparison_options, complete_case, run, show
from .group import Commands
from .options import checkpoint_options_or, quietly
from .output import echo, print_json, table


@click.group(
    "oracle", cls=Commands, invoke_without_command=True, short_help="Test another implementation of Longformer."
)
@click.pass_context
def oracle(context: click.Context) -> None:
    """Test another implementation of Longformer, and report the first tensor that diverges.

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
    shell_complete=complete_case,
    help="All standard cases, or some by name; repeatable.",
)
@input_option(
    "--out",
    required=True,
    metavar="PATH.safetensors",
    shell_complete=complete_file,
    help="File to write; an existing one is replaced.",
)
@click.option(
    "--intermediates",
    multiple=True,
    metavar="all|NAME,NAME...",
    help="Tensors to store beside the outputs, by HF's module names or patterns of them; repeatable (default: inputs "
    "and outputs of each layer and of its attention).",
)
@checkpoint_options_or("none; weights of the generator")
def make(
    cases: tuple[str, ...], out: str, intermediates: tuple[str, ...], model: str | None, quiet: bool, **where: Any
) -> None:
    """Compute the expected outputs of cases in float64 by the reference implementation, and write a golden file.

    The weights come from a documented generator, which any language can reproduce bit by bit. With --model they are
    those of a checkpoint: the cases that depend on inputs alone are adapted to its sizes, and the file has the SHA-256
    of its files. The same command on the same machine writes the same bytes.

    \b
    Example:
      lf-ref oracle make --cases standard --out golden.safetensors
    """
    from ..testing.golden.creation import make_golden

    with quietly(quiet):
        command = _command(",".join(cases), ",".join(intermediates), model, where)
        golden = make_golden(
            out,
            _listed(cases),
            model=model,
            intermediates=_listed(intermediates) or None,
            command=command,
            quiet=quiet,
            **where,
        )
    if not quiet:
        size = golden.path.stat().st_size
        click.echo(f"wrote {out}: {_counted(len(golden.cases), 'case')}, {size / 1e6:.1f} MB", err=True)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _listed(names: tuple[str, ...]) -> list[str]:
    """The names of an option that is repeatable and takes several, separated by commas."""
    return [name.strip() for each in names for name in each.split(",")]


def _command(cases: str, intermediates: str, model: str | None, where: dict[str, Any]) -> str:
    """The command for the manifest: the options that the contents depend on."""
    parts = ["lf-ref oracle make --cases", cases]
    parts += ["--intermediates", intermediates] if intermediates else []
    parts += ["--model", model] if model is not None else []
    parts += ["--revision", where["revision"]] if where["revision"] is not None else []
    return " ".join(parts)


@oracle.command("check", short_help="Compare outputs with a golden file.")
@click.argument("golden", metavar="GOLDEN.safetensors", shell_complete=complete_file)
@input_option(
    "--candidate",
    required=True,
    metavar="PATH",
    shell_complete=complete_file,
    help="A .npz or .safetensors file of arrays named CASE/NAME.",
)
@comparison_options
@click.pass_context
def check(
    context: click.Context,
    golden: str,
    candidate: str,
    precision: str,
    tolerance: Any,
    ignore_padding: bool,
    pad_to: int | None,
    cases: tuple[str, ...],
    class_names: tuple[str, ...],
    verbose: bool,
    as_json: bool,
) -> None:
    """Compare the outputs of a candidate with a golden file. No model runs, unless a case fails.

    NAME is an output, as in one-window/last_hidden_state, or an intermediate in the file, by HF's module names. If a
    case fails, the reference implementation runs on it, to compare all tensors and to name the mistake; not if the
    weights are those of a checkpoint, nor on a large case. With --pad-to, the outputs are those of padded inputs, as
    lf-ref oracle export --pad-to writes them.

    Exit code 0: all outputs agree. 1: a tensor diverges or is missing, or the disk or the system failed. 2: the
    command, an argument or a file is wrong. 130: interrupted.

    \b
    Example:
      lf-ref oracle check golden.safetensors --candidate outputs.npz --precision bfloat16
    """
    from ..progress import progress
    from ..testing.cases.case import cases_of_classes, select_cases
    from ..testing.conformance.suite import check_golden
    from ..testing.golden.golden_file import load_golden

    read = load_golden(golden)
    chosen = select_cases(cases_of_classes(read.cases, class_names), cases or ("standard",))
    with progress("golden file", len(chosen), "cases") as bar:
        results = check_golden(
            read,
            candidate,
            precision=precision,
            tolerance=tolerance,
            ignore_padding=ignore_padding,
            cases=[case.name for case in chosen],
            pad_to=pad_to,
            on_result=lambda _: bar.update(),
        )
    show(context, results, as_json, verbose)


@oracle.command("cases", short_help="List the standard cases, or those of a golden file.")
@click.argument("golden", metavar="[GOLDEN.safetensors]", required=False, shell_complete=complete_file)
@input_option("--json", "as_json", is_flag=True, help="Print all their fields as JSON.")
def cases(golden: str | None, as_json: bool) -> None:
    """List the standard cases, or those of a golden file: name, class, and the fault that each detects.

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


@oracle.command("export", short_help="Export models and inputs of a golden file.")
@click.argument("golden", metavar="GOLDEN.safetensors", shell_complete=complete_file)
@input_option(
    "--out",
    required=True,
    metavar="FOLDER",
    shell_complete=complete_folder,
    help="Folder to write a folder for each case to.",
)
@click.option(
    "--pad-to",
    metavar="TOKENS",
    type=Number(min=1),
    help="Pad each input to so many tokens, for a graph of a fixed shape; cases with more tokens are left out.",
)
def export(golden: str, out: str, pad_to: int | None) -> None:
    """Export each case of a golden file as a folder: config.json and model.safetensors, a checkpoint in HF's format (if
    the weights are those of the generator), and the inputs, inputs.npz.

    \b
    Example:
      lf-ref oracle export golden.safetensors --out cases
    """
    from ..testing.cases.export import export_cases
    from ..testing.conformance.fixed_shapes import check_fitting, misfit, padded_case
    from ..testing.golden.golden_file import load_golden

    cases = check_fitting(load_golden(golden).cases, pad_to)
    written = export_cases([padded_case(case, pad_to) for case in cases if not misfit(case, pad_to)], out)
    left_out = f"; {_counted(len(cases) - len(written), 'case')} left out" if len(written) < len(cases) else ""
    echo(f"wrote {_counted(len(written), 'folder')} to {out}{left_out}")


oracle.add_command(run)
