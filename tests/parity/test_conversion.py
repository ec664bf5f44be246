"""`convert` against HF transformers: what it writes loads there, and gives what the source gives."""

from __future__ import annotations

import json

import numpy as np
import pytest

import lf_ref
from oracles.tf_writer import tf_name
from oracles.weights import SMALL, state_of
from parity.peers import peer_modules

CLASSES = ["Model", "ForMaskedLM", "ForSequenceClassification", "ForTokenClassification", "ForMultipleChoice"]
CLASSES += ["ForQuestionAnswering"]
WINDOW, TOKENS, MORE = 8, 19, 47
EQUAL = WINDOW // 2 + 1
NEAR = 5e-6

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]


def roberta(kind, head, folder, seed=0, **changes):
    """HF's model of a class with large random weights, saved."""
    torch, transformers = peer_modules()
    pad = changes.get("pad_token_id", 1)
    labels = 2 if head == "ForQuestionAnswering" else 3
    config = getattr(transformers, f"{kind}Config")(
        **{
            "vocab_size": 53,
            "hidden_size": 12,
            "num_attention_heads": 3,
            "num_hidden_layers": 2,
            "intermediate_size": 17,
            "max_position_embeddings": TOKENS + pad + 1,
            "type_vocab_size": 2,
            "initializer_range": 0.5,
            "num_labels": labels,
            "eos_token_id": 7,
            **changes,
        }
    )
    torch.manual_seed(seed)
    model = getattr(transformers, f"{kind}{head}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model


def batch(pad, length, head):
    """Two ragged texts with token types, of `length` tokens and one fewer."""
    rng = np.random.default_rng(length)
    ids = rng.integers(8, 53, (2, length))
    mask = np.ones_like(ids)
    mask[1, -1], ids[1, -1] = 0, pad
    given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": rng.integers(0, 2, ids.shape)}
    return {name: value[None] for name, value in given.items()} if head == "ForMultipleChoice" else given


def answers(model, given):
    torch, _ = peer_modules()
    with torch.no_grad():
        output = model(**{name: torch.tensor(value) for name, value in given.items()})
    return [value.numpy() for value in output.to_tuple()]


def load_theirs(head, folder):
    """HF's Longformer of a folder, with nothing missing, unexpected or of another shape."""
    _, transformers = peer_modules()
    model, found = getattr(transformers, f"Longformer{head}").from_pretrained(folder, output_loading_info=True)
    assert not any(found.values()), found
    return model.eval()


def load_ours(head, folder):
    return getattr(lf_ref, f"Longformer{head}").from_pretrained(folder, backend="numpy", strict=True)


def assert_near(got, expected, given):
    assert len(got) == len(expected)
    visible = given["attention_mask"].astype(bool)
    for one, other in zip(got, expected, strict=True):
        if one.shape[:2] == visible.shape:  # a masked token's own values differ, and mean nothing
            one, other = one[visible], other[visible]
        np.testing.assert_allclose(one, other, rtol=0, atol=NEAR * max(1, np.abs(other).max()))


@pytest.mark.parametrize("kind", ["Roberta", "XLMRoberta", "Camembert"])
@pytest.mark.parametrize("head", CLASSES)
@pytest.mark.parametrize("pad", [0, 1, 3])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_a_converted_roberta_gives_what_the_source_gives_up_to_half_a_window(kind, head, pad, tied, tmp_path):
    source = roberta(kind, head, tmp_path / "roberta", pad_token_id=pad, tie_word_embeddings=tied)
    made = lf_ref.convert(tmp_path / "roberta", tmp_path / "out", max_tokens=MORE, window=WINDOW)
    assert made.equal_tokens == EQUAL
    assert made.source_tokens == TOKENS
    theirs, ours = load_theirs(head, tmp_path / "out"), load_ours(head, tmp_path / "out")
    fields = json.loads((tmp_path / "out" / "config.json").read_text())
    assert fields["architectures"] == [f"Longformer{head}"]
    assert (fields["sep_token_id"], fields["max_position_embeddings"]) == (7, MORE + pad + 1)
    assert fields["tie_word_embeddings"] is tied
    for length in (2, EQUAL):
        given = batch(pad, length, head)
        expected = answers(source, given)
        for globals_ in (0, 1):
            mask = np.full_like(given["input_ids"], globals_) * given["attention_mask"]
            marked = given | {"global_attention_mask": mask}
            assert_near(answers(theirs, marked), expected, given)
            assert_near([np.asarray(value) for value in ours(**marked).to_tuple()], expected, given)
    given = batch(pad, EQUAL + 1, head)
    given["attention_mask"][...] = 1  # both texts have one token more than all see
    given["input_ids"][given["input_ids"] == pad] = 9
    marked = given | {"global_attention_mask": np.zeros_like(given["input_ids"])}
    expected, got = answers(source, given)[0], ours(**marked).to_tuple()[0]
    assert np.abs(got - expected).max() > 1e-3
    np.testing.assert_allclose(got, answers(theirs, marked)[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_the_dtype_is_kept(dtype, tmp_path):
    torch, transformers = peer_modules()
    roberta("Roberta", "ForMaskedLM", tmp_path / "in").to(getattr(torch, dtype)).save_pretrained(tmp_path / "in")
    lf_ref.convert(tmp_path / "in", tmp_path / "out")
    model = transformers.LongformerForMaskedLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}
    assert model.config.max_position_embeddings == 4098


def test_a_sharded_source_and_a_torch_file_convert_alike(tmp_path):
    model = roberta("Roberta", "ForMaskedLM", tmp_path / "one")
    model.save_pretrained(tmp_path / "shards", max_shard_size="3kB")
    assert (tmp_path / "shards" / "model.safetensors.index.json").exists()
    model.save_pretrained(tmp_path / "torch", safe_serialization=False)
    for name in ("one", "shards", "torch"):
        lf_ref.convert(tmp_path / name, tmp_path / f"{name}-out")
    written = {(tmp_path / f"{name}-out" / "model.safetensors").read_bytes() for name in ("one", "shards", "torch")}
    assert len(written) == 1


def test_what_is_written_in_shards_loads_there(tmp_path, monkeypatch):
    roberta("Roberta", "ForMaskedLM", tmp_path / "in")
    monkeypatch.setattr("lf_ref.checkpoint.saving.SHARD", 3000)
    lf_ref.convert(tmp_path / "in", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("model-*-of-*.safetensors"))) > 3
    given = batch(1, 5, "ForMaskedLM")
    theirs, ours = load_theirs("ForMaskedLM", tmp_path / "out"), load_ours("ForMaskedLM", tmp_path / "out")
    assert_near([np.asarray(ours(**given).logits)], answers(theirs, given), given)


def test_a_roberta_with_windows_and_global_weights_keeps_them(tmp_path):
    """As AllenAI's notebook saves it: a RoBERTa whose self-attention is HF's of Longformer."""
    torch, transformers = peer_modules()
    source = roberta("Roberta", "ForMaskedLM", tmp_path / "roberta")
    config = transformers.LongformerConfig(**{**source.config.to_dict(), "attention_window": [4, 8]})
    long = transformers.LongformerForMaskedLM(config).eval()
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in long.parameters():
            parameter.copy_(0.4 * torch.randn_like(parameter))
    state = {name.replace("longformer.", "roberta."): value for name, value in long.state_dict().items()}
    folder = tmp_path / "notebook"
    folder.mkdir()
    torch.save(state, folder / "pytorch_model.bin")
    fields = {**source.config.to_dict(), "model_type": "roberta", "attention_window": [4, 8]}
    fields["architectures"] = ["RobertaLongForMaskedLM"]
    (folder / "config.json").write_text(json.dumps(fields))
    made = lf_ref.convert(folder, tmp_path / "out", max_tokens=MORE)
    assert made.config.windows == (4, 8)
    assert made.equal_tokens == TOKENS
    given = batch(1, 18, "ForMaskedLM")
    given["global_attention_mask"] = np.zeros_like(given["input_ids"])
    given["global_attention_mask"][:, 3] = 1
    expected = answers(long, given)
    assert_near(answers(load_theirs("ForMaskedLM", tmp_path / "out"), given), expected, given)
    for place in (folder, tmp_path / "out"):
        assert_near([np.asarray(load_ours("ForMaskedLM", place)(**given).logits)], expected, given)


def test_the_tokenizer_that_is_written_is_hfs(tmp_path):
    _, transformers = peer_modules()
    roberta("Roberta", "ForMaskedLM", tmp_path / "in")
    lf_ref.LongformerTokenizer.from_pretrained("demo").save_pretrained(tmp_path / "in")
    lf_ref.convert(tmp_path / "in", tmp_path / "out", max_tokens=99)
    text = "He opened the <mask> and went into the room."
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ours = lf_ref.LongformerTokenizer.from_pretrained(tmp_path / "out")
    assert type(theirs).__name__ == "LongformerTokenizerFast"
    assert theirs.model_max_length == ours.model_max_length == 99
    assert theirs(text)["input_ids"] == ours(text)["input_ids"]


@pytest.mark.parametrize("form", ["torch", "shards"])
def test_only_the_format_of_a_roberta_changes(form, tmp_path):
    torch, transformers = peer_modules()
    model = roberta("Roberta", "ForMaskedLM", tmp_path / "in")
    model.save_pretrained(tmp_path / "in", safe_serialization=form == "shards", max_shard_size="3kB")
    if form == "torch":
        (tmp_path / "in" / "model.safetensors").unlink()
    lf_ref.to_safetensors(tmp_path / "in", tmp_path / "out")
    again, found = transformers.RobertaForMaskedLM.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(found.values()), found
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


@pytest.mark.parametrize("head", CLASSES)
def test_names_of_tensorflow_are_translated_as_hf_does(head):
    from transformers.modeling_tf_pytorch_utils import TransposeType, convert_tf_weight_name_to_pt_weight_name

    from lf_ref.checkpoint.tf_file import torch_name

    state = state_of(f"Longformer{head}", SMALL, seed=1)
    for name, values in state.items():
        stored = tf_name(name, "tf_longformer")
        theirs, transposed = convert_tf_weight_name_to_pt_weight_name(
            stored.split("/", 1)[1], tf_weight_shape=values.shape
        )
        assert torch_name(stored) == (theirs, transposed is TransposeType.SIMPLE)
        assert theirs.removeprefix("longformer.") == name.removeprefix("longformer.")
