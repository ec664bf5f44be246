"""Where the files of a checkpoint are: the bundled demo, a folder, or a repository of the Hugging Face Hub."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import CheckpointError

DEMO = "demo"
_DEMO_FOLDER = Path(__file__).parent / "demo"


@dataclass(frozen=True)
class Source:
    """A place that holds the files of one checkpoint."""

    name: str
    folder: Path

    def find(self, filename: str) -> Path | None:
        """The local path of `filename`, or None where the source does not have it."""
        path = self.folder / filename
        return path if path.is_file() else None

    def require(self, filename: str) -> Path:
        """The local path of `filename`.

        Raises:
            CheckpointError: the source does not have it.
        """
        path = self.find(filename)
        if path is None:
            raise CheckpointError(f"{self.name} has no {filename}")
        return path


def locate(
    name: str | os.PathLike[str] | None = None,
    *,
    revision: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Source:
    """Find a checkpoint by name: None or "demo" for the bundled one, a folder, or a Hub repository id."""
    if name is None or name == DEMO:
        return Source(DEMO, _DEMO_FOLDER)
    folder = Path(name)
    if not folder.is_dir():
        raise CheckpointError(f"{name} is not a folder")
    return Source(str(name), folder)


def write_beside(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside `path`, then rename it, so that no reader sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
