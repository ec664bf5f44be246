"""The whole site: a landing page, guides, tasks, the Python interface and the commands."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from ...pipelines import TASKS, Pipeline
from .commands import commands
from .guides import PACKAGE, guides, with_links
from .reference import class_members, documentable, public_bases
from .tasks import task_page

_TEMPLATES = Path(__file__).with_name("templates")


def build(pdoc: Any, modules: tuple[str, ...], main: click.Command, out: Path) -> None:
    """Write all pages into a folder.

    pdoc: the library; modules: those to document, by name; main: the command with all others.
    """
    names = list(pdoc.extract.walk_specs(modules))
    environment, helpers = pdoc.render.env, pdoc.render_helpers
    pdoc.render.configure(
        docformat="google", include_undocumented=False, show_source=False, template_directory=_TEMPLATES
    )
    documents, images = guides(), set[Path]()
    [tasks] = [guide for guide in documents if guide.name == "tasks"]
    kinds = {kind.task: kind for kind in TASKS.values()}
    site = {
        "guides": {guide.page: (guide.title, guide.summary) for guide in documents},
        "tasks": {f"tasks/{task}.html": (task, _first_line(kind)) for task, kind in kinds.items()},
        "modules": {f"{name.replace('.', '/')}.html": (name, _first_line(import_module(name))) for name in names},
        "commands": {_page_of(name): (f"lf-ref {name}", short) for name, short, _ in commands(main)},
    }
    environment.globals |= {"site": site, "class_members": class_members, "public_bases": public_bases}
    with documentable(modules):
        pdoc.pdoc(*modules, output_directory=out)

    pages = {guide.path: guide.page for guide in documents} | {
        PACKAGE.parent.joinpath(*name.split(".")): page for page, (name, _) in site["modules"].items()
    }
    bodies: dict[str, tuple[str, str]] = {}
    for guide in documents:
        bodies[guide.page] = guide.title, helpers.to_html(with_links(guide.text, guide.path.parent, pages, images))
    for page, (task, _) in site["tasks"].items():
        text = task_page(task, kinds[task], tasks, pdoc.docstrings.google)
        bodies[page] = task, helpers.to_html(with_links(text, tasks.path.parent, pages, images))
    for name, _, body in commands(main):
        bodies[_page_of(name)] = f"lf-ref {name}", f"<h1>lf-ref {name}</h1>{body}"
    template = environment.get_template("page.html.jinja2")
    for page, (title, body) in bodies.items():
        target = out / page
        target.parent.mkdir(parents=True, exist_ok=True)
        html = template.render(page=page, title=title, body=body, toc=getattr(body, "toc_html", None))
        target.write_text(html, encoding="utf-8")
    for image in images:
        shutil.copyfile(image, out / "guides" / image.name)


def _page_of(command: str) -> str:
    return f"commands/{command.replace(' ', '-')}.html"


def _first_line(thing: type[Pipeline[Any]] | ModuleType) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]
