"""Small random Longformers and ragged batches for tests: configurations, state dicts with HF's names, inputs.

Weights are far larger than a fresh model's 0.02, so that attention is peaked, activations leave their linear part and a
mistake anywhere shows in the output. Every weight is a float32 number, whatever the dtype asked for: the float32 and
the float64 model are the same model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

# Distinct primes wherever two sizes could be confused; windows differ by layer and are shorter than the texts.
SMALL: dict[str, Any] = {
    "vocab_size": 53,
    "hidden_size": 21,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "intermediate_size": 29,
    "attention_window": [4, 6],
    "max_position_embeddings": 83,
    "type_vocab_size": 3,
    "layer_norm_eps": 1e-5,
    "hidden_act": "gelu",
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "sep_token_id": 2,
}


def fields_of(**changes: Any) -> dict[str, Any]:
    """The small configuration with some fields changed."""
    return {**SMALL, **changes}


def state_of(class_name: str, fields: Mapping[str, Any], seed: int, pooled: bool = True) -> dict[str, Array]:
    """Random weights of one class under HF's names: name -> float32 array, a tied tensor under each of its names."""
    labels = fields.get("num_labels", 2)
    rng = np.random.default_rng(seed)
    state: dict[str, Array] = {}
    hidden, wide = fields["hidden_size"], fields["intermediate_size"]

    def draw(*shape: int, scale: float = 1.0, centre: float = 0.0) -> Array:
        return (centre + scale * rng.standard_normal(shape)).astype(np.float32)

    def linear(name: str, inputs: int, outputs: int) -> None:
        state[f"{name}.weight"] = draw(outputs, inputs, scale=1.3 / np.sqrt(inputs))
        state[f"{name}.bias"] = draw(outputs, scale=0.3)

    def norm(name: str) -> None:
        state[f"{name}.weight"] = draw(hidden, scale=0.3, centre=1.0)
        state[f"{name}.bias"] = draw(hidden, scale=0.3)

    prefix = "" if class_name == "LongformerModel" else "longformer."
    for table, rows in (
        ("word", fields["vocab_size"]),
        ("position", fields["max_position_embeddings"]),
        ("token_type", fields["type_vocab_size"]),
    ):
        state[f"{prefix}embeddings.{table}_embeddings.weight"] = draw(rows, hidden)
    norm(f"{prefix}embeddings.LayerNorm")
    for index in range(fields["num_hidden_layers"]):
        layer = f"{prefix}encoder.layer.{index}"
        for name in ("query", "key", "value", "query_global", "key_global", "value_global"):
            linear(f"{layer}.attention.self.{name}", hidden, hidden)
        linear(f"{layer}.attention.output.dense", hidden, hidden)
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", hidden, wide)
        linear(f"{layer}.output.dense", wide, hidden)
        norm(f"{layer}.output.LayerNorm")
    if (class_name == "LongformerModel" and pooled) or class_name == "LongformerForMultipleChoice":
        linear(f"{prefix}pooler.dense", hidden, hidden)
    if class_name == "LongformerForMaskedLM":
        linear("lm_head.dense", hidden, hidden)
        norm("lm_head.layer_norm")
        state["lm_head.bias"] = draw(fields["vocab_size"], scale=0.3)
        state["lm_head.decoder.bias"] = state["lm_head.bias"]
        state["lm_head.decoder.weight"] = state["longformer.embeddings.word_embeddings.weight"]
    elif class_name == "LongformerForSequenceClassification":
        linear("classifier.dense", hidden, hidden)
        linear("classifier.out_proj", hidden, labels)
    elif class_name == "LongformerForTokenClassification":
        linear("classifier", hidden, labels)
    elif class_name == "LongformerForMultipleChoice":
        linear("classifier", hidden, 1)
    elif class_name == "LongformerForQuestionAnswering":
        linear("qa_outputs", hidden, 2)
    return state


