"""The peers on torch compute the same as lf_ref, in each dtype. No time is judged."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest
from bench.running import ALL, ATTENTION, RAGGED, ROUNDED, ROUNDED_LOGITS, SAME, chosen, header, run

from lf_ref.bench import bars, kinds
from lf_ref.bench.kinds import Setup
from lf_ref.bench.sides import Ours
from lf_ref.bench.size import Size, first_token

pytestmark = pytest.mark.parity


def test_transformers_computes_the_same():
    facts = json.loads(run("--json", "--against", "transformers", *chosen(*(name for name in ALL if name != "matmul"))))
    assert {"torch", "transformers"} <= set(facts["machine"]["versions"])
    assert {"encoder", "batch", "classification", "masked-lm", "attention", "memory", "first-answer"} <= {
        work["name"] for work in facts["works"]
    }
    for work in facts["works"]:
        if work["name"] not in ("memory-process", "memory-model"):
            assert work["difference"] < SAME, work["name"]
        assert work["ratio"] > 0
        assert min(work["ratios"]) <= work["ratio"] <= max(work["ratios"])


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_transformers_in_reduced_precision(dtype):
    works = ["encoder", "batch", "classification", "masked-lm", "masked-lm-near"]
    facts = json.loads(run("--json", "--against", "transformers", "--dtype", dtype, *chosen(*works)))
    assert facts["peer_dtype"] == ("bfloat16" if dtype == "bfloat16" else "float32")
    assert len(facts["works"]) == len(works)
    for work in facts["works"]:
        rounded = ROUNDED_LOGITS if work["name"].startswith("masked-lm") else ROUNDED
        assert SAME < work["difference"] < rounded, work["name"]


def test_processes_of_both_sides_in_bfloat16():
    works = ["memory", "first-answer"]
    facts = json.loads(run("--json", "--against", "transformers", "--dtype", "bfloat16", *chosen(*works)))
    differences = [work["difference"] for work in facts["works"] if work["name"] in works]
    assert len(differences) == 2
    assert SAME < min(differences) <= max(differences) < ROUNDED


def test_the_table_names_both_sides():
    printed = run("--against", "transformers", *chosen("attention", "memory"))
    assert header(printed) == [
        "work", "lf_ref", "float32", "transformers", "float32", "ratio", "at", "least", "difference",
    ]  # fmt: skip
    assert "banded attention alone, 96 tokens, window 16" in printed
    assert "MB" in printed
    printed = run("--against", "transformers", "--dtype", "int8", *chosen("encoder-short"))
    assert "lf_ref in int8, transformers in float32: it is not measured in int8" in printed


def test_hf_takes_only_whole_windows_for_its_attention():
    assert "--tokens must be a multiple of --window" in run("--against", "transformers", "--tokens", "97", code=2)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_compute_the_same(engine):
    if find_spec(engine) is None:
        pytest.skip(f"{engine} is not installed; pip install 'lf-ref[engines]' (it is no part of the parity extra)")
    works = ["encoder", "encoder-short", "classification", "masked-lm-near", "memory", "first-answer"]
    facts = json.loads(run("--json", "--against", engine, *chosen(*works)))
    assert engine in facts["machine"]["versions"]
    for work in facts["works"]:
        assert "failure" not in work
        assert work[engine].keys() >= {"bytes"} or work[engine]["seconds"] > 0
        if work["name"] not in ("memory-process", "memory-model"):
            assert work["difference"] < SAME, work["name"]
    assert len(facts["conversions"]) == 4
    for name in (*ATTENTION, *RAGGED):
        assert f"{name} cannot be measured in float32 beside {engine}" in run(
            "--against", engine, *chosen(name), code=2
        )


@pytest.mark.parametrize("window", [8, 16])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_rewritten_encoder_computes_the_same(window, dtype, tmp_path):
    """Dense and in blocks, with and without a remainder; a text is as long as any number of blocks or one token off."""
    size = Size(layers=2, heads=3, window=window, tokens=101, vocabulary=61)
    size.write_checkpoint(tmp_path, dtype)
    ours, side = Ours(tmp_path, 1, dtype), Setup("torch-sdpa", tmp_path, 1, dtype).open()
    for length in (1, 2, 3, 5, 8, 9, 10, 13, 16, 17, 18, 24, 25, 26, 31, 33, 41, 64, 83, 101):
        ids = size.text(length)
        found, wanted = side.encoder(ids, first_token(ids)), ours.encoder(ids, first_token(ids))
        assert found.dtype == np.float32
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < (1e-5 if dtype == "float32" else bars.TOLERANCES[dtype]), length


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_torch_sdpa_as_a_peer(dtype):
    wanted = [name for name in ALL if name not in kinds.left_out(dtype, "torch-sdpa")]
    facts = json.loads(run("--json", "--against", "torch-sdpa", "--dtype", dtype, *chosen(*wanted)))
    assert (facts["peer_dtype"], "torch" in facts["machine"]["versions"]) == (dtype, True)
    assert {"encoder", "encoder-short", "one-by-one", "matmul", "memory"} <= {work["name"] for work in facts["works"]}
    for work in facts["works"]:
        assert "failure" not in work
        if work["name"] not in ("memory-process", "memory-model"):
            assert work["difference"] < bars.TOLERANCES[dtype], work["name"]
    message = run("--against", "torch-sdpa", *chosen("batch"), code=2)
    assert "batch cannot be measured in float32 beside torch-sdpa: only the encoder of one text" in message


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_openvino_sdpa_as_a_peer(dtype):
    pytest.importorskip("openvino", reason="pip install 'lf-ref[engines]' (it is no part of the parity extra)")
    names = ["encoder", "encoder-middle", "first-answer"]
    facts = json.loads(run("--json", "--against", "openvino-sdpa", "--dtype", dtype, *chosen(*names)))
    assert [work["name"] for work in facts["works"] if "ratio" in work and "failure" not in work] == names
    assert all(work["difference"] < bars.TOLERANCES[dtype] for work in facts["works"])
    assert len(facts["conversions"]) == 3
