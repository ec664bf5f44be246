"""`lf-ref docs`: the pages hold all that is public, and nothing else; no text loses a word on its way into HTML."""

from __future__ import annotations

import html
import posixpath
import re
import sys
import warnings
from dataclasses import fields
from html.parser import HTMLParser

import pytest
from click.testing import CliRunner
from pipelines.building import CLASSES

import lf_ref
import lf_ref.pipelines
from lf_ref.cli import main
from lf_ref.cli.docs.guides import guides
from lf_ref.model import attentions
from oracles.documents import DOCUMENTS, ROOT

MODULE = sys.modules["lf_ref.cli.docs"]
# What Markdown and pdoc make; another tag is a "<mask>" of a docstring that was not quoted, and "em" a lost "*".
TAGS = {
    "p", "code", "pre", "span", "div", "a", "ul", "ol", "li", "strong", "h5", "h6", "blockquote",
    "h1", "h2", "h3", "table", "thead", "tbody", "tr", "th", "td", "dl", "dt", "dd", "img",
}  # fmt: skip


def run(*arguments, code=0):
    """Standard error of the command."""
    done = CliRunner().invoke(main, ["docs", *map(str, arguments)], prog_name="lf-ref")
    assert (done.exit_code, done.stdout) == (code, ""), done.output
    return done.stderr


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """The text of each page by its path."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "mine.txt").write_text("kept")
    folder.chmod(0o711)
    assert run(folder) == f"wrote {folder / 'index.html'}\n"
    assert (folder / "mine.txt").read_text() == "kept"
    assert folder.stat().st_mode & 0o777 == 0o711, "the folder's permissions are its owner's"
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in sorted(folder.glob("**/*.html"))
    }


class Docstrings(HTMLParser):
    """The tags inside the docstrings of a page."""

    def __init__(self, text):
        super().__init__()
        self.depth, self.tags = 0, set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if self.depth or ("class", "docstring") in attributes:
            self.depth += tag == "div"
            self.tags.add(tag)

    def handle_endtag(self, tag):
        self.depth -= self.depth > 0 and tag == "div"


def test_every_public_name_has_an_entry(pages):
    for name in lf_ref.__all__:
        if name not in ("__version__", "global_attention") and name not in lf_ref._SAME and "Fast" not in name:
            assert f'<section id="{name}">' in pages["lf_ref.html"], name
    for module in ("pipelines", "tokenizer"):
        for name in sys.modules[f"lf_ref.{module}"].__all__:
            assert name in pages[f"lf_ref/{module}.html"], name
    assert 'id="on_first_token"' in pages["lf_ref/model/global_attention.html"]
    assert 'id="softmax"' in pages["lf_ref/reference/ops.html"]
    assert 'id="LongformerModel.__call__"' in pages["lf_ref.html"]
    assert 'id="LongformerConfig.__init__"' in pages["lf_ref.html"]


def test_pipeline_and_models_come_first_and_errors_last(pages):
    names = re.findall(r'<section id="(\w+)">', pages["lf_ref.html"])
    assert names[:2] == ["pipeline", "LongformerModel"]
    errors = {name for name in names if isinstance(getattr(lf_ref, name, None), type) and "Error" in name}
    assert {"CheckpointError", "ConfigError", "InputError", "LfRefError"} < errors
    assert set(names[-len(errors) - 1 :]) == errors | {"PipelineException"}


def test_members_of_bases_that_are_not_public_show_in_the_class(pages):
    assert 'id="LongformerTokenizer.decode"' in pages["lf_ref/tokenizer.html"]
    assert 'href="#LongformerPreTrainedModel.from_pretrained"' in pages["lf_ref.html"]
    assert 'id="LongformerModel.from_pretrained"' not in pages["lf_ref.html"]


def test_nothing_private_shows(pages):
    for path, text in pages.items():
        if path.startswith("lf_ref"):
            assert re.findall(r'id="(?:\w+\.)*_(?!_init__|_call__)\w+"', text) == [], path
            assert "_HF_NAMES" not in text, path
            assert '<label class="view-source' not in text, path


def test_every_document_has_a_page_and_every_task_and_command(pages):
    assert {guide.path for guide in guides()} == set(DOCUMENTS)
    assert {f"guides/{guide.name}.html" for guide in guides()} == {path for path in pages if path.startswith("guides/")}
    assert {f"tasks/{task}.html" for task in CLASSES} == {path for path in pages if path.startswith("tasks/")}
    for name, command in main.commands.items():
        assert f"commands/{name}.html" in pages
        for inner in getattr(command, "commands", {}):
            assert f"commands/{name}-{inner}.html" in pages


def test_without_a_checkout_the_documents_of_the_package_have_pages(monkeypatch, tmp_path):
    module = sys.modules["lf_ref.cli.docs.guides"]
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    assert {guide.path for guide in guides()} == {path for path in DOCUMENTS if path.is_relative_to(ROOT / "lf_ref")}


@pytest.mark.parametrize("task", CLASSES)
def test_the_page_of_a_task_has_every_option_its_errors_and_the_example(pages, task):
    text = html.unescape(re.sub(r"<[^>]+>", "", pages[f"tasks/{task}.html"]))
    kind = lf_ref.pipelines.TASKS[task]
    rows = re.findall(r"<tr>\s*<td><code>(\w+)</code></td>", pages[f"tasks/{task}.html"])
    assert set(rows) == {field.name for field in fields(kind.options_class)}
    assert f'pipeline("{task}", "FOLDER"' in text
    assert f"lf-ref {task} " in text
    assert "InputError:" in text


@pytest.mark.parametrize("name", ["fill-mask", "oracle run", "docs"])
def test_the_page_of_a_command_is_its_help(pages, name):
    text = html.unescape(re.sub(r"<[^>]+>", " ", pages[f"commands/{name.replace(' ', '-')}.html"]))
    shown = CliRunner().invoke(main, [*name.split(), "--help"], prog_name="lf-ref").stdout
    words = [word for word in shown.split() if word not in ("Usage:", "Options:", "options:")]
    missing = [word for word in words if word not in text]
    assert len(words) > 20
    assert missing == []


def test_links_lead_to_pages_and_their_headings(pages):
    for path, text in pages.items():
        for link in re.findall(r'(?:href|src)="([^"]+)"', text):
            if re.match(r"https://|data:|\$", link):
                continue
            name, _, anchor = link.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) if name else path
            assert target in pages or target in ("guides/attention.svg",), (path, link)
            assert not anchor or target not in pages or f'id="{anchor}"' in pages[target], (path, link)


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "lf_ref").write_text("a file where a folder of pages is to be")
    line = run(tmp_path, code=2)
    assert line.startswith(f"Error: OUT {tmp_path} cannot be written: ")
    assert line.count("Error") == line.count("\n") == 1


def test_the_index_leads_to_every_page(pages):
    for path in pages:
        assert path == "index.html" or f'href="{path}"' in pages["index.html"], path


def test_docstrings_hold_only_the_tags_of_markdown(pages):
    for path, text in pages.items():
        assert Docstrings(text).tags <= TAGS, path


def test_types_have_their_short_names_and_get_their_own_back(pages):
    signatures = {
        path: re.sub(r"<[^>]+>", "", " ".join(re.findall(r'<span class="signature.*?</div>', text, re.S)))
        for path, text in pages.items()
    }
    assert "ArrayLike | None" in signatures["lf_ref.html"]
    assert "(x: Array)" in "".join(signatures["lf_ref/reference/ops.html"].split("\n"))
    assert "-> NDArray[uint64]" in signatures["lf_ref/testing/generator.html"]
    assert not any("ndarray" in text or "_SupportsArray" in text for text in signatures.values())
    assert attentions.ArrayLike.__module__ != "builtins"
    assert "LongformerModel" not in vars(lf_ref)


def test_a_warning_is_an_error_and_nothing_is_written(tmp_path, monkeypatch):
    pdoc = MODULE.import_module("pdoc")

    def warn(*_, **__):
        warnings.warn("a name does not resolve", stacklevel=1)

    monkeypatch.setattr(pdoc, "pdoc", warn)
    assert run(tmp_path / "api", code=2) == "Error: the pages are not written: a name does not resolve\n"
    assert list(tmp_path.iterdir()) == []


def test_without_pdoc_the_extra_is_named(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(MODULE, "import_module", missing)
    assert "pip install 'lf-ref[docs]'" in run(tmp_path, code=2)


def test_quiet(tmp_path):
    assert run(tmp_path, "--quiet") == ""
    assert (tmp_path / "index.html").exists()
