"""What trainers leave in a checkpoint: prefixes of wrappers, weights of losses and of other heads, more layers."""

from __future__ import annotations

import json
import pickle
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import lf_ref
from lf_ref.checkpoint import HEADS, StoredTensor, StoredTensors, bind, open_tensors, quantize
from lf_ref.checkpoint.safetensors_file import write_safetensors
from lf_ref.config import LongformerConfig
from lf_ref.errors import CheckpointError, WeightsError
from lf_ref.files import locate
from oracles.compare import assert_identical
from oracles.weights import SMALL, ragged_batch, state_of

FIELDS = {**SMALL, "num_labels": 5}
CONFIG = LongformerConfig(**FIELDS)
WRAPPERS = ("module.", "_orig_mod.", "model.")


def state(head: str, prefix: str = "", **changes: object) -> dict[str, np.ndarray]:
    weights = state_of(HEADS[head], {**FIELDS, **changes}, 421, pooled=head != "encoder")
    return {prefix + name: array for name, array in weights.items()}


def assert_bound(weights: dict[str, np.ndarray], head: str) -> None:
    expected = bind(state(head), CONFIG, head)
    for name, values in bind(weights, CONFIG, head).items():
        assert_identical(values, expected[name], name)


def error_of(weights: dict[str, np.ndarray], head: str, strict: bool = False) -> WeightsError:
    with pytest.raises(WeightsError) as caught:
        bind(weights, CONFIG, head, strict=strict)
    return caught.value


def warning_of(weights: dict[str, np.ndarray], head: str, config: LongformerConfig = CONFIG) -> str:
    with pytest.warns(UserWarning, match="strict=True refuses it") as caught:
        bind(weights, config, head)
    assert len(caught) == 1
    return str(caught[0].message)


def write(folder: Path, weights: dict[str, np.ndarray], **fields: object) -> Path:
    (folder / "config.json").write_text(json.dumps({**FIELDS, "model_type": "longformer", **fields}))
    write_safetensors(
        folder / "model.safetensors", {name: StoredTensor("float32", array) for name, array in weights.items()}
    )
    return folder


# --- prefixes of all names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["".join(parts) for count in (1, 2, 3) for parts in product(WRAPPERS, repeat=count)])
def test_prefixes_of_wrappers_are_taken_off_in_any_order_and_number(prefix):
    assert_bound(state("masked_lm", prefix), "masked_lm")
    assert_bound(state("encoder", prefix), "encoder")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("inner", ["longformer.", "roberta.", ""])
def test_they_stand_before_the_prefix_of_the_encoder(head, inner):
    plain = {name.removeprefix("longformer."): array for name, array in state(head).items()}
    parts = ("embeddings.", "encoder.", "pooler.")
    weights = {f"model.module.{inner if name.startswith(parts) else ''}{name}": a for name, a in plain.items()}
    weights["model.module.longformer.embeddings.position_ids"] = np.arange(83)[None]
    assert_bound(weights, head)


def test_a_pooler_is_known_behind_them():
    weights = {f"module.{name}": array for name, array in state("model").items()}
    assert lf_ref.LongformerModel(CONFIG, weights).head == "model"
    lone = {**state("encoder"), "teacher.pooler.dense.weight": np.ones((2, 3))}
    with pytest.warns(UserWarning, match=r"teacher\.pooler"):
        assert lf_ref.LongformerModel(CONFIG, lone).head == "encoder"


def test_shards_and_quantized_weights_may_have_them(tmp_path):
    write(tmp_path, state("masked_lm"))
    quantize(locate(tmp_path), tmp_path / "plain")
    expected = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path / "plain")
    prefixed = {f"module._orig_mod.{name}": tensor for name, tensor in open_tensors(locate(tmp_path)).items()}
    names = sorted(prefixed)
    parts = {"part-1.safetensors": names[::2], "part-2.safetensors": names[1::2]}
    for filename, part in parts.items():
        write_safetensors(tmp_path / filename, {name: prefixed[name] for name in part})
    index = {name: filename for filename, part in parts.items() for name in part}
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    quantize(locate(tmp_path), tmp_path / "prefixed")
    assert any(name.startswith("module.") for name in open_tensors(locate(tmp_path / "prefixed")))
    inputs = ragged_batch(FIELDS, seed=422)
    for folder, dtype in ((tmp_path, "int8"), (tmp_path / "prefixed", None)):
        model = lf_ref.LongformerForMaskedLM.from_pretrained(folder, dtype=dtype)
        assert_identical(model(**inputs).logits, expected(**inputs).logits, str(folder))


