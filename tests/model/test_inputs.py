"""The door of the model: what it refuses and how it says so, what it accepts, and what it leaves alone."""

from __future__ import annotations

import os

import numpy as np
import pytest
from threadpoolctl import threadpool_info

import lf_ref
from lf_ref.errors import CheckpointError, InputError
from model.building import BACKENDS, ENGINES, build
from oracles.compare import assert_identical
from oracles.heads import HEADS
from oracles.weights import fields_of, labelled_batch, ragged_batch, state_of

SINGLE = [name for name in HEADS if name != "LongformerForMultipleChoice"]
IDS = [[0, 7, 9, 2, 2, 8, 2], [0, 5, 6, 2, 2, 3, 2]]


@pytest.fixture(scope="module")
def model():
    fields = fields_of(max_position_embeddings=19)
    return build("LongformerModel", fields, state_of("LongformerModel", fields, seed=121), backend="numpy")


def changed(value, place, other):
    array = np.array(value)
    array[place] = other
    return array


WRONG = {
    "an id past the vocabulary": ({"input_ids": changed(IDS, (1, 4), 53)}, r"input_ids\[1, 4\] is 53.*52.*vocab_size"),
    "a negative id": ({"input_ids": changed(IDS, (0, 2), -1)}, r"input_ids\[0, 2\] is -1.*vocab_size"),
    "ids that are not whole numbers": ({"input_ids": np.array(IDS, np.float64)}, r"input_ids.*integers.*float64"),
    "ids that are words": ({"input_ids": [["a", "b"]]}, r"input_ids.*integers"),
    "ids that are None": ({"input_ids": [[1, None]]}, r"input_ids"),
    "booleans for ids": ({"input_ids": [[True, False]]}, r"input_ids.*integers.*bool"),
    "rows of unequal length": ({"input_ids": [[0, 5, 2], [0, 2]]}, r"input_ids.*rectangular.*padding"),
    "one text without its batch": (
        {"input_ids": IDS[0]},
        r"input_ids must be 2-D \(batch, seq\), got 1-D.*input_ids\[None\]",
    ),
    "a number": ({"input_ids": 5}, r"input_ids must be 2-D \(batch, seq\), got 0-D"),
    "three dimensions": ({"input_ids": [IDS]}, r"input_ids must be 2-D \(batch, seq\), got 3-D"),
    "no text": ({"input_ids": np.zeros((0, 5), int)}, r"\(0, 5\)"),
    "no token": ({"input_ids": np.zeros((2, 0), int)}, r"\(2, 0\)"),
    "neither ids nor embeddings": ({}, r"input_ids.*inputs_embeds.*neither"),
    "both ids and embeddings": (
        {"input_ids": IDS, "inputs_embeds": np.zeros((2, 7, 21))},
        r"input_ids.*inputs_embeds.*both",
    ),
    "a token type past the table": (
        {"input_ids": IDS, "token_type_ids": changed(np.zeros((2, 7), int), (0, 6), 3)},
        r"token_type_ids\[0, 6\] is 3.*type_vocab_size",
    ),
    "token types of another shape": (
        {"input_ids": IDS, "token_type_ids": [[0, 0]]},
        r"token_type_ids.*\(2, 7\).*\(1, 2\)",
    ),
    "a position past the table": (
        {"input_ids": IDS, "position_ids": changed(np.ones((2, 7), int), (1, 0), 19)},
        r"position_ids\[1, 0\] is 19.*max_position_embeddings",
    ),
    "a negative position": (
        {"input_ids": IDS, "position_ids": changed(np.ones((2, 7), int), (1, 3), -2)},
        r"position_ids\[1, 3\] is -2",
    ),
    "positions of another shape": (
        {"input_ids": IDS, "position_ids": np.ones((2, 6), int)},
        r"position_ids.*\(2, 7\).*\(2, 6\)",
    ),
    "a mask of another length": (
        {"input_ids": IDS, "attention_mask": np.ones((2, 8))},
        r"attention_mask.*\(2, 7\).*\(2, 8\)",
    ),
    "a mask for one row of two": (
        {"input_ids": IDS, "attention_mask": np.ones(7)},
        r"attention_mask.*\(2, 7\).*\(7,\)",
    ),
    "a dense mask": (
        {"input_ids": IDS, "attention_mask": np.ones((2, 7, 7))},
        r"attention_mask.*\(2, 7\).*\(2, 7, 7\)",
    ),
    "a global mask of another length": (
        {"input_ids": IDS, "global_attention_mask": np.ones((2, 6))},
        r"global_attention_mask.*\(2, 7\).*\(2, 6\)",
    ),
    "an attention mask with a 2": (
        {"input_ids": IDS, "attention_mask": changed(np.ones((2, 7), int), (1, 5), 2)},
        r"attention_mask\[1, 5\] is 2.*0 or 1.*global_attention_mask",
    ),
    "a global mask with a -1": (
        {"input_ids": IDS, "global_attention_mask": changed(np.zeros((2, 7), int), (0, 3), -1)},
        r"global_attention_mask\[0, 3\] is -1.*0 or 1",
    ),
    "a mask with a NaN": (
        {"input_ids": IDS, "attention_mask": changed(np.ones((2, 7)), (0, 1), np.nan)},
        r"attention_mask\[0, 1\] is nan",
    ),
    "a mask of words": ({"input_ids": IDS, "attention_mask": [["1"] * 7] * 2}, r"attention_mask.*0 (and|or) 1"),
    "embeddings of another width": ({"inputs_embeds": np.zeros((2, 7, 20))}, r"inputs_embeds.*21.*\(2, 7, 20\)"),
    "embeddings of one text": ({"inputs_embeds": np.zeros((7, 21))}, r"inputs_embeds.*\(7, 21\)"),
    "embeddings of whole numbers": ({"inputs_embeds": np.zeros((2, 7, 21), int)}, r"inputs_embeds.*floats.*int"),
    "ids for too long a text": ({"input_ids": np.full((2, 18), 5)}, r"\b18 tokens.*at most 17\b"),
    "embeddings for too long a text": ({"inputs_embeds": np.zeros((1, 18, 21))}, r"\b18 tokens.*at most 17\b"),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors_name_argument_value_and_position(model, case):
    arguments, message = WRONG[case]
    with pytest.raises(InputError, match=message) as raised:
        model(**arguments)
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize("class_name", SINGLE)
@pytest.mark.parametrize(
    "case",
    [
        "an id past the vocabulary",
        "rows of unequal length",
        "one text without its batch",
        "no token",
        "three dimensions",
    ],
)
def test_every_class_has_the_same_door(class_name, case):
    fields = fields_of()
    arguments, message = WRONG[case]
    with pytest.raises(InputError, match=message):
        build(class_name, fields, state_of(class_name, fields, seed=122), backend="numpy")(**arguments)


@pytest.fixture(scope="module")
def choosing():
    class_name = "LongformerForMultipleChoice"
    fields = fields_of()
    return build(class_name, fields, state_of(class_name, fields, seed=123), backend="numpy")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_ids": changed([IDS] * 3, (2, 1, 4), 53)}, r"input_ids\[2, 1, 4\] is 53"),
        ({"input_ids": IDS}, r"input_ids must be 3-D \(batch, choices, seq\), got 2-D"),
        ({"input_ids": [[[0, 5, 2], [0, 2]]]}, r"input_ids.*rectangular"),
        (
            {"input_ids": [IDS] * 3, "attention_mask": np.ones((2, 3, 7), int)},
            r"attention_mask.*\(3, 2, 7\).*\(2, 3, 7\)",
        ),
        ({"input_ids": [IDS] * 3, "global_attention_mask": np.ones((6, 7), int)}, r"global_attention_mask.*3-D"),
        ({"inputs_embeds": np.zeros((2, 7, 21))}, r"inputs_embeds must be 4-D"),
        ({"input_ids": np.zeros((2, 0, 7), int)}, r"\(2, 0, 7\)"),
        ({}, r"input_ids.*inputs_embeds.*neither"),
        ({"input_ids": [IDS] * 3, "labels": [2, 0, 1]}, r"labels\[0\] is 2"),
        ({"input_ids": [IDS] * 3, "labels": [1, 0]}, r"labels.*\(3,\).*\(2,\)"),
    ],
)
def test_multiple_choice_names_positions_as_the_caller_sees_them(choosing, arguments, message):
    with pytest.raises(InputError, match=message):
        choosing(**arguments)


