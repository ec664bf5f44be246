"""What HF's models offer besides a call: devices, dtypes, weights by HF's names, and clear words for the rest."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import lf_ref
from lf_ref import InputError
from model.building import build
from oracles.compare import assert_identical
from oracles.heads import HEADS
from oracles.weights import fields_of, labelled_batch, ragged_batch, state_of


class TorchDtype:
    """Prints as a dtype of torch does."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"torch.{self.name}"


class TorchDevice:
    def __init__(self, name):
        self.name = name

    def __str__(self):
        return self.name


@pytest.fixture(scope="module", params=HEADS)
def made(request):
    fields = fields_of(num_labels=5)
    state = state_of(request.param, fields, seed=801)
    return request.param, fields, state, build(request.param, fields, state, backend="numpy")


def test_the_model_is_itself_wherever_torch_would_give_itself(made):
    _, _, _, model = made
    for same in (model.eval(), model.train(False), model.cpu(), model.to("cpu"), model.to(TorchDevice("cpu"))):
        assert same is model
    for dtype in ("float64", np.float64, TorchDtype("float64"), np.dtype("float64")):
        assert model.to(dtype) is model.to(dtype=dtype) is model.to("cpu", dtype) is model
    assert (model.device, model.training) == ("cpu", False)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda model: model.train(), "train with HF transformers"),
        (lambda model: model.to("cuda"), "runs on the CPU"),
        (lambda model: model.to(TorchDevice("cuda:1")), "runs on the CPU"),
        (lambda model: model.to(TorchDtype("float16")), "dtype= to from_pretrained"),
        (lambda model: model.float(), "dtype= to from_pretrained"),
        (lambda model: model.half(), "dtype= to from_pretrained"),
        (lambda model: model.cuda(0), "runs on the CPU"),
        (lambda model: model.requires_grad_(False), "no gradients"),
        (lambda model: model.register_forward_hook(print), r"lf_ref\.testing\.trace"),
        (lambda model: model.encoder.layer[0], "state_dict"),
        (lambda model: model.nun_parameters(), "the nearest is 'num_parameters'"),
    ],
)
def test_attributes_without_meaning_raise_with_the_way_out(ask, says):
    fields = fields_of()
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=802), backend="numpy")
    with pytest.raises(InputError, match=says):
        ask(model)


def test_libraries_that_ask_for_attributes_learn_that_there_are_none():
    fields = fields_of()
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=803), backend="numpy")
    assert not any(hasattr(model, name) for name in ("half", "cuda", "nonsense", "__array__", "_private"))
    again = copy.copy(model)
    assert again.weights is model.weights


def test_forward_is_a_call(made):
    class_name, fields, _, model = made
    inputs = labelled_batch(class_name, fields, seed=804)
    assert_identical(model.forward(**inputs).to_tuple(), model(**inputs).to_tuple(), class_name)


def test_state_dict_has_the_stored_names_and_makes_the_model_again(made):
    class_name, fields, state, model = made
    stored = model.state_dict()
    assert stored.keys() == state.keys()
    for name, values in state.items():
        np.testing.assert_array_equal(stored[name], values, err_msg=name)
    again = type(model)(model.config, stored, dtype="float64", backend="numpy")
    inputs = labelled_batch(class_name, fields, seed=805)
    assert_identical(again(**inputs).to_tuple(), model(**inputs).to_tuple(), class_name)


def test_parameters_come_once_each(made):
    _, _, state, model = made
    alone = {name: values for name, values in state.items() if not name.startswith("lm_head.decoder.")}
    assert [name for name, _ in model.named_parameters()] == [name for name in model.state_dict() if name in alone]
    assert model.num_parameters() == sum(values.size for values in alone.values())
    embeddings = sum(values.size for name, values in state.items() if name.endswith("_embeddings.weight"))
    assert model.num_parameters(exclude_embeddings=True) == model.num_parameters() - embeddings
    assert model.get_memory_footprint() == 8 * model.num_parameters() == sum(w.nbytes for w in model.parameters())


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "int8"])
def test_the_base_model_is_the_encoder_with_the_same_weights(dtype):
    fields = fields_of(num_labels=5)
    for class_name in HEADS:
        model = build(class_name, fields, state_of(class_name, fields, seed=806), dtype=dtype)
        encoder = model.base_model
        assert type(encoder) is lf_ref.LongformerModel
        assert (encoder is model) == (class_name == "LongformerModel")
        assert all(encoder.weights[name] is model.weights[name] for name in encoder.weights)
        inputs = ragged_batch(fields, seed=807)
        pooled = class_name in ("LongformerModel", "LongformerForMultipleChoice")
        assert (encoder(**inputs).pooler_output is not None) == pooled
        if "Choice" not in class_name:
            hidden = model(**inputs, output_hidden_states=True).hidden_states[-1]
            marks = inputs | {"global_attention_mask": inputs["global_attention_mask"]}
            np.testing.assert_array_equal(encoder(**marks).last_hidden_state, hidden)


