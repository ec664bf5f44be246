"""Small random RoBERTas to convert: configurations and state dicts with HF's names, saved without lf_ref."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from .weights import SMALL, state_of

SOURCE_TOKENS = 19


def roberta_fields(**changes: Any) -> dict[str, Any]:
    """The `config.json` of a small RoBERTa; it says no attention_window and no sep_token_id."""
    fields = {name: value for name, value in SMALL.items() if name not in ("attention_window", "sep_token_id")}
    fields |= {"model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "type_vocab_size": 2} | changes
    return {**fields, "max_position_embeddings": SOURCE_TOKENS + fields["pad_token_id"] + 1}


def roberta_state(fields: Mapping[str, Any], seed: int = 3, **options: Any) -> dict[str, NDArray[Any]]:
    """The weights of the class that the fields name, under HF's names: no global projections, one of tied tensors."""
    name = "Longformer" + fields["architectures"][0].removeprefix("Roberta")
    state = state_of(name, fields, seed, **options)
    return {
        stored.replace("longformer.", "roberta.", 1): values
        for stored, values in state.items()
        if "_global." not in stored and not stored.startswith("lm_head.decoder.")
    }


def save_roberta(folder: Path, fields: Mapping[str, Any], state: Mapping[str, NDArray[Any]]) -> Path:
    """Write config and weights into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(fields))
    save_file({name: np.ascontiguousarray(values) for name, values in state.items()}, folder / "model.safetensors")
    return folder
