"""sentence-transformers as a peer; it is imported on first use, and a missing one fails the test that needs it."""

from __future__ import annotations

import os
import warnings
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _library() -> tuple[Any, Any]:
    os.environ["HF_HUB_OFFLINE"] = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside the peers are not ours
        import sentence_transformers
        import torch
        import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    return sentence_transformers, torch


def load(folder: Path) -> Any:
    """Load a checkpoint in float32."""
    library, torch = _library()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return library.SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})


def versions() -> dict[str, str]:
    """The versions of the peer and of what it runs on."""
    import transformers

    library, torch = _library()
    return {
        "sentence-transformers": library.__version__,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
    }
