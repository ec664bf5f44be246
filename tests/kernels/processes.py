"""Processes with a cache of machine code of their own, and one such cache that several tests start from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from lf_ref.kernels.vectors import dots_here

# The tiles of each kind: their module, and the kernel in it.
_TILES = {
    "float32": {"float32_tiles": "float32_block", "band_float32": "band_block"},
    "bfloat16": {"bfloat16_tiles": "bfloat16_block", "band_bfloat16": "band_block"},
    "int8": {"int8_tiles": "int8_block"},
}
_COMPILE = """
import sys
from importlib import import_module

kernel = getattr(import_module("lf_ref.kernels." + sys.argv[1]), sys.argv[2])
print(sum(kernel.stats.cache_hits.values()))
"""


def run(code: str, folder: Path, *arguments: str, **variables: str) -> str:
    """Standard output of a process that keeps machine code in `folder`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    environment |= {"NUMBA_CACHE_DIR": str(folder / "cache")} | variables
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@dataclass(frozen=True)
class Compiled:
    """A cache of the tiles of every kind; `hits`: for each module, how many of its kernels were already there."""

    folder: Path
    hits: dict[str, int]

    def copy_to(self, folder: Path) -> None:
        """Have `run` with this folder start from the same cache."""
        shutil.copytree(self.folder / "cache", folder / "cache")


def compile_each_alone(folder: Path) -> Compiled:
    """Compile the tiles of every kind that there is here, each in a process of its own."""
    here = [kind for kind in _TILES if kind == "float32" or dots_here(kind)]
    kernels = {module: kernel for kind in here for module, kernel in _TILES[kind].items()}
    return Compiled(folder, {module: int(run(_COMPILE, folder, module, kernel)) for module, kernel in kernels.items()})
