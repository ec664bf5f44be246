"""Arguments of the oracle that are of a wrong type, and NumPy scalars as numbers."""

from __future__ import annotations

import numpy as np
import pytest

from lf_ref import InputError, LongformerModel, testing

IDS = [[0, 250, 251, 2]]


@pytest.fixture(scope="module")
def model():
    return LongformerModel.from_pretrained()


@pytest.fixture(scope="module")
def trace(model):
    return testing.trace(model, input_ids=IDS)


@pytest.mark.parametrize("number", [np.float64(1), np.float32(1), np.int64(1), np.array(1), np.array(1.0)])
def test_tolerances_of_numpy(number, trace):
    assert testing.compare(trace, trace, tolerance=number, ignore_padding=np.True_).passed


def test_counts_of_numpy():
    assert len(testing.drawn_cases(np.int64(3), np.array(2))) == len(testing.drawn_cases(3, 2)) == 2
    for count in ("x", 1.0, -1, None, True):
        with pytest.raises(InputError, match="count must be an integer of at least 0"):
            testing.drawn_cases(3, count)


@pytest.mark.parametrize("names", [3, [3], None, "embeddings", np.array(["embeddings"])])
def test_names_to_trace(names, model):
    if names is None or isinstance(names, str | np.ndarray):
        assert testing.trace(model, input_ids=IDS, names=names)["embeddings"].shape == (1, 4, 256)
    else:
        with pytest.raises(InputError, match="names must be strings in a sequence"):
            testing.trace(model, input_ids=IDS, names=names)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, trace: testing.trace(model, input_ids=IDS, stream=3), "stream must be a path"),
        (lambda model, trace: trace["mean"], "Trace has no entry 'mean'"),
        (lambda model, trace: trace[0], "Trace has no entry 0"),
        (lambda model, trace: testing.calibrate(3, "float32"), "expected must be a trace"),
        (lambda model, trace: testing.check_target(print, 3), "cases must be several cases"),
        (lambda model, trace: testing.check_target(print, [3]), "cases must be several cases"),
        (lambda model, trace: testing.check_target(print, [], expected_to_fail=[1]), "expected_to_fail must map names"),
        (lambda model, trace: testing.assert_matches_oracle(trace, model, 3), "inputs must be a mapping"),
        (lambda model, trace: testing.load_golden(3), "path must be a path"),
        (lambda model, trace: testing.make_golden("g.safetensors", 3), "cases must be names of cases or cases"),
        (lambda model, trace: testing.make_golden("g.safetensors", None), "cases must be names of cases or cases"),
        (lambda model, trace: testing.make_golden("g.safetensors", [3]), "cases must be strings in a sequence, got 3"),
        (lambda model, trace: testing.make_golden("g.safetensors", {"one-token": 1}), "cases must be .*got dict"),
        (lambda model, trace: testing.generator.words("5", "x", 2), "a seed must be an integer"),
        (lambda model, trace: testing.generator.words(5, 3, 2), "name must be a string, got 3"),
        (lambda model, trace: testing.generator.words(5, "x", 2.0), "count must be an integer of at least 0"),
        (lambda model, trace: testing.generator.words(5, "x", 2, -1), "first must be an integer of at least 0"),
        (lambda model, trace: testing.generator.integers(5, "x", 2, 0), "below must be an integer of at least 1"),
        (lambda model, trace: testing.generator.integers(5, "x", 2, 2**32), r"below must be at most 2\^31"),
        (lambda model, trace: testing.generator.rule("x", 3), "shape must be a sequence of integers, got 3"),
        (lambda model, trace: testing.generator.rule("x", (3, 2, 1)), "shape must have 1 or 2 axes"),
        (lambda model, trace: testing.generator.rule(b"x", (3,)), "parameter must be a string"),
        (lambda model, trace: testing.generator.tensor(5, "x", ("3",)), "each axis of shape must be an integer"),
        (lambda model, trace: testing.generator.values(5, "x", (-3,)), "each axis of shape must be an integer"),
        (lambda model, trace: testing.generator.values(5, "x", (2,), "0"), "centre must be a finite number"),
        (lambda model, trace: testing.generator.values(5, "x", (2,), 0.0, 1.5), "shift must be an integer"),
        (lambda model, trace: testing.generator.values(5, 3, (0,)), "name must be a string"),
        (lambda model, trace: testing.generator.weights({}, "masked_lm", 5), "config must be a LongformerConfig"),
        (lambda model, trace: testing.generator.weights(model.config, "lm", 5), "head must be one of"),
        (lambda model, trace: testing.compare(trace), r"compare\(\): missing a required argument: 'expected'"),
        (
            lambda model, trace: testing.compare(trace, trace, ignore_padding="no"),
            "ignore_padding must be True or False",
        ),
    ],
)
def test_what_is_of_a_wrong_kind(call, message, model, trace):
    with pytest.raises(InputError, match=message):
        call(model, trace)
