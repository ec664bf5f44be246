"""A whole Longformer encoder in scalar loops over Python floats, sums by `math.fsum`: as exact as float64 can be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from oracles.attention import Attended, attend, linear
from oracles.longformer import dilations_of, position_ids_of, windows_of
from oracles.rows import ACTIVATIONS, Vector, layer_norm

PROJECTIONS = ("query", "key", "value", "query_global", "key_global", "value_global")


def encode(
    fields: Mapping[str, Any], state: Mapping[str, Any], inputs: Mapping[str, Any]
) -> list[tuple[list[list[Vector]], list[Attended]]]:
    """What leaves the embeddings and each layer, [rows][seq][hidden], and the attention of each row in it."""
    weights = {name: np.asarray(values, np.float64).tolist() for name, values in state.items()}
    ids = np.asarray(inputs["input_ids"])
    positions = position_ids_of(ids, fields["pad_token_id"]).tolist()
    visible = (np.asarray(inputs["attention_mask"]) == 1).tolist()
    marked = (np.asarray(inputs["global_attention_mask"]) == 1).tolist()
    tables = [weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")]
    facts = zip(ids.tolist(), positions, np.asarray(inputs["token_type_ids"]).tolist(), strict=True)
    rows = []
    for row in facts:
        vectors = [
            [table[index] for table, index in zip(tables, token, strict=True)] for token in zip(*row, strict=True)
        ]
        rows.append(_norm(weights, "embeddings.LayerNorm", fields, [_sum(*three) for three in vectors]))
    done: list[tuple[list[list[Vector]], list[Attended]]] = [(rows, [])]
    causal = fields.get("autoregressive", False)
    for index, (one_sided, dilations) in enumerate(zip(windows_of(fields), dilations_of(fields), strict=True)):
        layer = f"encoder.layer.{index}"
        own = {
            f"{name}.{part}": weights[f"{layer}.attention.self.{name}.{part}"]
            for name in PROJECTIONS
            for part in ("weight", "bias")
        }
        attended = [
            attend(row, own, seen, wide, one_sided, fields["num_attention_heads"], dilations, causal)
            for row, seen, wide in zip(rows, visible, marked, strict=True)
        ]
        rows = [
            _feed_forward(weights, layer, fields, _mix(weights, layer, fields, row, found.output))
            for row, found in zip(rows, attended, strict=True)
        ]
        done.append((rows, attended))
    return done


def _sum(*vectors: Vector) -> Vector:
    return [sum(numbers) for numbers in zip(*vectors, strict=True)]


def _dense(weights: Mapping[str, Any], name: str, rows: list[Vector]) -> list[Vector]:
    return linear(rows, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(weights: Mapping[str, Any], name: str, fields: Mapping[str, Any], rows: list[Vector]) -> list[Vector]:
    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return [layer_norm(row, scale, shift, fields["layer_norm_eps"]) for row in rows]


def _mix(
    weights: Mapping[str, Any], layer: str, fields: Mapping[str, Any], rows: list[Vector], context: list[Vector]
) -> list[Vector]:
    mixed = _dense(weights, f"{layer}.attention.output.dense", context)
    sums = [_sum(row, more) for row, more in zip(rows, mixed, strict=True)]
    return _norm(weights, f"{layer}.attention.output.LayerNorm", fields, sums)


def _feed_forward(
    weights: Mapping[str, Any], layer: str, fields: Mapping[str, Any], rows: list[Vector]
) -> list[Vector]:
    activation = ACTIVATIONS[fields["hidden_act"]]
    inner = [list(map(activation, row)) for row in _dense(weights, f"{layer}.intermediate.dense", rows)]
    outer = _dense(weights, f"{layer}.output.dense", inner)
    sums = [_sum(row, more) for row, more in zip(rows, outer, strict=True)]
    return _norm(weights, f"{layer}.output.LayerNorm", fields, sums)