def test_input_embeddings_are_looked_up():
    fields = fields_of()
    state = state_of("LongformerModel", fields, seed=808)
    table = state["embeddings.word_embeddings.weight"]
    words = build("LongformerModel", fields, state, dtype="float32").get_input_embeddings()
    assert (words.num_embeddings, words.embedding_dim) == table.shape
    ids = np.array([[3, 52, 0]])
    np.testing.assert_array_equal(words.weight, table)
    np.testing.assert_array_equal(words(ids), table[ids])
    with pytest.raises(InputError, match=r"input_ids\[0\] is 53"):
        words([53])


@pytest.mark.parametrize("dtype", [TorchDtype("float64"), np.float64, "torch.float64", float])
def test_dtypes_of_torch_and_numpy_by_name(dtype):
    fields = fields_of()
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=809), dtype=dtype)
    assert model.dtype == np.float64


@pytest.mark.parametrize("stored", ["float32", "float64", "float16", "bfloat16", "int8"])
def test_auto_is_the_dtype_of_the_file(stored, tmp_path):
    from lf_ref.checkpoint import StoredTensor, quantize
    from lf_ref.checkpoint.saving import write_checkpoint
    from lf_ref.files import locate

    fields = fields_of()
    state = state_of("LongformerForMaskedLM", fields, seed=810)
    lf_ref.LongformerForMaskedLM(lf_ref.LongformerConfig(**fields), state).save_pretrained(tmp_path / "float32")
    if stored == "int8":
        quantize(locate(tmp_path / "float32"), tmp_path / stored)
    elif stored != "float32":
        bits = {
            name: (values.view(np.uint32) >> 16).astype(np.uint16) if stored == "bfloat16" else values.astype(stored)
            for name, values in state.items()
            if not name.startswith("lm_head.decoder")
        }
        tensors = {name: StoredTensor(stored, values) for name, values in bits.items()}
        (tmp_path / stored).mkdir()
        write_checkpoint(tmp_path / stored, tensors, lf_ref.LongformerConfig(**fields).to_dict())
    model = lf_ref.LongformerForMaskedLM.from_pretrained(tmp_path / stored, dtype="auto")
    assert model.weight_dtype == {"float16": "float32"}.get(stored, stored)


def test_the_model_knows_where_it_came_from(tmp_path):
    model = lf_ref.LongformerForMaskedLM.from_pretrained()
    assert model.name_or_path == model.config.name_or_path == "demo"
    model.save_pretrained(tmp_path)
    assert "name_or_path" not in (tmp_path / "config.json").read_text()
    assert lf_ref.LongformerModel.from_pretrained(tmp_path).name_or_path == str(tmp_path)


def test_weights_to_save_can_be_given(made, tmp_path):
    class_name, _, state, model = made
    other = {name: values + 1 for name, values in state.items()}
    model.save_pretrained(save_directory=tmp_path, state_dict=other)
    again = type(model).from_pretrained(tmp_path, dtype="float64", backend="numpy")
    for name, values in other.items():
        np.testing.assert_array_equal(again.state_dict()[name], values.astype(np.float64), err_msg=class_name)


def test_outputs_are_dicts_whose_fields_stay():
    record = lf_ref.LongformerMaskedLMOutput(loss=np.float32(1), logits=np.ones(3))
    assert isinstance(record, dict)
    for way in (
        lambda: record.pop("loss"),
        lambda: record.update(a=1),
        lambda: record.clear(),
        lambda: record.setdefault("x"),
    ):
        with pytest.raises(InputError, match="stay"):
            way()
    record["attentions"] = (np.zeros(2),)
    record.loss = None
    assert list(record) == ["logits", "attentions"]
    assert record[1] is record.attentions
    again = pickle.loads(pickle.dumps(record))
    assert (type(again), list(again), again.loss) == (type(record), list(record), None)
    with pytest.raises(InputError, match="the nearest is 'logits'"):
        record.logit  # noqa: B018


def test_entries_that_an_output_has_not():
    output = lf_ref.LongformerModel.from_pretrained()([[0, 5, 2]])
    for key in ("attentions", 5, None, 1.0):
        with pytest.raises(InputError, match="has no entry"):
            output[key]
    with pytest.raises(KeyError):
        output["mean"] = 3
    with pytest.raises(InputError, match="fields of an output stay"):
        output |= {"mean": 3}
    assert output.get("attentions") is None


@pytest.mark.parametrize("flag", ["output_attentions", "output_hidden_states", "return_dict"])
@pytest.mark.parametrize("value", ["no", np.array([True, False]), 2])
def test_flags_of_a_call(flag, value):
    model = lf_ref.LongformerModel.from_pretrained()
    with pytest.raises(InputError, match=f"{flag} must be True or False"):
        model([[0, 5, 2]], **{flag: value})
    assert model([[0, 5, 2]], **{flag: np.True_}).last_hidden_state.shape == (1, 3, 256)


def test_the_device_is_a_string_with_a_type(made):
    model = made[-1]
    assert (model.device, model.device.type) == ("cpu", "cpu")
    model.name_or_path = "mine"
    assert model.name_or_path == "mine"
    with pytest.raises(InputError, match="state_dict must be a mapping"):
        model.save_pretrained("copy", state_dict=3)


@pytest.mark.parametrize("separator", ["</s>", None, [2], np.array([2, 2]), 2.0])
def test_separators_are_ids(separator):
    with pytest.raises(InputError, match="sep_token_id must be an integer"):
        lf_ref.global_attention.on_question([[0, 5, 2, 2, 6, 2]], separator)