def test_the_longest_text_is_accepted_and_padding_does_not_count(model):
    assert model(np.full((1, 17), 5)).last_hidden_state.shape == (1, 17, 21)
    padded = np.full((1, 40), 1)
    padded[0, 3:20] = 5
    assert model(padded, attention_mask=padded != 1).last_hidden_state.shape == (1, 40, 21)


def test_length_limit_follows_the_padding_id():
    fields = fields_of(max_position_embeddings=19, pad_token_id=0)
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=124), backend="numpy")
    model(np.full((1, 18), 5))
    with pytest.raises(InputError, match=r"19 tokens.*at most 18\b"):
        model(np.full((1, 19), 5))


@pytest.mark.parametrize(
    "kind",
    [
        "lists",
        "tuples",
        "int32",
        "uint8",
        "bool masks",
        "float masks",
        "fortran order",
        "strided",
        "read-only",
        "big-endian",
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_of_any_form(kind, backend):
    fields = fields_of()
    model = build("LongformerForMaskedLM", fields, state_of("LongformerForMaskedLM", fields, seed=125), backend)
    inputs = ragged_batch(fields, seed=126)
    masks = ("attention_mask", "global_attention_mask")
    plain = model(**inputs).logits
    if kind in ("int32", "uint8"):
        other = {name: value.astype(kind) for name, value in inputs.items()}
    elif kind in ("bool masks", "float masks"):
        other = inputs | {name: inputs[name].astype(kind.split()[0]) for name in masks}
    else:
        convert = {
            "lists": lambda value: value.tolist(),
            "tuples": lambda value: tuple(map(tuple, value.tolist())),
            "fortran order": np.asfortranarray,
            "strided": lambda value: np.repeat(value, 2, axis=1)[:, ::2],
            "read-only": read_only,
            "big-endian": lambda value: value.astype(">i8"),
        }[kind]
        other = {name: convert(value) for name, value in inputs.items()}
    assert_identical(model(**other).logits, plain, kind)


def read_only(value):
    copied = value.copy()
    copied.flags.writeable = False
    return copied


@pytest.mark.parametrize(("backend", "dtype"), ENGINES)
@pytest.mark.parametrize("class_name", HEADS)
def test_nothing_of_the_caller_is_changed(class_name, backend, dtype):
    fields = fields_of(num_labels=5, attention_window=4)
    state = state_of(class_name, fields, seed=127)
    inputs = labelled_batch(class_name, fields, seed=128)
    config = lf_ref.LongformerConfig(**fields)
    kept = {name: value.copy() for name, value in inputs.items()}
    weights = {name: value.copy() for name, value in state.items()}
    settings = config.to_dict(), np.geterr(), blas_threads(), dict(os.environ)
    model = getattr(lf_ref, class_name)(config, state, dtype=dtype, backend=backend, num_threads=3)
    model(**inputs, output_attentions=True, output_hidden_states=True)
    for name, value in kept.items():
        assert_identical(inputs[name], value, name)
    assert state.keys() == weights.keys()
    for name, value in weights.items():
        assert_identical(state[name], value, name)
    assert config.attention_window == 4
    assert (config.to_dict(), np.geterr(), blas_threads(), dict(os.environ)) == settings


def blas_threads():
    return [(pool["filepath"], pool["num_threads"]) for pool in threadpool_info() if pool["user_api"] == "blas"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_embeddings_given_stay_as_they_are(backend):
    fields = fields_of()
    model = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=129), backend)
    embeds = read_only(np.random.default_rng(130).standard_normal((2, 11, 21)))
    kept = embeds.copy()
    model(inputs_embeds=embeds)
    assert_identical(embeds, kept, "inputs_embeds")


def test_positions_may_be_given_once_for_all_rows(model):
    once = np.arange(2, 9)[None]
    both = model(IDS, position_ids=np.repeat(once, 2, axis=0)).last_hidden_state
    assert_identical(model(IDS, position_ids=once).last_hidden_state, both, "last_hidden_state")


# --- building ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "dtype.*float32, float64.*float16"),
        ({"dtype": "nonsense"}, "dtype.*float32, float64.*nonsense"),
        ({"backend": "cuda"}, "backend.*numba, numpy.*cuda"),
        ({"num_threads": 0}, "num_threads.*0"),
        ({"num_threads": -2}, "num_threads.*-2"),
        ({"num_threads": 1.5}, "num_threads.*1.5"),
    ],
)
def test_options_that_do_not_exist(options, message):
    fields = fields_of()
    with pytest.raises(InputError, match=message):
        build(
            "LongformerModel", fields, state_of("LongformerModel", fields, seed=131), **{"backend": "numba"} | options
        )


