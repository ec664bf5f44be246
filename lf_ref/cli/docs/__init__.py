"""`lf-ref docs`: the documentation as pages of HTML."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from ...command_line import command, other_option
from ...errors import InputError
from ...files import write_beside

# The modules whose public names are documented; a package without __all__ has a page for each of its modules.
PAGES = (
    "lf_ref",
    "lf_ref.pipelines",
    "lf_ref.tokenizer",
    "lf_ref.model.global_attention",
    "lf_ref.attention_map",
    "lf_ref.jobs",
    "lf_ref.batches",
    "lf_ref.testing",
    "lf_ref.reference",
)


@command("docs", short_help="Build the documentation as HTML pages.")
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@other_option("--quiet", is_flag=True, help="Do not print what was written.")
@click.pass_context
def docs(context: click.Context, out: Path, quiet: bool) -> None:
    """Write the documentation into the folder OUT as HTML pages: guides, tasks, Python interface, commands.

    \b
    Example:
      lf-ref docs api
    """
    pdoc = _pdoc()
    site = import_module(".site", __name__)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            site.build(pdoc, PAGES, context.find_root().command, Path(folder))
        except Warning as warning:
            raise InputError(f"the pages are not written: {warning}") from warning
        _copy(Path(folder), out)
    if not quiet:
        click.echo(f"wrote {out / 'index.html'}", err=True)


def _copy(pages: Path, out: Path) -> None:
    """Copy the pages into a folder. An existing one keeps its permissions, which `shutil.copytree` would change.

    Raises:
        InputError: a page cannot be written.
    """
    try:
        for page in sorted(path for path in pages.glob("**/*") if path.is_file()):
            target = out / page.relative_to(pages)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_beside(target, page.read_bytes())
    except OSError as error:
        raise InputError(f"OUT {out} cannot be written: {error.strerror or error}") from error


def _pdoc() -> Any:
    try:
        return import_module("pdoc")
    except ImportError as error:
        raise InputError(f"the documentation needs pdoc: pip install 'lf-ref[docs]' ({error})") from error
