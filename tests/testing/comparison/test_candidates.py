"""Candidates in every form: mappings, files, callables, single arrays; and which are refused."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file
from testing.building import as_float32, case_of, model_of, trace_of
from testing.foreign_arrays import VALUES, OnlyDlpack

from lf_ref import CheckpointError, InputError, testing
from lf_ref.testing.comparison.candidates import read_candidate
from lf_ref.testing.traces.named_tensors import NamedTensors
from oracles import reduced


@pytest.fixture
def expected():
    return trace_of()


def passes(candidate, expected, **options):
    report = testing.compare(candidate, expected, **options)
    assert report.passed, str(report)
    return report


def test_mappings_traces_and_records(expected):
    assert len(passes(as_float32(expected), expected).tensors) == len(expected.canonical_names)
    single = testing.trace(model_of(dtype="float32"), **case_of("LongformerForMaskedLM")[2])
    assert passes(single, expected).candidate == repr(single)
    record = model_of(dtype="float32")(
        **case_of("LongformerForMaskedLM")[2], output_hidden_states=True, output_attentions=True
    )
    assert set(passes(record, expected).tensors) == {
        "logits",
        "embeddings.LayerNorm",
        *(f"encoder.layer.{layer}.output.LayerNorm" for layer in range(2)),
        *(f"encoder.layer.{layer}.attention.self.probabilities" for layer in range(2)),
        *(f"encoder.layer.{layer}.attention.self.probabilities_global" for layer in range(2)),
    }


def test_files(expected, tmp_path):
    candidate = as_float32(expected)
    np.savez(tmp_path / "c.npz", **candidate)
    assert passes(str(tmp_path / "c.npz"), expected).candidate == str(tmp_path / "c.npz")
    save_file({f"longformer.{name}": values for name, values in candidate.items()}, tmp_path / "c.safetensors")
    assert len(passes(tmp_path / "c.safetensors", expected).tensors) == len(candidate)


def test_files_in_bfloat16(expected, tmp_path):
    from lf_ref.checkpoint import StoredTensor
    from lf_ref.checkpoint.safetensors_file import write_safetensors

    words = reduced.bfloat16(expected["embeddings.word_embeddings"]).astype(np.float32)
    bits = (words.view(np.uint32) >> 16).astype(np.uint16)
    write_safetensors(tmp_path / "c.safetensors", {"embeddings.word_embeddings": StoredTensor("bfloat16", bits)})
    np.savez(tmp_path / "c.npz", **{"embeddings.word_embeddings": bits.view("V2")})
    for name in ("c.safetensors", "c.npz"):
        report = passes(tmp_path / name, expected, precision="bfloat16")
        assert report.tensors["embeddings.word_embeddings"].dtype == "bfloat16"


def test_broken_and_hostile_files(expected, tmp_path):
    path = tmp_path / "c.npz"
    np.savez(path, logits=np.array([object()]))
    with pytest.raises(CheckpointError, match=r"is not a complete \.npz file of numeric arrays: Object arrays cannot"):
        testing.compare(path, expected)
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(CheckpointError, match=r"is not a complete \.npz file"):
        testing.compare(path, expected)
    with pytest.raises(CheckpointError, match=r"absent.npz cannot be read: No such file"):
        testing.compare(tmp_path / "absent.npz", expected)
    with open(path, "wb") as file:
        np.save(file, VALUES)
    with pytest.raises(CheckpointError, match="it holds a single array"):
        testing.compare(path, expected)
    with pytest.raises(InputError, match=r"a file of tensors ends in \.npz or \.safetensors"):
        testing.compare(tmp_path / "c.pt", expected)


def test_callables_get_inputs_of_their_own(expected):
    seen = {}

    def port(**inputs):
        seen.update(inputs)
        for values in inputs.values():
            values[...] = 0
        return {"logits": expected["logits"].astype(np.float32)}

    passes(port, expected)
    assert set(seen) == set(case_of("LongformerForMaskedLM")[2])
    assert expected.run.inputs["input_ids"].any()
    passes(model_of(dtype="float32"), expected)
    passes(lambda **inputs: expected["logits"].astype(np.float32), expected)


@pytest.mark.parametrize("wrapped", [lambda array: array, OnlyDlpack, lambda array: {"output": array}])
def test_a_single_array_is_the_last_output_with_as_many_axes(wrapped):
    """Of an encoder the hidden states, though the trace has pooled ones behind them; logits, though it has a loss."""
    trace = trace_of("LongformerModel")
    assert trace.run.outputs == ("last_hidden_state", "pooler_output")
    for name in trace.run.outputs:
        assert list(passes(wrapped(trace[name].astype(np.float32)), trace).tensors) == [name]
    inputs = case_of("LongformerForMaskedLM")[2]
    labelled = testing.trace(model_of(), labels=inputs["input_ids"], **inputs)
    for name in ("logits", "loss"):
        assert list(passes(wrapped(labelled[name].astype(np.float32)), labelled).tensors) == [name]
    assert list(testing.compare(wrapped(np.zeros((2, 2, 2, 2))), trace).tensors) == ["pooler_output"]
    assert list(testing.compare({"output": "no array"}, trace).tensors) == ["pooler_output"]


def test_a_single_array_is_the_last_output(expected):
    assert list(passes(expected["logits"].astype(np.float32), expected).tensors) == ["logits"]
    assert list(passes(OnlyDlpack(expected["logits"].astype(np.float32)), expected).tensors) == ["logits"]
    passes({"output": expected["logits"].astype(np.float32)}, expected)
    without = testing.trace(model_of(), names="embeddings.*", **case_of("LongformerForMaskedLM")[2])
    with pytest.raises(InputError, match="compared with an output, but the trace has none"):
        testing.compare(expected["logits"], without)


def test_other_candidates_are_refused(expected):
    with pytest.raises(InputError, match="got int"):
        testing.compare(3, expected)
    with pytest.raises(InputError, match="the candidate returned function, not a mapping"):
        testing.compare(lambda **inputs: passes, expected)
    module = type("Module", (), {"named_modules": lambda self: []})()
    with pytest.raises(InputError, match="run a torch module with capture_torch"):
        testing.compare(module, expected)
    with pytest.raises(InputError, match="the candidate has no name of the trace: it has a, b, c, d, e and 1 more"):
        testing.compare(dict.fromkeys("abcdef", VALUES), expected)
    with pytest.raises(InputError, match=r"expected must be a trace, as trace\(\) returns it, got dict"):
        testing.compare({}, {})


def test_a_candidate_is_taken_as_it_is(expected):
    candidate = NamedTensors({"logits": expected["logits"]}, "mine")
    assert read_candidate(candidate, expected) is candidate
