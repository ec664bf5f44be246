"""Checkpoints of sentence-transformers in every layout, dialect and mode, with a small random encoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from pipelines.building import DEMO, model_for
from safetensors.numpy import save_file

HIDDEN = 21
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
FLAGS = [
    "pooling_mode_cls_token",
    "pooling_mode_max_tokens",
    "pooling_mode_mean_tokens",
    "pooling_mode_mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens",
    "pooling_mode_lasttoken",
]
PROMPTS = {"query": "query: ", "document": "a document: ", "long": "Represent this text so that it is found: "}
OLD, BASE, NEW = (
    "sentence_transformers.models.{0}",
    "sentence_transformers.base.modules.{1}.{0}",
    "sentence_transformers.sentence_transformer.modules.{1}.{0}",
)
_HOMES = {"Transformer": BASE, "Dense": BASE, "Normalize": BASE}
_FILES = {"LayerNorm": "layer_norm"}
# Mixed lengths, an empty text, blanks at the ends, and one beyond the 71 tokens that the encoder takes.
TEXTS = [
    "The old gardener of Königsberg walked slowly along the river.",
    "",
    "  Nobody's answer. \n",
    "word " * 90,
    "Yes.",
    "He came, he saw - and he went home to London with Mr. Smith, " * 2,
]


def pooling_of(*modes: str, old: bool = False, **more: Any) -> dict[str, Any]:
    """The config of a Pooling, in either dialect."""
    if old:
        flags = {flag: mode in modes for flag, mode in zip(FLAGS, MODES, strict=True)}
        return {"word_embedding_dimension": HIDDEN, **flags, **more}
    return {"embedding_dimension": HIDDEN, "pooling_mode": modes[0] if len(modes) == 1 else [*modes], **more}


def dense_of(inputs: int, outputs: int, seed: int, **more: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A Dense: its kind, its config and its weights."""
    rng = np.random.default_rng(seed)
    config = {"in_features": inputs, "out_features": outputs, "bias": True, **more}
    weights = {
        "linear.weight": rng.normal(0, inputs**-0.5, (outputs, inputs)),
        "linear.bias": rng.normal(0, 0.3, outputs),
    }
    if not config["bias"]:
        del weights["linear.bias"]
    if more.get("use_residual") and inputs != outputs:
        weights["residual.weight"] = rng.normal(0, inputs**-0.5, (outputs, inputs))
    return "Dense", config, {name: values.astype(np.float32) for name, values in weights.items()}


def layer_norm_of(width: int) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """A LayerNorm."""
    rng = np.random.default_rng(width)
    weights = {"norm.weight": rng.normal(1, 0.3, width), "norm.bias": rng.normal(0, 0.3, width)}
    return "LayerNorm", {"dimension": width}, {name: values.astype(np.float32) for name, values in weights.items()}


NORMALIZE: tuple[str, Any, Any] = ("Normalize", None, None)


def build(
    folder: Path,
    pooling: dict[str, Any] | None = None,
    *further: tuple[str, Any, Any],
    old: bool = False,
    inner: str = "",
    transformer: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
    tokenizer: dict[str, Any] | None = None,
) -> Path:
    """Write a checkpoint.

    pooling: the config of the Pooling; further: the modules after it; old: class names of versions before 5; inner:
    the folder of the encoder; transformer, settings, tokenizer: the contents of sentence_bert_config.json,
    config_sentence_transformers.json and tokenizer_config.json.
    """
    root = folder / inner
    # HF pads to a multiple of the widest window alone, and fails where that is none of another window.
    model_for("feature-extraction", dtype="float32", attention_window=(4, 4)).save_pretrained(root)
    for name in ("vocab.json", "merges.txt", "special_tokens_map.json"):
        shutil.copy(DEMO / name, root / name)
    _write(
        root / "tokenizer_config.json",
        {"tokenizer_class": "RobertaTokenizer", "model_max_length": 71} | (tokenizer or {}),
    )
    if transformer is not None:
        _write(root / "sentence_bert_config.json", transformer)
    if settings is not None:
        _write(folder / "config_sentence_transformers.json", settings)
    modules = [{"idx": 0, "name": "0", "path": inner, "type": _type("Transformer", old)}]
    for index, (kind, config, weights) in enumerate([("Pooling", pooling or pooling_of("mean"), None), *further], 1):
        path = f"{index}_{kind}"
        modules.append({"idx": index, "name": str(index), "path": path, "type": _type(kind, old)})
        (folder / path).mkdir()
        if config is not None:
            _write(folder / path / "config.json", config)
        if weights is not None:
            save_file(weights, folder / path / "model.safetensors")
    _write(folder / "modules.json", modules)
    return folder


