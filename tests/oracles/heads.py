"""The heads on top of the naive Longformer: default global attention, logits and losses, in float64."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracles.longformer import ACTIVATIONS, Weights, encode

Array = NDArray[Any]
HEADS = (
    "LongformerModel",
    "LongformerForMaskedLM",
    "LongformerForSequenceClassification",
    "LongformerForTokenClassification",
    "LongformerForMultipleChoice",
    "LongformerForQuestionAnswering",
)


def default_global(class_name: str, input_ids: Array, sep: int) -> Array | None:
    """The global attention a head gives when the caller names none: int (batch, seq), or None for the others."""
    marked = np.zeros(input_ids.shape, int)
    for row, ids in enumerate(input_ids):
        if class_name == "LongformerForSequenceClassification":
            marked[row, 0] = 1
        elif class_name == "LongformerForQuestionAnswering":
            marked[row, : list(ids).index(sep)] = 1
        elif class_name == "LongformerForMultipleChoice":
            marked[row, list(ids).index(sep) + 2 :] = 1
        else:
            return None
    return marked


def run(
    class_name: str, fields: Mapping[str, Any], state: Mapping[str, Any], inputs: Mapping[str, Any], pooled: bool = True
) -> dict[str, Any]:
    """All outputs of one class by HF's names, and `dense`: each layer's probabilities, (batch, heads, seq, seq)."""
    inputs = {name: value for name, value in inputs.items() if value is not None}
    if class_name == "LongformerModel":
        weights = Weights(state)
        result = encode(fields, weights, inputs)
        result["pooler_output"] = _pool(weights, result["last_hidden_state"]) if pooled else None
        return result
    weights = Weights(state, "longformer.")
    top = Weights(state)
    choices = 0
    if class_name == "LongformerForMultipleChoice":
        given = inputs["input_ids"] if "input_ids" in inputs else inputs["inputs_embeds"]
        choices = np.asarray(given).shape[1]
        inputs = {
            name: value if name == "labels" else np.reshape(value, (-1, *np.shape(value)[2:]))
            for name, value in inputs.items()
        }
    if "global_attention_mask" not in inputs and "input_ids" in inputs:
        inputs["global_attention_mask"] = default_global(
            class_name, np.asarray(inputs["input_ids"]), fields["sep_token_id"]
        )
    result = encode(fields, weights, inputs)
    x = result.pop("last_hidden_state")
    labels = inputs.get("labels")
    if class_name == "LongformerForMaskedLM":
        features = ACTIVATIONS["gelu"](top.linear(x, "lm_head.dense"))
        features = top.norm(features, "lm_head.layer_norm", fields["layer_norm_eps"])
        tied = "lm_head.decoder.weight" not in state
        decoder = weights["embeddings.word_embeddings.weight"] if tied else top["lm_head.decoder.weight"]
        logits = features @ decoder.T + top["lm_head.bias"]
    elif class_name == "LongformerForSequenceClassification":
        logits = top.linear(np.tanh(top.linear(x[:, 0], "classifier.dense")), "classifier.out_proj")
    elif class_name == "LongformerForTokenClassification":
        logits = top.linear(x, "classifier")
    elif class_name == "LongformerForMultipleChoice":
        logits = top.linear(_pool(weights, x), "classifier").reshape(-1, choices)
    else:
        logits = top.linear(x, "qa_outputs")
        result["start_logits"], result["end_logits"] = logits[..., 0], logits[..., 1]
        result["loss"] = None
        if "start_positions" in inputs and "end_positions" in inputs:
            result["loss"] = question_loss(logits, inputs["start_positions"], inputs["end_positions"])
        return result
    result["logits"] = logits
    result["loss"] = None
    if labels is not None:
        if class_name == "LongformerForSequenceClassification":
            result["loss"] = classification_loss(logits, labels, fields)
        else:
            result["loss"] = cross_entropy(logits, labels)
    return result


def _pool(weights: Weights, x: Array) -> Array:
    return np.tanh(weights.linear(x[:, 0], "pooler.dense"))


def cross_entropy(logits: Array, labels: Any, ignored: int = -100) -> float:
    """Mean of -log softmax(logits)[label] over the labels that are not `ignored`; NaN when all are."""
    losses = []
    for scores, label in zip(logits.reshape(-1, logits.shape[-1]), np.ravel(labels), strict=True):
        if label != ignored:
            highest = max(scores)
            total = math.fsum(math.exp(score - highest) for score in scores)
            losses.append(highest + math.log(total) - scores[label])
    return math.fsum(losses) / len(losses) if losses else math.nan


def question_loss(logits: Array, starts: Any, ends: Any) -> float:
    """Mean of the two cross-entropies over the positions; a position past the text is not counted."""
    seq = logits.shape[1]
    both = [
        cross_entropy(logits[..., side], [min(max(int(place), 0), seq) for place in np.ravel(places)], ignored=seq)
        for side, places in enumerate((starts, ends))
    ]
    return (both[0] + both[1]) / 2


def classification_loss(logits: Array, labels: Any, fields: Mapping[str, Any]) -> float:
    """Squared error, cross-entropy or binary cross-entropy, by `problem_type` or, where unset, by the labels."""
    labels = np.asarray(labels)
    kind = fields.get("problem_type")
    if kind is None:
        if logits.shape[-1] == 1:
            kind = "regression"
        else:
            kind = "single_label_classification" if labels.dtype.kind in "iu" else "multi_label_classification"
    if kind == "single_label_classification":
        return cross_entropy(logits, labels)
    pairs = list(zip(logits.ravel().tolist(), labels.ravel().tolist(), strict=True))
    if kind == "regression":
        return math.fsum((score - label) ** 2 for score, label in pairs) / len(pairs)
    terms = [max(z, 0.0) - z * label + math.log1p(math.exp(-abs(z))) for z, label in pairs]
    return math.fsum(terms) / len(pairs)
