"""Make the golden vectors of sentence-transformers. Run by hand, where the extra `sentence-transformers` is installed:

    python tests/golden/embeddings/make.py

`vectors.safetensors` holds the float32 vectors of `embeddings.folders.TEXTS` for each of its `CASES`, whose folders are
made anew from their seeds by the test; its metadata are the versions of the peer.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

FOLDER = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parents[1]))

from embeddings.folders import CASES, TEXTS, build_case  # noqa: E402
from embeddings.peer import load, versions  # noqa: E402


def vectors_of(name: str) -> np.ndarray:
    """The peer's vectors for one case."""
    with tempfile.TemporaryDirectory() as folder:
        peer = load(build_case(name, Path(folder)))
        return peer.encode(TEXTS, show_progress_bar=False, **CASES[name][2])


if __name__ == "__main__":
    save_file({name: vectors_of(name) for name in CASES}, FOLDER / "vectors.safetensors", versions())