def _type(kind: str, old: bool) -> str:
    return (OLD if old else _HOMES.get(kind, NEW)).format(kind, _FILES.get(kind, kind.lower()))


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


_TANH = {"activation_function": "torch.nn.modules.activation.Tanh"}
# name -> arguments of `build`, and arguments of `encode`.
CASES: dict[str, tuple[tuple[Any, ...], dict[str, Any], dict[str, Any]]] = {
    **{mode: ((pooling_of(mode),), {}, {}) for mode in MODES},
    **{f"{mode} old": ((pooling_of(mode, old=True),), {"old": True, "inner": "0_Transformer"}, {}) for mode in MODES},
    **{
        f"{mode} without prompt": (
            (pooling_of(mode, include_prompt=False),),
            {"settings": {"prompts": PROMPTS}},
            {"prompt_name": "long"},
        )
        for mode in MODES
    },
    "no flag": (({"word_embedding_dimension": HIDDEN},), {"old": True}, {}),
    "joined": ((pooling_of("lasttoken", "mean", "cls"), NORMALIZE), {}, {}),
    "joined old": ((pooling_of("mean", "max", "cls", old=True), NORMALIZE), {"old": True}, {}),
    "dense": ((pooling_of("mean"), dense_of(21, 13, 1, **_TANH), NORMALIZE), {}, {}),
    **{
        f"dense {name}": ((None, dense_of(21, 17, 2, activation_function=f"torch.nn.modules.{name}")), {}, {})
        for name in ("activation.ReLU", "activation.GELU", "activation.Sigmoid", "activation.SiLU", "linear.Identity")
    },
    "dense bare": ((None, dense_of(21, 11, 3, bias=False), dense_of(11, 5, 4, **_TANH)), {"old": True}, {}),
    "residual": ((None, dense_of(21, 21, 5, use_residual=True), dense_of(21, 7, 6, use_residual=True)), {}, {}),
    "layer norm": ((pooling_of("mean", "cls"), layer_norm_of(42), ("Dropout", {"dropout": 0.2}, None)), {}, {}),
    "max_seq_length": ((), {"transformer": {"max_seq_length": 13, "do_lower_case": False}}, {}),
    "model_max_length": ((), {"tokenizer": {"model_max_length": 17}}, {}),
    "truncate_dim": ((None,), {"settings": {"truncate_dim": 8}}, {"normalize_embeddings": True}),
    "default prompt": ((), {"settings": {"prompts": PROMPTS, "default_prompt_name": "long"}}, {}),
    "no default prompt": (
        (),
        {"settings": {"prompts": PROMPTS, "default_prompt_name": "long"}},
        {"prompt": ""},
    ),
    "literal prompt": (
        (pooling_of("mean", include_prompt=False),),
        {"transformer": {"max_seq_length": 23}},
        {"prompt": "a prompt:"},
    ),
    "prompt longer than a row": (
        (pooling_of("mean", include_prompt=False),),
        {"transformer": {"max_seq_length": 5}},
        {"prompt": "a prompt that is longer than the row: "},
    ),
    "normalized": ((), {}, {"normalize_embeddings": True}),
}


def build_case(name: str, folder: Path) -> Path:
    """Write the checkpoint of a case."""
    arguments, options, _ = CASES[name]
    return build(folder, *arguments, **options)


def changed(folder: Path, name: str, **values: Any) -> None:
    """Change fields of a JSON file, which may be missing."""
    path = folder / name
    content = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**content, **values}))


def module(folder: Path, index: int, **values: Any) -> None:
    """Change fields of a module in modules.json."""
    path = folder / "modules.json"
    modules = json.loads(path.read_text())
    modules[index] |= values
    path.write_text(json.dumps(modules))
