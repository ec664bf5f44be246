"""What the notebook on official checkpoints does with a network, on a Hub that holds small models under their names.

Their answers mean nothing, so assertions are off here; `pytest -m official` compares the real ones with what is
published.
"""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import numpy as np
import pytest
from safetensors.numpy import load, save

import lf_ref
from notebooks.test_notebooks import ROOT, rerun
from oracles.hub_server import Hub, Repository, serving

DEMO = Path(lf_ref.__file__).parent / "demo"
NOTEBOOK = ROOT / "notebooks" / "07_official_checkpoints.ipynb"
SIZE = 256
HEADS = {
    "allenai/longformer-base-4096": {},
    "allenai/longformer-large-4096-finetuned-triviaqa": {"qa_outputs.weight": (2, SIZE), "qa_outputs.bias": (2,)},
    "jpwahle/longformer-base-plagiarism-detection": {
        "classifier.dense.weight": (SIZE, SIZE),
        "classifier.dense.bias": (SIZE,),
        "classifier.out_proj.weight": (2, SIZE),
        "classifier.out_proj.bias": (2,),
    },
}


def checkpoint(shapes: dict[str, tuple[int, ...]]) -> dict[str, bytes]:
    """The files of the bundled model, made to take 4096 tokens as the official ones, with a head of random weights."""
    files = {path.name: path.read_bytes() for path in DEMO.iterdir()}
    tensors = load(files["model.safetensors"])
    (name,) = (name for name in tensors if name.endswith("position_embeddings.weight"))
    tensors[name] = np.concatenate([tensors[name], tensors[name][2:]])
    config = json.loads(files["config.json"])
    files["config.json"] = json.dumps({**config, "max_position_embeddings": len(tensors[name])}).encode()
    rng = np.random.default_rng(0)
    tensors |= {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    files["model.safetensors"] = save(tensors, metadata={"format": "pt"})
    return files


@pytest.fixture
def hub():
    commits = {name: f"{number:040x}" for number, name in enumerate(HEADS, start=1)}
    repositories = {
        name: Repository({"main": commits[name]}, {commits[name]: checkpoint(shapes)}) for name, shapes in HEADS.items()
    }
    with serving(Hub(repositories)) as serving_hub:
        yield serving_hub


def test_with_a_network_nothing_is_skipped(hub, tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    last = max(index for index, cell in enumerate(notebook.cells) if "**Skipped" in json.dumps(cell.get("outputs", [])))
    del notebook.cells[last + 1 :]  # these need no network, and are run without one
    nbformat.write(notebook, tmp_path / NOTEBOOK.name)
    (tmp_path / "rerun").mkdir()
    online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": hub.endpoint, "PYTHONOPTIMIZE": "1"}
    fresh = rerun(tmp_path / NOTEBOOK.name, tmp_path / "rerun", **online)
    text = json.dumps([cell.get("outputs", []) for cell in fresh.cells])
    assert "Skipped" not in text
    assert "stderr" not in text
    for shown in ("published:", "'LABEL_1'", "'answer'"):
        assert shown in text
    assert {path.split("/resolve/")[0] for _, path, _ in hub.requests if "/resolve/" in path} == set(HEADS)


def test_without_one_each_checkpoint_is_a_note_and_nothing_else():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    notes = [
        (cell, output.data["text/markdown"])
        for cell in cells
        for output in cell.get("outputs", [])
        if "text/markdown" in output.get("data", {})
    ]
    assert len(notes) == 4
    for name in HEADS:
        assert any("**Skipped" in note and name in note for _, note in notes)
