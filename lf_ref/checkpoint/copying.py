"""Writing a checkpoint that was made from another one: its weights, config and tokenizer."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import CONFIG_NAME
from ..config_rules import read_fields
from ..errors import CheckpointError
from ..files import Source, replacing, write_beside
from .names import DECODER, WORDS, parameters_of
from .saving import write_checkpoint, write_weights
from .stored import StoredTensor, StoredTensors, same

# What a tokenizer consists of, in one form or another.
_SETTINGS = "tokenizer_config.json"
_TOKENIZER = (
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    _SETTINGS,
    "special_tokens_map.json",
    "added_tokens.json",
)


def write_copy(
    source: Source,
    folder: str | os.PathLike[str],
    stored: Mapping[str, StoredTensor],
    fields: Mapping[str, Any] | None,
    tokenizer: Mapping[str, Any] | None,
) -> None:
    """Write tensors that were made from those of `source`, a config, and the files of the tokenizer of `source`.

    Files of a tokenizer that stand in the folder, and would be read with those of `source`, are removed.

    Args:
        source: where the other files are.
        folder: is created if missing.
        stored: the tensors by stored name.
        fields: of the config; None for the file of `source` as it is.
        tokenizer: settings to replace in tokenizer_config.json; None to copy none, and leave that of the folder.

    Raises:
        CheckpointError: the folder is that of `source`.
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    config = source.require(CONFIG_NAME)
    if folder.resolve() == config.parent.resolve():
        raise CheckpointError(f"{folder} holds the checkpoint that is read; name another folder to write to")
    paths = {} if tokenizer is None else {filename: source.find(filename) for filename in _TOKENIZER}
    folder.mkdir(parents=True, exist_ok=True)
    if fields is None:
        write_weights(folder, stored)
        _copy(config, folder)
    else:
        write_checkpoint(folder, stored, fields)
    if not any(paths.values()):
        return
    for filename, path in paths.items():
        if filename == _SETTINGS and tokenizer:
            settings = {**({} if path is None else read_fields(path)), **tokenizer}
            write_beside(folder / _SETTINGS, (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode())
        elif path is not None:
            _copy(path, folder)
        else:
            (folder / filename).unlink(missing_ok=True)


def kept(tensors: StoredTensors, tied: bool) -> dict[str, str]:
    """The tensors that are parameters, and which: without a decoder that only repeats tied word embeddings."""
    names = parameters_of(tensors)
    words = next((name for name, parameter in names.items() if parameter == WORDS), None)
    return {
        name: parameter
        for name, parameter in names.items()
        if parameter is not None
        and not (parameter == DECODER and tied and words is not None and same(tensors[name], tensors[words]))
    }


def _copy(path: Path, folder: Path) -> None:
    with replacing(folder / path.name) as temporary:
        shutil.copyfile(path, temporary)
