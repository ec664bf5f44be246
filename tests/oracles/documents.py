"""The Markdown files of the repository, and their blocks of code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "notebooks" / "README.md",
    ROOT / "tests" / "README.md",
    *sorted((ROOT / "lf_ref").rglob("*.md")),
]


def read(path: Path) -> str:
    """The text of a document."""
    return path.read_text(encoding="utf-8")


def blocks(text: str) -> list[tuple[str, str]]:
    """The language and the code of each fenced block, in order."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)


def engine_of(code: str) -> str:
    """The engine for data that a block of Python uses, and that most environments do not have; "" for none."""
    found = re.search(r"^(?:import|from) (ray|dask|pyspark)\b", code, re.M)
    return found[1] if found else ""


def anchors(text: str) -> set[str]:
    """The names by which links within a document reach its headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """Where the links and images of a document lead."""
    return [link or image for link, image in re.findall(r'\]\(([^)\s]+)\)|<img src="(\S+?)"', text)]
