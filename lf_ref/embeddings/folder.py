"""The layout of a checkpoint of sentence-transformers.

`modules.json` lists the modules and their folders, the encoder (Transformer) first, in the root or in a folder of its
own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CheckpointError, CheckpointFileError, InputError
from ..files import Source, locate, parts_of
from ..tokenizer.files.json_values import expect, read_json

MODULES, SETTINGS, CONFIG = "modules.json", "config_sentence_transformers.json", "config.json"
# The settings of the Transformer, under the first of these names that is there.
TRANSFORMER = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_SUPPORTED = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "Dropout")
# Up to version 4 and since: sentence_transformers.models.Pooling, sentence_transformers.base.modules.dense.Dense.
_TYPE = re.compile(r"sentence_transformers\.(?:models|base\.modules|sentence_transformer\.modules)\.(?:\w+\.)?(\w+)")


@dataclass(frozen=True)
class Module:
    """A line of modules.json: the class, one of those that are supported, and its folder, "" for the root."""

    kind: str
    path: str


@dataclass(frozen=True)
class SentenceFolder:
    """A checkpoint of sentence-transformers.

    Args:
        name: the folder or repository.
        where: the arguments of `locate` that pick its files.
        modules: those that modules.json lists, the Transformer first.
    """

    name: str | os.PathLike[str] | None
    where: Mapping[str, Any]
    modules: tuple[Module, ...]

    def source(self, path: str = "") -> Source:
        """The source of the files in a folder of it."""
        return locate(self.name, **self.located(path))

    def find(self, module: Module, filename: str) -> Path | None:
        """The path of a file in the folder of a module; None if the file, or the folder, does not exist."""
        try:
            return self.source(module.path).find(filename)
        except CheckpointFileError:
            return None

    def located(self, path: str) -> dict[str, Any]:
        """The arguments of `locate` for a folder of it."""
        subfolder = "/".join(filter(None, (self.where.get("subfolder"), path)))
        return {**self.where, "subfolder": subfolder}

    def within(self, out: str | os.PathLike[str]) -> Path:
        """The folder of the encoder in another folder of this layout."""
        return Path(out) / self.modules[0].path

    @property
    def transformer(self) -> dict[str, Any]:
        """The arguments of `locate` for the encoder and the tokenizer."""
        return self.located(self.modules[0].path)


def find_modules(name: str | os.PathLike[str] | None, where: Mapping[str, Any]) -> SentenceFolder | None:
    """The modules of a checkpoint; None if it has no modules.json.

    name: a folder or repository; where: the arguments of `locate` that pick the files.

    Raises:
        CheckpointError: there is a module that is not supported, or a path that leads out of the folder.
    """
    path = locate(name, **where).find(MODULES)
    if path is None:
        return None
    modules = [_module(entry, f"{path}: module {index}") for index, entry in enumerate(read_json(path, list))]
    kinds = [module.kind for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or {"Transformer", "Pooling"} & {*kinds[2:]}:
        raise CheckpointError(
            f"{path} lists {', '.join(kinds) or 'no modules'}; wanted are one Transformer, one Pooling, then others"
        )
    return SentenceFolder(name, where, tuple(modules))


def locate_encoder(name: str | os.PathLike[str] | None, where: Mapping[str, Any]) -> Source:
    """The source of model and tokenizer of a checkpoint, which one of sentence-transformers may have in a folder.

    name, where: as for `find_modules`.

    Raises:
        CheckpointError: there is a module that is not supported, or a path that leads out of the folder.
    """
    modules = find_modules(name, where)
    return locate(name, **(where if modules is None else modules.transformer))


def _module(entry: Any, where: str) -> Module:
    expect(entry, dict, where)
    kind = expect(entry.get("type"), str, f"{where}: type")
    match = _TYPE.fullmatch(kind)
    if match is None:
        raise CheckpointError(f"{where} is {kind}, code of its own, which is never run")
    if match[1] not in _SUPPORTED:
        raise CheckpointError(f"{where} is {match[1]}, which is not supported; supported are {', '.join(_SUPPORTED)}")
    path = expect(entry.get("path", ""), str, f"{where}: path")
    try:
        parts = parts_of(path)
    except InputError as error:
        raise CheckpointError(f"{where}: {error}") from None
    return Module(match[1], "/".join(parts))