def test_names_of_other_things_need_not_have_them():
    weights = {**state("masked_lm", "model."), "loss_fct.weight": np.ones(3), "n_averaged": np.ones(())}
    assert "does not use 2 of the weights (loss_fct.weight, n_averaged)" in warning_of(weights, "masked_lm")
    head = {**state("encoder", "model."), "classifier.weight": np.ones((5, 21)), "classifier.bias": np.ones(5)}
    error = error_of(head, "token_classification")
    assert error.missing == ["classifier.weight", "classifier.bias"]
    assert "begin with a prefix that classifier.weight, classifier.bias lack" in str(error)
    assert "classifier.weight, classifier.bias" in warning_of(head, "encoder")


def test_a_prefix_of_some_names_is_none():
    weights = state("encoder")
    name = "encoder.layer.0.output.dense.bias"
    weights[f"module.{name}"] = weights.pop(name)
    error = error_of(weights, "encoder")
    assert (error.missing, error.unexpected) == ([name], [f"module.{name}"])


# --- what a class does not use ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", HEADS)
def test_weights_that_no_class_uses_are_named_in_one_warning(head):
    extra = {"loss_fct.weight": np.ones(5), "classifier2.weight": np.ones((2, 21)), "longformer.adapter.x": np.ones(1)}
    weights = {**state(head), **extra, "extra_state": None}
    assert warning_of(weights, head) == (
        f"the state dict: {HEADS[head]} does not use 4 of the weights ({', '.join(extra)}, extra_state); "
        "strict=True refuses it"
    )
    assert error_of(weights, head, strict=True).unexpected == [*extra, "extra_state"]
    bind(state(head), CONFIG, head, strict=True)


@pytest.mark.parametrize("head", [head for head in HEADS if head != "encoder"])
def test_strict_refuses_the_heads_of_other_classes_too(head):
    weights = state(head)
    bind(weights, CONFIG, "encoder")  # without a warning
    left_over = [
        name for name in weights if not name.removeprefix("longformer.").startswith(("embeddings.", "encoder."))
    ]
    assert error_of(weights, "encoder", strict=True).unexpected == left_over


def test_strict_is_an_argument_of_from_pretrained(tmp_path):
    write(tmp_path, {**state("masked_lm"), "loss_fct.weight": np.ones(3, np.float32)})
    with pytest.warns(UserWarning, match=r"model\.safetensors: .*\(loss_fct\.weight\)"):
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"unexpected \(1\): loss_fct\.weight"):
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, strict=True)
    quantize(locate(tmp_path), tmp_path / "int8")
    assert open_tensors(locate(tmp_path / "int8"))["loss_fct.weight"].dtype == "float32"


def test_a_quantized_checkpoint_keeps_as_they_are_what_no_class_uses(tmp_path):
    write(tmp_path, {**state("masked_lm"), "prototypes": np.ones((2, 3), np.float32)})
    quantize(locate(tmp_path), tmp_path / "int8")
    assert open_tensors(locate(tmp_path / "int8"))["prototypes"].dtype == "float32"


def test_a_hundred_thousand_names_make_a_short_warning_and_a_short_error():
    extra = dict.fromkeys((f"{'x' * 300}.{number}" for number in range(10**5)), np.ones(1))
    start = time.process_time()
    message = warning_of({**state("encoder"), **extra}, "encoder")
    assert "does not use 100000 of the weights" in message
    assert "and 99992 more" in message
    error = error_of(extra, "encoder")
    assert len(error.unexpected) == 10**5
    assert len(message) < 1500
    assert len(str(error)) < 3000
    assert time.process_time() - start < 20  # seconds of the processor, whatever else the machine does


