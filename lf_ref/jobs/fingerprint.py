"""What a model is, whatever its files are called and wherever they lie."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..checkpoint.stored import release
from ..embeddings.writing import write_modules
from ..pipelines import Pipeline

_STEP = 1 << 24  # bytes of a file to have in memory at once


def fingerprint(pipe: Pipeline[Any]) -> str:
    """The SHA-256 of config, weights, tokenizer and modules of a pipeline, as hexadecimal digits."""
    digest = hashlib.sha256(pipe.model.config.to_json_string().encode())
    for name, weight in sorted(pipe.model.weights.items()):
        arrays = [weight] if isinstance(weight, np.ndarray) else [weight.elements, weight.scales]
        for array in arrays:
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            for start in range(0, len(content), _STEP):
                digest.update(content[start : start + _STEP].data)
                release(array)
    with TemporaryDirectory() as folder:
        pipe.tokenizer.save_pretrained(folder)
        modules = getattr(pipe, "modules", None)
        if modules is not None:
            write_modules(modules, folder, pipe.model.config.hidden_size)
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                digest.update(f"{path.relative_to(folder)} {path.stat().st_size}".encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
