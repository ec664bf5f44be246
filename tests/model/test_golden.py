"""Parity without torch: both engines against golden files of HF transformers (tests/golden/model/make.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors import safe_open

from model.building import TOLERANCE, build
from oracles.compare import assert_close
from oracles.strategies import COMPILED

FOLDER = Path(__file__).parents[1] / "golden" / "model"
NAMES = [
    "model",
    "masked_lm",
    "sequence_classification",
    "token_classification",
    "multiple_choice",
    "question_answering",
]


def read(name):
    """State dict, inputs, outputs (layers as tuples) and metadata of one golden file."""
    parts = {"state": {}, "input": {}, "output": {}}
    with safe_open(FOLDER / f"{name}.safetensors", "numpy") as file:
        metadata = json.loads(file.metadata()["golden"])
        for key in sorted(file.keys()):
            kind, _, rest = key.partition(".")
            parts[kind][rest] = file.get_tensor(key)
    layered = {}
    for key in [key for key in parts["output"] if key[-1].isdigit()]:
        layered.setdefault(key.rpartition(".")[0], []).append(parts["output"].pop(key))
    parts["output"] |= {key: tuple(arrays) for key, arrays in layered.items()}
    return parts["state"], parts["input"], parts["output"], metadata


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("name", "backend"),
    [(name, "numpy") for name in NAMES]
    + [(name, "numba") for name in NAMES if read(name)[3]["config"].get("hidden_act", "gelu") in COMPILED],
)
def test_equals_what_hf_answered(name, dtype, backend):
    state, inputs, expected, metadata = read(name)
    model = build(metadata["class"], metadata["config"], state, backend, dtype)
    output = model(**inputs, output_attentions=True, output_hidden_states=True)
    assert set(output.keys()) == set(expected)
    for field, value in expected.items():
        assert_close(output[field], value, TOLERANCE[dtype], field)


def test_files_are_complete_small_and_say_who_made_them():
    assert {path.stem for path in FOLDER.glob("*.safetensors")} == set(NAMES)
    for name in NAMES:
        assert (FOLDER / f"{name}.safetensors").stat().st_size < 200_000, name
        metadata = read(name)[3]
        assert metadata["made_by"].startswith("tests/golden/model/make.py")
        for key in ("transformers", "torch", "numpy", "seed"):
            assert metadata[key], f"{name}: {key}"


def test_files_hold_ragged_batches():
    for name in ("model", "masked_lm", "token_classification"):
        _, inputs, output, _ = read(name)
        seen = inputs["attention_mask"] == 1
        assert len(set(seen.sum(1).tolist())) == 3, name
        assert len(set((seen & (inputs["global_attention_mask"] == 1)).sum(1).tolist())) == 3, name
        assert output["global_attentions"][0].shape[-1] == 3, name
    for name in ("multiple_choice", "question_answering"):
        _, inputs, output, _ = read(name)
        assert "global_attention_mask" not in inputs, f"{name}: the head's own choice is what is tested"
        assert len({int(row.argmax()) for row in (inputs["input_ids"].reshape(-1, inputs["input_ids"].shape[-1]) == 2)})
