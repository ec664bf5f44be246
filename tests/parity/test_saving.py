"""Whole folders in both directions: what we save HF loads without a word, and what HF saves we load; equal results."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import lf_ref
from model.building import assert_outputs_match
from oracles.tolerances import FLOAT64
from oracles.weights import fields_of, state_of
from parity.peers import call_peer, peer_modules

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]

DEMO = Path(lf_ref.__file__).parent / "demo"
AUTO = {
    "LongformerModel": "AutoModel",
    "LongformerForMaskedLM": "AutoModelForMaskedLM",
    "LongformerForSequenceClassification": "AutoModelForSequenceClassification",
    "LongformerForTokenClassification": "AutoModelForTokenClassification",
    "LongformerForMultipleChoice": "AutoModelForMultipleChoice",
    "LongformerForQuestionAnswering": "AutoModelForQuestionAnswering",
}
# What a head can be besides itself: a decoder of its own, an encoder without a pooler.
KINDS = [*((name, "plain") for name in AUTO), ("LongformerForMaskedLM", "untied"), ("LongformerModel", "no pooler")]
FIRST = ["The <mask> of Königsberg walked slowly.", "Nobody's answer: 42, or so, was heard in the garden by the river."]
SECOND = ["He came, he saw - and he went home.", "Yes\t🙂."]


@contextmanager
def silence():
    """Fail if the peer says anything that a user would see: a warning of Python's, or a line of its log."""
    _, transformers = peer_modules()
    said = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("transformers")
    logger.addHandler(handler)
    transformers.utils.logging.set_verbosity_warning()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    finally:
        transformers.utils.logging.set_verbosity_error()
        logger.removeHandler(handler)
    assert said == []


def parts_of(class_name, kind):
    """Fields and float32 weights of a small random model with the demo's vocabulary."""
    labels = {} if class_name == "LongformerForMaskedLM" else {"num_labels": 2 if "Question" in class_name else 5}
    fields = fields_of(vocab_size=8192, attention_window=[4, 8], tie_word_embeddings=kind != "untied", **labels)
    state = state_of(class_name, fields, seed=401, pooled=kind != "no pooler")
    if kind == "untied":
        state["lm_head.decoder.weight"] = state["lm_head.decoder.weight"] + np.float32(0.25)
    return fields, state


def peer_options(kind):
    return {"add_pooling_layer": False} if kind == "no pooler" else {}


def encoded(tokenizer, class_name):
    """A padded batch as the head wants it, in NumPy."""
    batch = dict(tokenizer(FIRST, SECOND, padding=True, return_tensors="np"))
    if class_name == "LongformerForMultipleChoice":
        batch = {name: value[:, None].repeat(3, axis=1) for name, value in batch.items()}
        batch["input_ids"][:, 1, 1], batch["input_ids"][:, 2, 2] = 77, 78  # so that the choices are not the same
    return batch


def assert_equal_tokenizers(ours, theirs):
    options = {"return_offsets_mapping": True, "padding": True}
    got, expected = ours(FIRST, SECOND, **options), theirs(FIRST, SECOND, **options)
    assert {name: [[*map(list_of, row)] for row in value] for name, value in got.items()} == {
        name: [[*map(list_of, row)] for row in value] for name, value in expected.items()
    }
    assert ours.decode(got["input_ids"][0]) == theirs.decode(expected["input_ids"][0])
    assert ours.model_max_length == theirs.model_max_length
    assert len(ours) == len(theirs)


def list_of(value):
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("class_name", "kind"), KINDS)
def test_hf_loads_what_we_save(class_name, kind, dtype, tmp_path):
    torch, transformers = peer_modules()
    fields, state = parts_of(class_name, kind)
    ours = getattr(lf_ref, class_name)(lf_ref.LongformerConfig(**fields), state, dtype=dtype, backend="numpy")
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained()
    ours.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with silence():
        theirs, report = getattr(transformers, AUTO[class_name]).from_pretrained(
            tmp_path, dtype="auto", output_loading_info=True, **peer_options(kind)
        )
        their_tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert not any(report.values()), report
    assert type(theirs).__name__ == class_name
    assert {parameter.dtype for parameter in theirs.parameters()} == {getattr(torch, dtype)}
    assert_equal_tokenizers(tokenizer, their_tokenizer)
    exact = getattr(lf_ref, class_name)(ours.config, state, dtype="float64", backend="numpy")
    inputs = encoded(tokenizer, class_name)
    assert_outputs_match(exact(**inputs), call_peer(theirs.double().eval(), inputs), FLOAT64)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(("class_name", "kind"), KINDS)
