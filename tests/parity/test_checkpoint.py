"""Checkpoints against torch, transformers and the Hub's formats, in both directions, for every class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lf_ref.checkpoint import HEADS, bind, open_tensors, save
from lf_ref.config import LongformerConfig
from lf_ref.files import locate
from oracles.weights import SMALL, state_of

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]

GOLDEN = Path(__file__).parent.parent / "checkpoint" / "golden"
CLASSES = {head: name for head, name in HEADS.items() if head != "encoder"}


def golden_tensors() -> dict[str, Any]:
    """What the golden files hold: made by torch 2.13.0, without randomness."""
    import torch

    grid = torch.arange(15.0).reshape(3, 5)
    return {
        "float32": grid,
        "transposed": grid.T,
        "row": grid[1],
        "column": grid[:, 2],
        "parameter": torch.nn.Parameter(grid + 0.5),
        "float64": torch.arange(15.0, dtype=torch.float64).reshape(3, 5) / 3,
        "float16": grid.half() / 8,
        "bfloat16": grid.bfloat16() / 8,
        "int64": grid.long(),
        "int32": -grid.int(),
        "int16": grid.short(),
        "int8": -grid.char(),
        "uint8": grid.byte(),
        "bool": grid % 2 == 1,
        "scalar": torch.tensor(7.0),
        "empty": torch.zeros(0, 4),
    }


def write_golden(folder: Path) -> None:
    """Write the golden files."""
    import torch

    torch.save(golden_tensors(), folder / "zip.bin")
    torch.save(golden_tensors(), folder / "protocol4.bin", pickle_protocol=4)
    torch.save(golden_tensors(), folder / "stream.bin", _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("form", ["zip", "stream", "protocol4"])
def test_the_golden_files_are_what_torch_reads(form):
    import torch

    expected = golden_tensors()
    read = torch.load(GOLDEN / f"{form}.bin", weights_only=form != "protocol4")
    assert list(read) == list(expected)
    assert all(torch.equal(read[name], value) and read[name].dtype == value.dtype for name, value in expected.items())


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model_of(request, tmp_path):
    """A model of HF's with random weights of ours, saved by HF in a folder: (model, config, folder)."""
    import torch
    import transformers

    def make(head: str) -> tuple[Any, LongformerConfig, Path]:
        fields = {**SMALL, "tie_word_embeddings": request.param, "num_labels": 2 if head == "question_answering" else 5}
        state = {name: torch.tensor(array) for name, array in state_of(CLASSES[head], fields, seed=5).items()}
        if not request.param and head == "masked_lm":
            state["lm_head.decoder.weight"] = state["lm_head.decoder.weight"] + 1
        model = getattr(transformers, CLASSES[head])(transformers.LongformerConfig(**fields))
        model.load_state_dict(state)
        folder = tmp_path / "theirs"
        model.save_pretrained(folder)
        return model, LongformerConfig.from_json_file(folder / "config.json"), folder

    return make


def assert_same_parameters(ours: dict[str, np.ndarray], model: Any) -> None:
    theirs = {name.removeprefix("longformer."): tensor.numpy() for name, tensor in model.state_dict().items()}
    theirs.pop("lm_head.decoder.bias", None)
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_array_equal(ours[name], values, err_msg=name)


@pytest.mark.parametrize("head", CLASSES)
def test_reads_what_hf_saves(head, model_of):
    model, config, folder = model_of(head)
    assert_same_parameters(bind(open_tensors(locate(folder)), config, head), model)


@pytest.mark.parametrize("head", CLASSES)
@pytest.mark.parametrize("new", [True, False], ids=["zip", "stream"])
def test_reads_what_torch_saves(head, new, model_of, tmp_path):
    import torch

    model, config, _ = model_of(head)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=new)
    assert_same_parameters(bind(open_tensors(locate(tmp_path)), config, head), model)
    assert_same_parameters(bind(model.state_dict(), config, head), model)


@pytest.mark.parametrize("safe", [True, False], ids=["safetensors", "torch"])
def test_reads_what_hf_saves_in_shards(safe, model_of, tmp_path):
    model, config, _ = model_of("masked_lm")
    model.save_pretrained(tmp_path, max_shard_size="9kB", safe_serialization=safe)
    suffix = "safetensors" if safe else "bin"
    assert len(list(tmp_path.glob(f"*-of-*.{suffix}"))) > 2
    assert_same_parameters(bind(open_tensors(locate(tmp_path)), config, "masked_lm"), model)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_widens_to_what_torch_makes_of_it(dtype, model_of, tmp_path):
    import torch

    model, config, _ = model_of("sequence_classification")
    model.to(getattr(torch, dtype))
    model.save_pretrained(tmp_path)
    ours = bind(open_tensors(locate(tmp_path)), config, "sequence_classification", "float64")
    assert_same_parameters(ours, model.double())


@pytest.mark.parametrize("head", CLASSES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hf_reads_what_we_save_with_nothing_missing_or_unexpected(head, dtype, model_of, tmp_path):
    import torch
    import transformers

    model, config, folder = model_of(head)
    save(tmp_path / "ours", bind(open_tensors(locate(folder)), config, head, dtype), config, head)
    again, report = getattr(transformers, CLASSES[head]).from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert not any(report.values()), report
    before, after = model.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name].float()) for name in before)
    assert type(transformers.AutoConfig.from_pretrained(tmp_path / "ours")).__name__ == "LongformerConfig"


def test_the_same_names_are_stored_as_by_hf(model_of, tmp_path):
    for head in CLASSES:
        _, config, folder = model_of(head)
        theirs = open_tensors(locate(folder))
        save(tmp_path / "ours", bind(theirs, config, head), config, head)
        assert open_tensors(locate(tmp_path / "ours")).keys() == theirs.keys(), head