# --- layers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["argument", "config"])
def test_fewer_layers_than_the_file_has_are_the_first(how, tmp_path):
    deep = {"num_hidden_layers": 5, "attention_window": [4, 6, 8, 2, 10]}
    weights = state("masked_lm", **deep)
    write(tmp_path, weights, **deep)
    options = {"num_hidden_layers": 3}
    if how == "config":
        options = {"config": LongformerConfig(**{**FIELDS, **options, "attention_window": [4, 6, 8]})}
    with pytest.warns(
        UserWarning, match=r"the first 3 of its 5 layers are used \(num_hidden_layers\); strict"
    ) as caught:
        model = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, **options)
    assert len(caught) == 1
    assert model.config.windows == (4, 6, 8)
    first = {name: array for name, array in weights.items() if ".layer.3." not in name and ".layer.4." not in name}
    expected = lf_ref.LongformerForMaskedLM(model.config, first)
    inputs = ragged_batch(FIELDS, seed=423)
    assert_identical(model(**inputs).logits, expected(**inputs).logits, "logits")
    with pytest.raises(WeightsError, match="There are 5 layers; num_hidden_layers of the config is 3") as refused:
        lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path, **options, strict=True)
    assert len(refused.value.unexpected) == 2 * 22
    model.save_pretrained(tmp_path / "shallow")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path / "shallow", strict=True)
    assert_identical(again(**inputs).logits, model(**inputs).logits, "saved")


def test_layers_and_other_weights_are_one_warning():
    weights = {**state("encoder"), "loss_fct.weight": np.ones(3)}
    message = warning_of(weights, "encoder", CONFIG.replaced(num_hidden_layers=1))
    assert "the first 1 of its 2 layers are used (num_hidden_layers), and LongformerModel does not use 1" in message


def test_windows_follow_the_number_of_layers_alone():
    assert CONFIG.replaced(num_hidden_layers=1).windows == (4,)
    assert CONFIG.replaced(num_hidden_layers=np.int64(1)).windows == (4,)
    assert CONFIG.replaced(num_hidden_layers=1, attention_window=[8]).windows == (8,)
    for layers, windows in ((1, [4, 6]), (3, [4, 6])):
        with pytest.raises(lf_ref.ConfigError, match="attention_window must be one number or one for each"):
            CONFIG.replaced(num_hidden_layers=layers, attention_window=windows)
    with pytest.raises(lf_ref.ConfigError, match=r"each of the 3 layers"):
        CONFIG.replaced(num_hidden_layers=3)


def test_more_layers_than_the_file_has_are_an_error():
    config = LongformerConfig(**{**FIELDS, "num_hidden_layers": 3, "attention_window": 4})
    with pytest.raises(WeightsError, match="There are 2 layers; num_hidden_layers of the config is 3"):
        bind(state("encoder"), config, "encoder")


# --- the message and the lists ---------------------------------------------------------------------------------------


def test_the_message_is_short_and_the_error_has_all_names():
    weights = {f"net.{name}": array for name, array in state("masked_lm").items()}
    weights["net.longformer.embeddings.LayerNorm.bias"] = np.ones(7)
    error = error_of(StoredTensors("folder/model.safetensors", weights), "masked_lm")
    assert len(str(error).splitlines()) <= 20
    assert len(str(error)) < 2500
    assert "All names begin with 'net.'; without it they would be those of a Longformer" in str(error)
    tied = {"lm_head.decoder.weight", "lm_head.decoder.bias"}
    assert error.missing == [name for name in state("masked_lm") if name not in tied]
    assert sorted(error.unexpected) == sorted(weights)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.missing, again.unexpected) == (str(error), error.missing, error.unexpected)


@pytest.mark.parametrize(
    ("prefix", "inner"), [("net.", ""), ("backbone.encoder_q.", "longformer."), ("bert.", ""), ("a.b.c.", "roberta.")]
)
def test_the_likely_prefix_is_named(prefix, inner):
    weights = {f"{prefix}{inner}{name}": array for name, array in state("encoder").items()}
    assert f"All names begin with '{prefix}'" in str(error_of(weights, "encoder"))
    weights |= {"head.weight": np.ones(2), f"{prefix}other": np.ones(3)}
    assert f"{len(weights) - 1} of the {len(weights)} names begin with '{prefix}'" in str(error_of(weights, "encoder"))


def test_misshapen_weights_are_listed_with_both_shapes():
    weights = state("encoder")
    weights["encoder.layer.0.output.dense.bias"] = np.ones(23)
    error = error_of(weights, "encoder")
    assert error.misshapen == [("encoder.layer.0.output.dense.bias", (23,), (21,))]
    assert (error.missing, error.unexpected) == ([], [])


def test_hostile_names_take_no_time():
    start = time.process_time()
    for name in ("module." * 10**6, "a." * 10**6, "encoder." * 10**6, "decoder." + "a." * 10**6, "\n" * 10**6):
        message = str(error_of({name: np.ones(1)}, "encoder"))
        assert len(message) < 2500
        assert len(message.splitlines()) <= 20
    assert time.process_time() - start < 20  # seconds of the processor, whatever else the machine does
