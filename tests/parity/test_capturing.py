"""What hooks take from torch models: HF's layouts turned, ports of one's own renamed, nothing left behind."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

from lf_ref import InputError, testing
from model.building import build
from oracles.compare import assert_identical
from oracles.fault_cases import LABELS
from oracles.heads import HEADS
from oracles.weights import fields_of, labelled_batch, state_of
from parity.peers import build_peer, exact_softmax, peer_modules

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]

CLASS = "LongformerForMaskedLM"


def case(class_name=CLASS, **changes):
    fields = fields_of(attention_window=[4, 8], num_labels=2, **changes)
    inputs = labelled_batch(class_name, fields, seed=401)
    inputs = {name: values for name, values in inputs.items() if name not in LABELS}
    return fields, state_of(class_name, fields, seed=402), inputs


def agrees(candidate, trace, precision="float64"):
    report = testing.compare(candidate, trace, precision=precision)
    assert report.passed, str(report)
    return report


@pytest.mark.parametrize("class_name", HEADS)
def test_every_module_of_hf_has_a_tensor_name(class_name):
    fields, state, inputs = case(class_name)
    trace = testing.trace(build(class_name, fields, state), **inputs)
    with exact_softmax():
        captured = testing.capture_torch(build_peer(class_name, fields, state), **inputs)
    report = agrees(captured, trace)
    unknown = {"classifier.dropout", "dropout", "encoder"}
    assert set(report.unknown) <= unknown
    assert not [
        name for name in report.missing if not name.endswith((".sum", "activation", "context", "context_global"))
    ]
    for name in report.tensors:
        assert captured[name].shape == trace[name].shape, name
        assert captured.dtypes[name] == "float64"
    assert {tensor.layout for tensor in report.tensors.values()} == {""}


@pytest.mark.parametrize("given", ["nothing global", "inputs_embeds", "as many rows as tokens", "chunks", "tensors"])
def test_other_inputs(given):
    torch, _ = peer_modules()
    fields, state, inputs = case()
    model = build_peer(CLASS, fields, state)
    if given == "nothing global":
        inputs["global_attention_mask"][:] = 0
    elif given == "inputs_embeds":
        shape = *inputs.pop("input_ids").shape, fields["hidden_size"]
        inputs["inputs_embeds"] = np.random.default_rng(1).standard_normal(shape)
    elif given == "as many rows as tokens":
        inputs = {name: values[:, :3] for name, values in inputs.items()}
    elif given == "chunks":
        for layer in model.longformer.encoder.layer:
            layer.chunk_size_feed_forward = 8
    trace = testing.trace(build(CLASS, fields, state), **inputs)
    if given == "tensors":
        inputs = {name: torch.tensor(values) for name, values in inputs.items()}
        inputs["return_dict"] = True
    with exact_softmax():
        report = agrees(testing.capture_torch(model, **inputs), trace)
    assert {tensor.layout for tensor in report.tensors.values()} <= {""}


def test_the_model_is_left_as_it_was():
    torch, _ = peer_modules()
    fields, state, inputs = case()
    model = build_peer(CLASS, fields, state, "float32")
    softmax = torch.nn.functional.softmax
    tensors = {name: torch.tensor(values) for name, values in inputs.items()}
    with torch.no_grad():
        before = model(**tensors, output_attentions=True)
        captured = testing.capture_torch(model, **inputs, output_attentions=True)
        after = model(**tensors, output_attentions=True)
    assert torch.nn.functional.softmax is softmax
    assert not [part for part in model.modules() if part._forward_hooks or part._forward_pre_hooks]
    assert_identical(captured["logits"], before.logits.numpy(), "logits")
    for one, other in zip(before.attentions, after.attentions, strict=True):
        assert_identical(one.numpy(), other.numpy(), "attentions")
    with pytest.raises(IndexError):
        testing.capture_torch(model, input_ids=np.full((1, 4), 99999))
    assert torch.nn.functional.softmax is softmax
    assert not [part for part in model.modules() if part._forward_hooks or part._forward_pre_hooks]


def test_names_choose():
    fields, state, inputs = case()
    model = build_peer(CLASS, fields, state)
    captured = testing.capture_torch(model, names=["encoder.layer.1.attention.self.*", "logits"], **inputs)
    assert {name.rpartition(".")[0] for name in captured} == {"encoder.layer.1.attention.self", ""}
    assert {"encoder.layer.1.attention.self.scores", "logits"} <= set(captured)


def test_scores_of_another_thread_are_not_taken(monkeypatch):
    torch, _ = peer_modules()
    fields, state, inputs = case()
    model = build_peer(CLASS, fields, state)
    original = torch.nn.functional.softmax

    def busy(scores, *args, **options):
        def elsewhere():
            torch.nn.functional.softmax(torch.zeros(2, 3, 4, 5), -1)

        thread = threading.Thread(target=elsewhere)
        if scores.shape != (2, 3, 4, 5):
            thread.start()
            thread.join()
        return original(scores, *args, **options)

    monkeypatch.setattr(torch.nn.functional, "softmax", busy)
    captured = testing.capture_torch(model, **inputs)
    assert captured["encoder.layer.0.attention.self.scores"].shape == (3, 3, 23, 8)


def test_a_softmax_of_another_shape_is_not_taken_for_scores():
    torch, _ = peer_modules()
    fields, state, inputs = case()
    model = build_peer(CLASS, fields, state)
    attention = model.longformer.encoder.layer[0].attention.self
    original = attention._get_global_attn_indices

    def indices(marks):
        torch.nn.functional.softmax(torch.zeros(2, 2), -1)
        return original(marks)

    attention._get_global_attn_indices = indices
    trace = testing.trace(build(CLASS, fields, state), **inputs)
    with exact_softmax():
        agrees(testing.capture_torch(model, **inputs), trace)


# --- ports of one's own -----------------------------------------------------------------------------------------------


def port_of(state):
    """Token classification with names of its own, and layers that share their feed-forward part."""
    torch, _ = peer_modules()

    class Port(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.words = torch.nn.Embedding(53, 21)
            self.blocks = torch.nn.ModuleList([torch.nn.ModuleDict({"q": torch.nn.Linear(21, 21)}) for _ in range(2)])
            self.blocks[1]["q"] = self.blocks[0]["q"]
            self.tuples = torch.nn.ModuleDict({"none": Nothing(), "empty": Nothing(())})

        def forward(self, input_ids, scale=1.0):
            x = self.words(input_ids)
            for block in self.blocks:
                x = block["q"](x) * scale
            for part in self.tuples.values():
                part(x)
            return x

    class Nothing(torch.nn.Module):
        def __init__(self, value=None):
            super().__init__()
            self.value = value

        def forward(self, x):
            return self.value

    port = Port().double()
    port.words.weight.data = torch.tensor(state["longformer.embeddings.word_embeddings.weight"]).double()
    return port


RULES = {
    r"^words$": "longformer.embeddings.word_embeddings",
    r"^blocks\.(\d+)\.q$": r"encoder.layer.\1.attention.self.query",
}


def by_function(name):
    return {"words": "embeddings.word_embeddings"}.get(name)


@pytest.mark.parametrize("rename", [RULES, by_function])
def test_other_names_are_mapped(rename):
    fields, state, inputs = case()
    trace = testing.trace(build(CLASS, fields, state), **inputs)
    port = port_of(state)
    captured = testing.capture_torch(port, rename=rename, input_ids=inputs["input_ids"], scale=2.0)
    assert_identical(captured["embeddings.word_embeddings"], trace["embeddings.word_embeddings"], "words")
    assert captured["output"].shape == (3, 23, 21)
    if rename is RULES:
        first, second = (captured[f"encoder.layer.{layer}.attention.self.query"] for layer in range(2))
        q = port.blocks[0]["q"]
        wanted = first * 2 @ q.weight.detach().numpy().T + q.bias.detach().numpy()
        np.testing.assert_allclose(second, wanted, atol=1e-12)  # one module, called under each of its names in turn
    else:
        assert set(captured) == {"embeddings.word_embeddings", "output"}


def test_the_only_output_is_the_last_of_the_trace():
    fields, state, inputs = case("LongformerModel")
    trace = testing.trace(build("LongformerModel", fields, state), names=["last_hidden_state"], **inputs)
    torch, _ = peer_modules()

    class Port(torch.nn.Module):
        def forward(self, input_ids):
            return torch.tensor(trace["last_hidden_state"])

    report = agrees(testing.capture_torch(Port(), input_ids=inputs["input_ids"]), trace)
    assert (list(report.tensors), report.unknown) == (["last_hidden_state"], ())


def test_inputs_of_other_names_leave_the_shapes_alone():
    torch, _ = peer_modules()
    part = torch.nn.Sequential(torch.nn.Linear(3, 4))
    captured = testing.capture_torch(
        part, rename={"^0$": "encoder.layer.0.attention.self.query"}, input=np.ones((2, 5, 3))
    )
    assert captured["encoder.layer.0.attention.self.query"].shape == (2, 5, 4)


def test_wrong_arguments(monkeypatch):
    with pytest.raises(InputError, match=r"module must be a torch\.nn\.Module, got int"):
        testing.capture_torch(3)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match="capture_torch needs torch"):
        testing.capture_torch(3)


@pytest.mark.parametrize(
    ("dtype", "gradient"),
    [
        ("int64", False),
        *((dtype, yes) for dtype in ("float32", "float64", "float16", "bfloat16") for yes in (False, True)),
    ],
)
def test_tensors_of_torch_come_to_the_host(dtype, gradient):
    from lf_ref.testing.traces.interchange import to_numpy

    torch, _ = peer_modules()
    values = torch.linspace(-3, 3, 35).reshape(5, 7).to(getattr(torch, dtype))
    array, name = to_numpy("x", values.T.clone().requires_grad_(gradient)[1:])
    wide = values.T[1:].to(torch.float64).numpy()
    assert name == dtype
    assert_identical(np.asarray(array, np.float64), wide, "x")
