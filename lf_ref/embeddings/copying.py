"""Copying the files of sentence-transformers' modules beside a converted encoder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..checkpoint.tensors import SAFETENSORS, TORCH
from ..files import replacing
from .folder import CONFIG, MODULES, SETTINGS, TRANSFORMER, Module, SentenceFolder


def copy_modules(folder: SentenceFolder, out: str | os.PathLike[str]) -> None:
    """Copy the settings of a checkpoint and its modules but for encoder and tokenizer, into the same layout.

    Paths were checked when modules.json was read: none leads out of `out`.

    Raises:
        CheckpointError: a file cannot be read.
        OSError: a file cannot be written.
    """
    encoder, *others = folder.modules
    root = Module("", "")
    for module, names in (
        (root, (MODULES, SETTINGS)),
        (encoder, TRANSFORMER),
        *((module, (CONFIG, SAFETENSORS, TORCH)) for module in others),
    ):
        for name in names:
            path = folder.find(module, name)
            if path is not None:
                target = Path(out) / module.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with replacing(target) as temporary:
                    shutil.copyfile(path, temporary)