def test_we_load_what_hf_saves_and_hf_loads_it_again_from_us(class_name, kind, dtype, tmp_path):
    torch, transformers = peer_modules()
    fields, state = parts_of(class_name, kind)
    their_class = getattr(transformers, class_name)
    theirs = their_class(transformers.LongformerConfig(**fields), **peer_options(kind))
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    theirs = theirs.to(getattr(torch, dtype)).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    their_tokenizer = transformers.LongformerTokenizerFast.from_pretrained(DEMO)
    their_tokenizer.save_pretrained(tmp_path / "theirs")

    ours = getattr(lf_ref, AUTO[class_name]).from_pretrained(tmp_path / "theirs", dtype="float64", backend="numpy")
    tokenizer = lf_ref.AutoTokenizer.from_pretrained(tmp_path / "theirs")
    assert type(ours).__name__ == class_name
    assert_equal_tokenizers(tokenizer, their_tokenizer)
    inputs = encoded(tokenizer, class_name)
    assert_outputs_match(ours(**inputs), call_peer(theirs.double(), inputs), FLOAT64)

    # Half precision widened to float32 is the same model, and so it is when it has gone through us.
    narrow = getattr(lf_ref, class_name).from_pretrained(tmp_path / "theirs", backend="numpy")
    narrow.save_pretrained(tmp_path / "ours")
    tokenizer.save_pretrained(tmp_path / "ours")
    with silence():
        again, report = their_class.from_pretrained(
            tmp_path / "ours", dtype="auto", output_loading_info=True, **peer_options(kind)
        )
        their_tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "ours")
    assert not any(report.values()), report
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    before, after = theirs.state_dict(), again.double().state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert_equal_tokenizers(tokenizer, their_tokenizer)


@pytest.mark.parametrize("add_prefix_space", [True, False])
@pytest.mark.parametrize("trim_offsets", [True, False])
def test_settings_of_the_tokenizer_survive_both_ways(add_prefix_space, trim_offsets, tmp_path):
    _, transformers = peer_modules()
    settings = {"add_prefix_space": add_prefix_space, "trim_offsets": trim_offsets, "model_max_length": 71}
    ours = lf_ref.LongformerTokenizer.from_pretrained("demo", **settings)
    theirs = transformers.LongformerTokenizerFast.from_pretrained(DEMO, **settings)
    for tokenizer, name in ((ours, "ours"), (theirs, "theirs")):
        tokenizer.add_tokens(["slowly", "<more>"])
        # The model's config.json determines the class for AutoTokenizer, if nothing else does.
        lf_ref.LongformerConfig().save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
        with silence():
            again = transformers.AutoTokenizer.from_pretrained(tmp_path / name)
        assert_equal_tokenizers(lf_ref.AutoTokenizer.from_pretrained(tmp_path / name), again)
        assert_equal_tokenizers(ours, again)
        assert len(again) == 8194


@pytest.mark.parametrize("class_name", AUTO)
def test_both_write_the_same_tensor_names(class_name, tmp_path):
    from safetensors import safe_open

    torch, transformers = peer_modules()
    fields, state = parts_of(class_name, "plain")
    theirs = getattr(transformers, class_name)(transformers.LongformerConfig(**fields))
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    theirs.save_pretrained(tmp_path / "theirs")
    getattr(lf_ref, class_name)(lf_ref.LongformerConfig(**fields), state).save_pretrained(tmp_path / "ours")
    names = []
    for folder in ("theirs", "ours"):
        with safe_open(tmp_path / folder / "model.safetensors", "np") as file:
            names.append(sorted(file.keys()))
    assert names[0] == names[1]


def test_a_quiet_block_passes_warnings_on(tmp_path):
    """A checkpoint that lacks the head makes HF say so, which the tests above would take for a failure."""
    _, transformers = peer_modules()
    fields, state = parts_of("LongformerModel", "plain")
    lf_ref.LongformerModel(lf_ref.LongformerConfig(**fields), state, backend="numpy").save_pretrained(tmp_path)
    with pytest.raises(AssertionError, match="were not initialized"), silence():
        transformers.AutoModelForTokenClassification.from_pretrained(tmp_path)