@pytest.mark.parametrize("dtype", ["float32", np.float32, np.dtype("float32"), float, "float64"])
def test_dtype_in_any_spelling(dtype):
    fields = fields_of()
    built = build("LongformerModel", fields, state_of("LongformerModel", fields, seed=132), "numpy", dtype)
    assert built(IDS).last_hidden_state.dtype == np.dtype(dtype)


@pytest.mark.parametrize("class_name", HEADS)
def test_weights_are_strict(class_name):
    """Every missing, unexpected and misshapen name is in the one error."""
    fields = fields_of(num_labels=5)
    state = state_of(class_name, fields, seed=133)
    prefix = "" if class_name == "LongformerModel" else "longformer."
    missing = f"{prefix}encoder.layer.1.attention.self.value_global.bias"
    misshapen = f"{prefix}encoder.layer.0.intermediate.dense.weight"
    del state[missing]
    state[misshapen] = state[misshapen].T
    state["encoder.layer.2.output.dense.bias" if not prefix else "longformer.encoder.layer.2.output.dense.bias"] = (
        np.zeros(21, np.float32)
    )
    with pytest.raises(CheckpointError) as raised:
        build(class_name, fields, state, backend="numpy")
    message = str(raised.value)
    for part in ("encoder.layer.1.attention.self.value_global.bias", "encoder.layer.0.intermediate.dense.weight"):
        assert part in message
    assert "encoder.layer.2.output.dense.bias" in message
    assert "(21, 29)" in message
    assert "(29, 21)" in message


def test_tied_weights_under_any_of_their_names():
    class_name = "LongformerForMaskedLM"
    fields = fields_of()
    state = state_of(class_name, fields, seed=134)
    inputs = ragged_batch(fields, seed=135)
    expected = build(class_name, fields, state)(**inputs).logits
    for dropped in (
        ["lm_head.decoder.weight"],
        ["lm_head.decoder.bias"],
        ["lm_head.bias"],
        ["lm_head.decoder.weight", "lm_head.bias"],
        ["longformer.embeddings.word_embeddings.weight"],
    ):
        some = {name: value for name, value in state.items() if name not in dropped}
        assert_identical(build(class_name, fields, some)(**inputs).logits, expected, f"without {dropped}")
    for name in ("lm_head.decoder.weight", "lm_head.decoder.bias"):
        with pytest.raises(CheckpointError, match=name):
            build(class_name, fields, state | {name: state[name] + 1})
    for names in (["lm_head.decoder.bias", "lm_head.bias"], ["lm_head.dense.bias"]):
        some = {name: value for name, value in state.items() if name not in names}
        with pytest.raises(CheckpointError, match=names[-1]):
            build(class_name, fields, some)
