"""Copying the files of sentence-transformers' modules beside an encoder that was made of theirs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..checkpoint.tensors import SAFETENSORS, TORCH
from ..files import Source, locate, replacing, write_beside
from ..tokenizer.files.json_values import read_json
from .folder import CONFIG, MODULES, SETTINGS, TRANSFORMER, Module, SentenceFolder, find_modules
from .reading import LENGTH, TOKENIZER_ARGUMENTS, TOKENIZER_LENGTH


def encoder_of(
    name: str | os.PathLike[str] | None, out: str | os.PathLike[str], where: Mapping[str, Any]
) -> tuple[Source, Path, SentenceFolder | None]:
    """The encoder of a checkpoint, the folder in `out` to write what is made of it to, and the modules to copy then.

    name: a folder or repository; where: the arguments of `locate` that pick its files.

    Raises:
        CheckpointError: there is a module that is not supported, or a path that leads out of the folder.
    """
    modules = find_modules(name, where)
    if modules is None:
        return locate(name, **where), Path(out), None
    return locate(name, **modules.transformer), modules.within(out), modules


def copy_modules(folder: SentenceFolder | None, out: str | os.PathLike[str], max_tokens: int | None = None) -> None:
    """Copy the settings of a checkpoint and its modules but for encoder and tokenizer, into the same layout.

    Paths were checked when modules.json was read: none leads out of `out`.

    folder: the checkpoint; nothing is done for None. max_tokens: the longest row of the new encoder, in place of that
    of the settings; None to keep it.

    Raises:
        CheckpointError: a file cannot be read.
        OSError: a file cannot be written.
    """
    if folder is None:
        return
    encoder, *others = folder.modules
    root = Module("", "")
    for module, names in (
        (root, (MODULES, SETTINGS)),
        (encoder, TRANSFORMER),
        *((module, (CONFIG, SAFETENSORS, TORCH)) for module in others),
    ):
        for name in names:
            path = folder.find(module, name)
            if path is None:
                continue
            target = Path(out) / module.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if module is encoder and max_tokens is not None:
                write_beside(target, json.dumps(_with_length(read_json(path), max_tokens), indent=2).encode())
            else:
                with replacing(target) as temporary:
                    shutil.copyfile(path, temporary)


def _with_length(settings: dict[str, Any], max_tokens: int) -> dict[str, Any]:
    """Settings of the Transformer whose lengths, where they are set, are this one."""
    changed = settings | ({LENGTH: max_tokens} if settings.get(LENGTH) is not None else {})
    for name in TOKENIZER_ARGUMENTS:
        given = changed.get(name)
        if isinstance(given, dict) and given.get(TOKENIZER_LENGTH) is not None:
            changed[name] = given | {TOKENIZER_LENGTH: max_tokens}
    return changed
