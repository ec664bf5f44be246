"""Changing the JSON files of a tokenizer, and a text that shows what has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEXT = "A, <mask> sentence\u2009that isn't easy.  </s> 👩‍👩‍👧"


def edit(path: Path, change: Any) -> None:
    """Change the content of a JSON file in place, by a function or by new entries."""
    content = json.loads(path.read_text()) if path.is_file() else {}
    content = change(content) or content if callable(change) else content | change
    path.write_text(json.dumps(content))


def put(*path: Any, value: Any) -> Any:
    """A change that sets the value at a path of keys and indices."""

    def change(content: dict[str, Any]) -> None:
        place: Any = content
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change
