"""The Markdown documents of the repository as pages, with their links led to other pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[2]
CHECKOUT = PACKAGE.parent
# The page of each document, its title and its topic. Those outside of the package exist in a checkout only.
_PAGES = {
    CHECKOUT / "README.md": ("overview", "Overview", "Install it, run it, and what else there is: the README."),
    PACKAGE / "pipelines" / "README.md": ("tasks", "Tasks", "An example of each task; many and long inputs."),
    PACKAGE / "guides" / "recipes.md": ("recipes", "Recipes", "A data frame, a long document, a server."),
    PACKAGE / "guides" / "longer_texts.md": (
        "longer_texts", "Longer texts", "Make a Longformer of a RoBERTa, or a longer one of a Longformer.",
    ),
    PACKAGE / "guides" / "windows_of_the_paper.md": (
        "windows_of_the_paper", "Dilated and causal windows", "The windows of the paper's character models.",
    ),
    PACKAGE / "guides" / "files.md": ("files", "Files", "Lines, CSV, Parquet and folders in; JSONL and tables out."),
    PACKAGE / "guides" / "jobs.md": ("jobs", "Jobs", "Many documents: jobs that resume, job arrays, a cluster, scale."),
    PACKAGE / "guides" / "embeddings.md": (
        "embeddings", "Embeddings", "sentence-transformers checkpoints; search, scikit-learn, LangChain, FastAPI.",
    ),
    PACKAGE / "guides" / "service.md": ("service", "A service", "lf-ref serve, for clients of TEI, HF and OpenAI."),
    PACKAGE / "guides" / "long_documents.md": (
        "long_documents", "Documents longer than the model", "Truncation, windows with a stride, and what each costs.",
    ),
    PACKAGE / "guides" / "attention.md": ("attention", "Seeing attention", "The explorer, maps, and the weights."),
    PACKAGE / "guides" / "coming_from_hf.md": ("coming_from_hf", "Coming from HF", "HF's names, and what each does."),
    PACKAGE / "guides" / "differences_from_hf.md": (
        "differences_from_hf", "Differences from HF", "What differs from HF transformers on purpose.",
    ),
    PACKAGE / "checkpoint" / "README.md": ("checkpoints", "Checkpoints", "Loading, formats, names, int8 quantization."),
    PACKAGE / "kernels" / "README.md": ("speed", "Speed", "How the fast path works; all measurements."),
    PACKAGE / "testing" / "README.md": (
        "testing", "Testing a port", "Compare an implementation tensor by tensor; conformance suite; golden files.",
    ),
    CHECKOUT / "notebooks" / "README.md": ("notebooks", "Notebooks", "Eight lessons, from tokens to long documents."),
    PACKAGE / "README.md": ("code", "The code", "How the code is laid out, and where to change what."),
    CHECKOUT / "tests" / "README.md": ("tests", "Tests", "What is supported, and the test that shows it."),
    PACKAGE / "demo" / "MODEL_CARD.md": ("demo", "The demo model", "The model card of the bundled checkpoint."),
}  # fmt: skip
_LINK = re.compile(r'(?P<image><img src=")(?P<source>[^"]+)|(?P<text>\[[^\]]*\])\((?P<target>[^)\s]+)\)')


class Guide(NamedTuple):
    """A document: its file, the name of its page, its title, its topic, and its Markdown."""

    path: Path
    name: str
    title: str
    summary: str
    text: str

    @property
    def page(self) -> str:
        """The path of its page within the site."""
        return f"guides/{self.name}.html"

    def section(self, title: str) -> str:
        """The section of the document under a heading of the second level."""
        return f"{self.text}\n## ".partition(f"\n## {title}\n")[2].partition("\n## ")[0].strip()


def guides() -> list[Guide]:
    """All documents, in the order of the landing page."""
    in_checkout = (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "notebooks").is_dir()
    return [
        Guide(path, *about, path.read_text(encoding="utf-8"))
        for path, about in _PAGES.items()
        if path.is_relative_to(PACKAGE) or in_checkout
    ]


def with_links(text: str, folder: Path, pages: Mapping[Path, str], images: set[Path]) -> str:
    """Markdown whose relative links lead to pages; a link to a file without a page becomes its text.

    text: of a document in `folder`; pages: the page of each file or folder that has one. Images are added to `images`,
    and expected beside the page.
    """

    def lead(found: re.Match[str]) -> str:
        if found["image"]:
            images.add((folder / found["source"]).resolve())
            return f"{found['image']}{Path(found['source']).name}"
        name, _, anchor = found["target"].partition("#")
        if not name or "://" in found["target"]:
            return found[0]
        page = pages.get((folder / name).resolve())
        return f"{found['text']}(../{page}{anchor and '#'}{anchor})" if page else found["text"][1:-1]

    return _LINK.sub(lead, text)
