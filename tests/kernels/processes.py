"""Processes with a cache of machine code of their own, which starts from what all processes have compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from numba.core.caching import _CacheLocator

from lf_ref.kernels import vectors
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

print(getattr(import_module("lf_ref.kernels." + sys.argv[1]), sys.argv[2]).stats.cache_path)
"""


def run(code: str, cache: Path | None, *arguments: str, **variables: str) -> str:
    """Standard output of a process that keeps machine code in the folder `cache`; None: where all others do."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    place = os.environ.get("NUMBA_CACHE_DIR") if cache is None else str(cache)
    environment |= ({"NUMBA_CACHE_DIR": place} if place else {}) | variables
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def compile_each_alone(cache: Path) -> None:
    """Fill an empty cache with the tiles of every kind that there is here, each compiled in a process of its own.

    Those that processes have compiled before are copied, unless settings of Numba's made them other than usual.
    """
    settings = [name for name in os.environ if name.startswith("NUMBA_") and name != "NUMBA_CACHE_DIR"]
    kept = cache if settings else None
    here = [kind for kind in _TILES if kind == "float32" or dots_here(kind)]
    copies = cache / _CacheLocator.get_suitable_cache_subpath(vectors.__file__)
    copies.mkdir(parents=True)
    for module, kernel in (tile for kind in here for tile in _TILES[kind].items()):
        folder = Path(run(_COMPILE, kept, module, kernel).strip())
        for file in folder.glob(f"{module}.*.nb?") if folder != copies else ():
            shutil.copy2(file, copies)