def batch_of(fields: Mapping[str, Any], merged: Sequence[Sequence[int]], seed: int) -> dict[str, Array]:
    """Inputs whose rows have the given marks: 0 masked, 1 local, 2 global, 3 masked though marked global, -1 padding.

    merged: (batch, seq). Ids avoid the padding and separator tokens, so that neither appears by accident.
    Returns int64 arrays (batch, seq): input_ids, attention_mask, global_attention_mask, token_type_ids.
    """
    rng = np.random.default_rng(seed)
    marks = np.array(merged, np.int64)
    reserved = (fields["pad_token_id"], fields["sep_token_id"])
    words = np.setdiff1d(np.arange(fields["vocab_size"]), reserved)
    ids = rng.choice(words, size=marks.shape)
    types = rng.integers(0, fields["type_vocab_size"], size=marks.shape)
    return {
        "input_ids": np.where(marks == -1, fields["pad_token_id"], ids),
        "attention_mask": np.isin(marks, (1, 2)).astype(np.int64),
        "global_attention_mask": np.isin(marks, (2, 3)).astype(np.int64),
        "token_type_ids": types,
    }


def ragged_marks(lengths: Sequence[int], marked: Sequence[Mapping[int, int]]) -> list[list[int]]:
    """Marks for `batch_of`: each row its length, then padding; `marked[row]` maps positions to other marks than 1."""
    rows = []
    for length, changes in zip(lengths, marked, strict=True):
        row = [changes.get(position, 1) for position in range(length)]
        rows.append(row + [-1] * (max(lengths) - length))
    return rows


def ragged_batch(fields: Mapping[str, Any], seed: int) -> dict[str, Array]:
    """Three texts of 23, 17 and 5 tokens with 3, 1 and 0 global tokens, masked tokens in the middle of two of them."""
    marks = ragged_marks((23, 17, 5), ({0: 2, 7: 2, 8: 0, 9: 0, 19: 2, 21: 3}, {11: 2, 3: 0}, {}))
    return batch_of(fields, marks, seed)


def with_separators(
    inputs: Mapping[str, Array], separator: int, positions: Sequence[Sequence[int]]
) -> dict[str, Array]:
    """The same inputs with separator tokens at `positions[row]`, and without a global mask: the head chooses it."""
    ids = inputs["input_ids"].copy()
    for row, columns in enumerate(positions):
        ids[row, list(columns)] = separator
    return {name: value for name, value in inputs.items() if name != "global_attention_mask"} | {"input_ids": ids}


def labelled_batch(class_name: str, fields: Mapping[str, Any], seed: int) -> dict[str, Array]:
    """A ragged batch as the head's users give it, with labels; the heads with a default global attention choose it.

    The labels of tokens have -100 in positions, one answer's end lies past its text, as happens with windows over a
    document.
    """
    inputs = ragged_batch(fields, seed)
    rng = np.random.default_rng(seed + 1)
    shape = inputs["input_ids"].shape
    if class_name in ("LongformerForMaskedLM", "LongformerForTokenClassification"):
        classes = fields["vocab_size"] if class_name == "LongformerForMaskedLM" else fields["num_labels"]
        labels = rng.integers(0, classes, size=shape)
        return inputs | {"labels": np.where(rng.random(shape) < 0.4, -100, labels)}
    if class_name == "LongformerForSequenceClassification":
        del inputs["global_attention_mask"]
        return inputs | {"labels": rng.integers(0, fields["num_labels"], size=shape[0])}
    if class_name == "LongformerForQuestionAnswering":
        separated = with_separators(inputs, fields["sep_token_id"], ((5, 6, 22), (3, 4, 16), (1, 2, 4)))
        return separated | {"start_positions": np.array([9, 5, 3]), "end_positions": np.array([12, 41, 3])}
    if class_name == "LongformerForMultipleChoice":
        marks = ragged_marks((19, 13, 11, 17, 7, 19), ({3: 0, 15: 0}, {}, {5: 0}, {}, {}, {8: 3}))
        positions = ((9, 10, 18), (7, 8, 12), (2, 3, 10), (11, 12, 16), (1, 2, 6), (14, 15, 18))
        flat = with_separators(batch_of(fields, marks, seed), fields["sep_token_id"], positions)
        choices = {name: value.reshape(2, 3, -1) for name, value in flat.items()}
        return choices | {"labels": np.array([2, 0])}
    return inputs
