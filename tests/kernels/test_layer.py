"""The kernel of all that a layer does token by token, against its steps one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernels.lanes_cases import bits_of, rows_of, values_of

from lf_ref.checkpoint.reduced import reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.kernels import engine
from lf_ref.kernels.engine import Kernels
from lf_ref.kernels.threads import Threads
from oracles import rows
from oracles.compare import assert_close, assert_identical
from oracles.reduced import bfloat16

REAL: dict[str, Any] = {"float32": np.float32, "float64": np.float64, "bfloat16": np.float32, "int8": np.float32}
# A handful of sums of some dozen products, and two norms, relative to values of about 1. With int8 a value at the
# middle between two integers may go either way.
TOLERANCE = {"float32": 1e-5, "float64": 2e-14, "bfloat16": 2e-2, "int8": 6e-2}

every_kind = pytest.mark.parametrize("kind", list(REAL))


class Case:
    """A layer of odd sizes. channels: hidden; inner: between the dense layers; heads divide the channels."""

    def __init__(self, kind: str, tokens: int = 37, channels: int = 70, inner: int = 130, heads: int = 5) -> None:
        rng = np.random.default_rng([tokens, channels, inner])
        self.kind, self.heads, self.channels, self.tokens = kind, heads, channels, tokens
        shapes = {
            "attention.output": (channels, channels),
            "intermediate": (inner, channels),
            "output": (channels, inner),
        }
        shapes |= dict.fromkeys(("query", "key", "value"), (channels, channels))
        self.exact: dict[str, Any] = {}
        for name, shape in shapes.items():
            name = name if name in ("query", "key", "value") else f"{name}.dense"
            self.exact[f"{name}.weight"] = (rng.normal(size=shape) / shape[1] ** 0.5).astype(REAL[kind])
            self.exact[f"{name}.bias"] = rng.normal(size=shape[0]).astype(REAL[kind])
        for name in ("attention.output", "output"):
            for part in ("weight", "bias"):
                self.exact[f"{name}.LayerNorm.{part}"] = rng.normal(size=channels).astype(REAL[kind])
        self.weights = {
            name: reduce(StoredTensor.of(array), kind) if kind in ("bfloat16", "int8") and array.ndim == 2 else array
            for name, array in self.exact.items()
        }
        self.hidden, self.context = rng.normal(size=(2, tokens, channels)).astype(REAL[kind])

    def run(self, threads: int = 2, kernels: Kernels | None = None) -> tuple[Any, Any, Any]:
        """What it leaves, what the observer sees, and the room of the next layer."""
        kernels = kernels or Kernels(Threads(threads), self.kind)
        room = kernels.attention_room(-(-self.tokens // 16), self.channels, self.heads)
        hidden, attended = kernels.enter(self.hidden), kernels.lanes(self.tokens, self.channels)
        room.context[:] = 0
        row = type("Row", (), {"start": 0, "global_queries": np.arange(self.tokens)})
        kernels._put(room, row, self.context)
        following = self.weights, room
        kernels.finish_layer(hidden, room.context, self.heads, self.weights, "gelu", 1e-5, following, attended)
        return *(rows_of(lanes)[: self.tokens, : self.channels] for lanes in (hidden, attended)), room

    def expected(self) -> tuple[Any, Any]:
        """In float64, of weights and operands as the kernel rounds them (int8: of exact operands)."""
        w = {name: np.asarray(array, np.float64) for name, array in self.weights.items()}
        rounded = bfloat16 if self.kind == "bfloat16" else np.asarray

        def dense(name: str, x: Any) -> Any:
            operand = rounded(x.astype(np.float32)).astype(np.float64) if self.kind == "bfloat16" else x
            return operand @ w[f"{name}.weight"].T + w[f"{name}.bias"]

        def norm(name: str, x: Any) -> Any:
            centred = x - x.mean(axis=1, keepdims=True)
            scaled = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
            return scaled * w[f"{name}.LayerNorm.weight"] + w[f"{name}.LayerNorm.bias"]

        gelu = np.vectorize(rows.ACTIVATIONS["gelu"], otypes=[np.float64])
        attended = norm("attention.output", self.hidden + dense("attention.output.dense", self.context))
        inner = gelu(dense("intermediate.dense", attended))
        return norm("output", attended + dense("output.dense", inner)), attended


@every_kind
@pytest.mark.parametrize("inner", [130, 64, 301])
def test_equals_its_steps(kind, inner):
    """Also where the channels between are done in several parts, of which the last is a small one."""
    case = Case(kind, inner=inner)
    got, seen, _ = case.run()
    expected, attended = case.expected()
    assert_close(seen, attended, TOLERANCE[kind], "attended")
    assert_close(got, expected, TOLERANCE[kind], "hidden")


@every_kind
def test_whoever_looks_sees_the_same_and_any_number_of_threads_gives_the_same_bits(kind):
    case = Case(kind, tokens=150)
    results = [case.run(threads) for threads in (1, 2, 3)]
    for hidden, attended, room in results[1:]:
        assert_identical(hidden, results[0][0], "hidden")
        assert_identical(attended, results[0][1], "attended")
        assert_identical(room.query, results[0][2].query, "queries")
    kernels = Kernels(Threads(2), kind)
    unseen = kernels.finish_layer
    kernels.finish_layer = lambda *arguments: unseen(*arguments[:-1])  # type: ignore[method-assign]
    assert_identical(case.run(kernels=kernels)[0], results[0][0], "unseen")


@every_kind
def test_projections_follow(kind, monkeypatch):
    """Queries in lanes, keys by token, values by channel, of what the layer leaves."""
    case = Case(kind, tokens=29, channels=96, heads=3)
    hidden, _, room = case.run()
    stored = (lambda x: x) if kind.startswith("float") else (lambda x: values_of(bits_of(x)))
    kernels = Kernels(Threads(1), kind)
    linear = {
        name: kernels.linear(hidden, case.weights[f"{name}.weight"], case.weights[f"{name}.bias"])
        for name in ("query", "key", "value")
    }
    halves = (
        (lambda x: x) if kind.startswith("float") else (lambda x: values_of(np.ascontiguousarray(x).view(np.uint16)))
    )
    keys = halves(
        room.keys[
            : 3
            * room.sizes.tokens
            * room.sizes.head
            * room.keys.itemsize
            // REAL[kind]().itemsize
            // (1 if kind.startswith("float") else 2)
        ]
    ).reshape(3, room.sizes.tokens, room.sizes.head)
    values = halves(room.values.reshape(96, -1))
    for head in range(3):
        span = slice(32 * head, 32 * head + 32)
        assert_identical(keys[head, :29], stored(linear["key"][:, span]), "keys")
        assert_identical(values[span, :29], stored(linear["value"][:, span]).T, "values")
    in_attention = "bfloat16" if kind == "int8" else kind
    assert room.query.shape[1] == (96 if in_attention.startswith("float") else 48)
    if in_attention.startswith("float"):
        assert_identical(rows_of(room.query)[:29], linear["query"], "queries")


def test_parts_are_whole_tiles():
    assert engine._PART % 32 == engine._PART % 24 == 0
