"""What the tests of the oracle share: a small traced model of each class, our own model as a target, golden files."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

import lf_ref
from lf_ref import testing
from model.building import build
from oracles import golden_page
from oracles.fault_cases import LABELS
from oracles.weights import fields_of, labelled_batch, state_of

STANDARD = testing.standard_cases()


def fields_for(class_name: str, **changes: Any) -> dict[str, Any]:
    """A small config; windows as HF can do them, and two labels where HF needs them."""
    return fields_of(attention_window=[4, 8], num_labels=2 if "Question" in class_name else 5, **changes)


@cache
def case_of(class_name: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Fields, state dict and inputs of a class, without labels."""
    fields = fields_for(class_name)
    inputs = labelled_batch(class_name, fields, seed=71)
    inputs = {name: values for name, values in inputs.items() if name not in LABELS}
    return fields, state_of(class_name, fields, seed=72), inputs


def model_of(class_name: str = "LongformerForMaskedLM", **options: Any) -> Any:
    fields, state, _ = case_of(class_name)
    return build(class_name, fields, state, **options)


@cache
def trace_of(class_name: str = "LongformerForMaskedLM") -> testing.Trace:
    """A float64 trace, not to be changed."""
    return testing.trace(model_of(class_name), **case_of(class_name)[2])


def as_float32(trace: testing.Trace) -> dict[str, np.ndarray]:
    """A correct candidate: the trace rounded, without aliases."""
    return {name: trace[name].astype(np.float32) for name in trace.canonical_names}


def answer(
    config: dict[str, Any],
    weights: dict[str, np.ndarray],
    inputs: dict[str, Any],
    dtype: str = "float32",
    backend: str = "numpy",
) -> Any:
    """Our own model; what is tied is tied."""
    made = lf_ref.LongformerConfig.from_dict(config)
    return getattr(lf_ref, config["architectures"][0])(made, weights, dtype=dtype, backend=backend)(**inputs)


def array(page: golden_page.File, name: str) -> np.ndarray:
    """A tensor of a golden file that was read by the page of golden files only."""
    _, shape, numbers = page.tensors[name]
    return np.array(numbers).reshape(shape)


def changed(outputs: dict[str, np.ndarray], name: str, change: Callable[[np.ndarray], None]) -> dict[str, np.ndarray]:
    """The outputs with another one under `name`, a copy that `change` was done to."""
    value = np.array(outputs[name])
    change(value)
    return {**outputs, name: value}
