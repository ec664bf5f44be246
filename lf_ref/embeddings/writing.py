"""Writing modules in the layout of sentence-transformers, beside an encoder in the root of the folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint.saving import stored_form, write_weights
from ..checkpoint.stored import StoredTensor
from ..files import write_beside
from ..reference.ops import Array
from .folder import CONFIG, MODULES, SETTINGS, TRANSFORMER
from .modules import Dense, LayerNorm, SentenceModules, Step
from .reading import LENGTH


def write_modules(modules: SentenceModules, folder: str | os.PathLike[str], hidden_size: int) -> None:
    """Write modules and settings as sentence-transformers reads them; weights are stored in float32.

    folder: holds the encoder, whose states have hidden_size elements. modules.json is written last, so that no reader
    finds modules that are not there yet.

    Raises:
        OSError: the folder cannot be written.
    """
    root = Path(folder)
    pooling = {
        "word_embedding_dimension": hidden_size,
        "pooling_mode": modules.modes[0] if len(modules.modes) == 1 else list(modules.modes),
        "include_prompt": modules.include_prompt,
    }
    listed = [_entry(0, "Transformer", ""), _write(root, 1, "Pooling", pooling, {})]
    width = len(modules.modes) * hidden_size
    for index, step in enumerate(modules.steps, 2):
        listed.append(_write(root, index, type(step).__name__, *_parts(step, width)))
        width = step.width(width)
    _write_json(root / TRANSFORMER[0], {LENGTH: modules.max_seq_length, "do_lower_case": False})
    settings = {
        "prompts": dict(modules.prompts),
        "default_prompt_name": modules.default_prompt_name,
        "similarity_fn_name": modules.similarity,
        "truncate_dim": modules.truncate_dim,
    }
    _write_json(root / SETTINGS, settings)
    _write_json(root / MODULES, listed)


def _parts(step: Step, width: int) -> tuple[dict[str, Any], dict[str, Array]]:
    """The config and the weights of a module for vectors of this width."""
    if isinstance(step, LayerNorm):
        return {"dimension": width}, {"norm.weight": step.weight, "norm.bias": step.bias}
    if not isinstance(step, Dense):
        return {}, {}
    config = {
        "in_features": width,
        "out_features": len(step.weight),
        "bias": True,
        "activation_function": f"torch.nn.{step.activation}",
        **({} if step.residual is None else {"use_residual": True}),
    }
    weights = {"linear.weight": step.weight, "linear.bias": step.bias}
    if step.residual is not None and step.residual.size:
        weights["residual.weight"] = step.residual
    return config, weights


def _write(root: Path, index: int, kind: str, config: dict[str, Any], weights: dict[str, Array]) -> dict[str, Any]:
    """Write a module into a folder of its own. Returns its entry in modules.json."""
    entry = _entry(index, kind, f"{index}_{kind}")
    folder = root / entry["path"]
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / CONFIG, config)
    if weights:
        stored: dict[str, StoredTensor] = {}
        for name, values in weights.items():
            stored |= stored_form(name, values.astype(np.float32))
        write_weights(folder, stored)
    return entry


def _entry(index: int, kind: str, path: str) -> dict[str, Any]:
    # Class names of versions before 5, which later ones read too.
    return {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}


def _write_json(path: Path, content: Any) -> None:
    write_beside(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
