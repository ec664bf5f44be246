"""Checkpoints against torch, transformers and the Hub's formats, in both directions, for every class."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lf_ref
from lf_ref.checkpoint import HEADS, bind, open_tensors, save
from lf_ref.config import LongformerConfig
from lf_ref.files import locate
from oracles.compare import assert_close
from oracles.tolerances import FLOAT32
from oracles.weights import SMALL, ragged_batch, state_of

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


# --- what HF reads though it is not quite what HF saves ---------------------------------------------------------------

INPUTS = ragged_batch(SMALL, seed=431)


def theirs_of(model: Any) -> np.ndarray:
    import torch

    with torch.no_grad():
        return model.eval()(**{name: torch.tensor(values) for name, values in INPUTS.items()}).logits.numpy()


def assert_same_logits(ours: Any, model: Any) -> None:
    shown = INPUTS["attention_mask"] == 1
    assert_close(ours(**INPUTS).logits[shown], theirs_of(model)[shown], FLOAT32, "logits")


@pytest.mark.parametrize(
    "extra",
    [
        {"attention_dilation": [1, 1], "autoregressive": False, "attention_mode": "sliding_chunks"},
        {"attention_mode": "tvm"},
    ],
)
def test_hf_ignores_allenais_fields_in_what_it_has_saved(extra, model_of):
    import transformers

    _, _, folder = model_of("masked_lm")
    transformers.LongformerConfig.from_pretrained(folder, **extra).save_pretrained(folder)
    again = transformers.LongformerConfig.from_pretrained(folder)
    for name, value in extra.items():
        setattr(again, name, value)
    again.save_pretrained(folder)
    ours = lf_ref.LongformerForMaskedLM.from_pretrained(folder)
    assert all(getattr(ours.config, name) == value for name, value in extra.items())
    assert_same_logits(ours, transformers.LongformerForMaskedLM.from_pretrained(folder))


@pytest.mark.parametrize("extra", [{"attention_dilation": [1, 2]}, {"autoregressive": True}])
def test_hf_loads_a_dilated_or_causal_model_and_computes_plain_windows(extra, model_of, tmp_path):
    import transformers

    _, _, folder = model_of("masked_lm")
    plain = lf_ref.LongformerForMaskedLM.from_pretrained(folder)
    other = lf_ref.LongformerForMaskedLM.from_pretrained(folder, **extra)
    other.save_pretrained(tmp_path)
    theirs, report = transformers.LongformerForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    (name,) = extra
    assert getattr(theirs.config, name) == extra[name], "kept, and not used"
    assert_same_logits(plain, theirs)
    again = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path)
    assert_close(again(**INPUTS).logits, other(**INPUTS).logits, FLOAT32, "logits")
    assert np.abs(other(**INPUTS).logits - plain(**INPUTS).logits).max() > 1e-3


def test_a_roberta_that_was_made_long_is_hfs_longformer(tmp_path):
    """As AllenAI's notebook makes it: HF's attention of Longformer in the layers of HF's RoBERTa."""
    import torch
    import transformers
    from transformers.models.longformer.modeling_longformer import LongformerSelfAttention

    fields = {name: value for name, value in SMALL.items() if name not in ("sep_token_id", "attention_window")}
    config = transformers.RobertaConfig(**fields)
    roberta = transformers.RobertaForMaskedLM(config)
    config.attention_window = SMALL["attention_window"]
    for number, layer in enumerate(roberta.roberta.encoder.layer):
        layer.attention.self = LongformerSelfAttention(config, layer_id=number)
    roberta.save_pretrained(tmp_path)
    longformer = transformers.LongformerForMaskedLM(transformers.LongformerConfig(**SMALL))
    state = {name.replace("roberta.", "longformer."): values for name, values in roberta.state_dict().items()}
    longformer.load_state_dict(state)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "roberta"
    assert_same_logits(lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path), longformer)
    torch.save(roberta.state_dict(), tmp_path / "pytorch_model.bin")
    assert_same_logits(lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, use_safetensors=False), longformer)


@pytest.mark.filterwarnings("ignore:.*script_method:DeprecationWarning")  # of torch.compile's own imports
def test_wrappers_of_torch_are_taken_off(model_of):
    import torch

    model, config, _ = model_of("masked_lm")
    parallel, compiled = torch.nn.DataParallel(model), torch.compile(model)
    both = torch.compile(parallel)
    module = torch.nn.Module()
    module.model = parallel
    for wrapped in (parallel, compiled, both, module):
        names = wrapped.state_dict()
        assert not any(name.startswith(("longformer", "lm_head")) for name in names)
        assert_same_parameters(bind(names, config, "masked_lm"), model)


def test_hf_too_leaves_what_a_class_does_not_use(model_of):
    import safetensors.torch
    import torch
    import transformers

    _, _, folder = model_of("masked_lm")
    state = safetensors.torch.load_file(folder / "model.safetensors")
    extra = {"loss_fct.weight": torch.ones(3), "classifier2.weight": torch.ones(2, 21)}
    safetensors.torch.save_file(state | extra, folder / "model.safetensors", {"format": "pt"})
    theirs, report = transformers.LongformerForMaskedLM.from_pretrained(folder, output_loading_info=True)
    with pytest.warns(UserWarning, match="does not use 2 of the weights") as caught:
        ours = lf_ref.LongformerForMaskedLM.from_pretrained(folder)
    assert all(name in str(caught[0].message) for name in report["unexpected_keys"])
    assert_same_logits(ours, theirs)


def test_fewer_layers_are_the_first_as_in_hf(model_of):
    import transformers

    _, _, folder = model_of("masked_lm")
    theirs = transformers.LongformerForMaskedLM.from_pretrained(folder, num_hidden_layers=1, attention_window=4)
    for options in ({}, {"attention_window": 4}):
        with pytest.warns(UserWarning, match="the first 1 of its 2 layers"):
            ours = lf_ref.LongformerForMaskedLM.from_pretrained(folder, num_hidden_layers=1, **options)
        assert ours.config.windows == (4,)
        assert_same_logits(ours, theirs)


@pytest.mark.parametrize("size", ["5GB", "9kB"])
@pytest.mark.parametrize("is_safe", [True, False])
def test_variants_and_subfolders_are_those_of_hf(size, is_safe, model_of, tmp_path):
    model, _, folder = model_of("masked_lm")
    inner = folder / "some" / "inner"
    model.save_pretrained(inner, variant="fp16", max_shard_size=size, safe_serialization=is_safe)
    options = {"subfolder": "some/inner", "variant": "fp16", "use_safetensors": is_safe}
    np.testing.assert_array_equal(theirs_of(type(model).from_pretrained(folder, **options)), theirs_of(model))
    assert_same_logits(lf_ref.LongformerForMaskedLM.from_pretrained(folder, **options), model)
    for wrong in ({"variant": None}, {"use_safetensors": not is_safe}, {"subfolder": "some"}):
        for cls in (type(model), lf_ref.LongformerForMaskedLM):
            with pytest.raises(OSError, match=r"\w"):
                cls.from_pretrained(folder, **{**options, **wrong})


@pytest.mark.parametrize("name", ["./nothing", "two words"])
def test_what_is_missing_is_an_os_error_in_hf_too(name, tmp_path):
    import transformers

    (tmp_path / "config.json").write_text('{"model_type": "longformer"}')
    for package in (transformers, lf_ref):
        with pytest.raises(OSError, match=r"\w"):
            package.LongformerConfig.from_pretrained(name)
        with pytest.raises(OSError, match=r"\w"):
            package.LongformerModel.from_pretrained(tmp_path)
