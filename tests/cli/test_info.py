"""What `lf-ref info` says of a model: its tasks, tensors, memory, and the estimates of a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from cli.running import run
from pipelines.building import DEMO

import lf_ref


@pytest.mark.parametrize(
    ("task", "tasks"),
    [
        ("fill-mask", ["fill-mask", "feature-extraction", "embeddings"]),
        ("multiple-choice", ["feature-extraction", "multiple-choice", "embeddings"]),
        ("question-answering", ["feature-extraction", "question-answering", "embeddings"]),
        ("token-classification", ["feature-extraction", "token-classification", "embeddings", "ner"]),
        (
            "text-classification",
            [
                "feature-extraction",
                "text-classification",
                "zero-shot-classification",
                "embeddings",
                "sentiment-analysis",
            ],
        ),
    ],
)
def test_info_lists_the_tasks_that_the_weights_fit(task, tasks, folders):
    assert json.loads(run("info", "--json", folders[task]))["tasks"] == tasks


def test_info_of_the_demo():
    from safetensors import safe_open

    facts = json.loads(run("info", "--json", "--length", "100", "--length", "7", "--dtype", "float64"))
    with safe_open(DEMO / "model.safetensors", "np") as file:
        shapes = {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    assert {tensor["name"]: tensor["shape"] for tensor in facts["tensors"]} == shapes
    total = sum(int(np.prod(shape)) for shape in shapes.values())
    assert facts["parameters"] == total
    assert facts["stored_bytes"] == 2 * total
    assert facts["memory_bytes"] == 8 * total
    assert facts["config"] == lf_ref.LongformerConfig.from_json_file(DEMO / "config.json").to_dict()
    assert [one["length"] for one in facts["estimates"]["lengths"]] == [100, 7]
    for one in facts["estimates"]["lengths"]:
        assert one["gflop"] * 1e9 == pytest.approx(counted(one["length"]))
        assert one["seconds"] == pytest.approx(one["gflop"] / facts["estimates"]["gflop_per_second"])


def counted(length):
    """Operations of the demo's encoder, the pairs of the band counted one by one."""
    config = lf_ref.LongformerConfig.from_json_file(DEMO / "config.json")
    total = 0
    for window in config.windows:
        weights = 4 * config.hidden_size**2 + 2 * config.hidden_size * config.intermediate_size
        pairs = sum(abs(i - j) <= window // 2 for i in range(length) for j in range(length))
        total += 2 * length * weights + 2 * 2 * config.hidden_size * pairs
    return total


def test_info_for_people(folders):
    shown = run("info", "--length", "50", "--model", folders["question-answering"])
    assert re.search(r"^tasks +feature-extraction, question-answering, embeddings$", shown, re.M)
    assert re.search(r"^in memory +[\d.]+ kB as float32, mapped from the file$", shown, re.M)
    assert re.search(r"^ +50 +0\.\d+ +\S+ +[\d.]+ kB$", shown, re.M)
    assert "attention is slower than a matmul" in shown
    assert Path(folders["question-answering"]).name in shown


def test_the_summary_fits_a_screen(folders):
    for folder in ("demo", *folders.values()):
        lines = run("info", folder).splitlines()
        assert len(lines) <= 24
        assert [line for line in lines if len(line) > 80 and not line.startswith(("checkpoint", "file", "tasks"))] == []


def test_tensors_on_request(folders):
    row = re.compile(r"qa_outputs\.weight +float32 +\(2, 21\) +168 B$", re.M)
    assert row.search(run("info", "--tensors", folders["question-answering"]))
    assert not row.search(run("info", folders["question-answering"]))


def test_labels_where_there_is_a_classification_head(folders):
    for task, folder in folders.items():
        has_labels = task in ("text-classification", "token-classification", "zero-shot-classification")
        assert bool(re.search("^labels +", run("info", folder), re.M)) == has_labels
