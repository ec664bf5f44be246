"""`lf-ref docs`."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import click

from ..errors import InputError
from ..files import write_beside

# The pages; a package without __all__ brings its modules along.
PAGES = (
    "lf_ref",
    "lf_ref.model.global_attention",
    "lf_ref.pipelines",
    "lf_ref.tokenizer",
    "lf_ref.reference",
    "lf_ref.testing",
)
# Types that signatures are to name, not to spell out: what NumPy and we mean by them takes lines.
_SHORT = ("Array", "Arrays", "ArrayLike", "DTypeLike", "Ids", "NDArray", "Note", "Parameters")
# By file: with a list of all pages in place of the way to the first, and with constructors and calls, which pdoc leaves
# out for their names or where only the class has a docstring.
_TEMPLATES = {
    "index.html.jinja2": """
{% set root_module_name = false %}
{% extends "default/index.html.jinja2" %}
{% block logo %}<h1>lf_ref</h1>{% endblock %}
""",
    "module.html.jinja2": """
{% extends "default/module.html.jinja2" %}
{% macro is_public(doc) %}
    {% if doc.name in ("__init__", "__call__") and doc.kind == "function" and doc.signature_without_self.parameters %}
        true
    {% else %}
        {{ default_is_public(doc) }}
    {% endif %}
{% endmacro %}
""",
}


@click.command("docs", short_help="Build the reference of the Python interface.")
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@click.option("--quiet", is_flag=True, help="Do not say what was written.")
def docs(out: Path, quiet: bool) -> None:
    """Write the reference of all that is public into the folder OUT, as pages of HTML made from the docstrings by pdoc.

    \b
    Example:
      lf-ref docs api
    """
    pdoc = _pdoc()
    for page in PAGES:
        import_module(page)
    with TemporaryDirectory() as folder, warnings.catch_warnings(), _ready():
        warnings.simplefilter("error")
        templates, pages = Path(folder, "templates"), Path(folder, "pages")
        templates.mkdir()
        for name, text in _TEMPLATES.items():
            (templates / name).write_text(text, encoding="utf-8")
        pdoc.render.configure(docformat="google", include_undocumented=False, template_directory=templates)
        try:
            pdoc.pdoc(*PAGES, output_directory=pages)
        except Warning as warning:
            raise InputError(f"the pages are not written: {warning}") from warning
        _copy(pages, out)
    if not quiet:
        click.echo(f"wrote {out / 'index.html'}", err=True)


def _copy(pages: Path, out: Path) -> None:
    """Put the pages into a folder. One that exists keeps its permissions, which `shutil.copytree` would change.

    Raises:
        InputError: a page cannot be written.
    """
    try:
        for page in sorted(path for path in pages.glob("**/*") if path.is_file()):
            place = out / page.relative_to(pages)
            place.parent.mkdir(parents=True, exist_ok=True)
            write_beside(place, page.read_bytes())
    except OSError as error:
        raise InputError(f"OUT {out} cannot be written: {error.strerror or error}") from error


def _pdoc() -> Any:
    try:
        return import_module("pdoc")
    except ImportError as error:
        raise InputError(f"the reference needs pdoc: pip install 'lf-ref[docs]' ({error})") from error


def _called(name: str) -> Any:
    """A type that signatures show by this name."""
    return type(name, (), {"__module__": "builtins"})


@contextmanager
def _ready() -> Iterator[None]:
    """Have every public name where pdoc looks for it, and short names for types, while the pages are made."""
    short = {name: _called(name) for name in _SHORT}
    short["NDArray"].__class_getitem__ = classmethod(
        lambda _, item: _called(f"NDArray[{getattr(item, '__name__', item)}]")
    )
    with ExitStack() as stack:
        for page in map(import_module, PAGES):
            public = {name: getattr(page, name) for name in getattr(page, "__all__", ())}
            stack.enter_context(patch.dict(vars(page), public))
        for module in [module for name, module in sys.modules.items() if name.startswith(f"{PAGES[0]}.")]:
            stack.enter_context(patch.dict(vars(module), short))  # also where a signature comes from another module
        yield
