"""A whole Longformer, every head included, from a state dict with HF's names: naive NumPy in float64.

Attention is a dense (seq, seq) matrix per head whose unseen entries are minus infinity, so the set rule of the paper
can be read off one boolean matrix. Slow, quadratic, obvious; imports nothing that it is to judge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _gelu(x: Array) -> Array:
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)))


def _gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))


def _gelu_fast(x: Array) -> Array:
    # HF writes sqrt(2/pi) with ten digits here.
    return 0.5 * x * (1.0 + np.tanh(x * 0.7978845608 * (1.0 + 0.044715 * x * x)))


def _silu(x: Array) -> Array:
    return x / (1.0 + np.exp(-x))


ACTIVATIONS = {
    "gelu": _gelu,
    "gelu_python": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_fast": _gelu_fast,
    "relu": lambda x: np.where(x > 0, x, 0.0),
    "silu": _silu,
    "swish": _silu,
    "tanh": np.tanh,
}


class Weights:
    """The tensors of a state dict under a prefix, in float64."""

    def __init__(self, state: Mapping[str, Any], prefix: str = "") -> None:
        self.state, self.prefix = state, prefix

    def __getitem__(self, name: str) -> Array:
        return np.asarray(self.state[self.prefix + name], np.float64)

    def under(self, name: str) -> Weights:
        return Weights(self.state, f"{self.prefix}{name}.")

    def linear(self, x: Array, name: str) -> Array:
        return x @ self[f"{name}.weight"].T + self[f"{name}.bias"]  # [..., in], [out, in] -> [..., out]

    def norm(self, x: Array, name: str, eps: float) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps)
        return scaled * self[f"{name}.weight"] + self[f"{name}.bias"]


def windows_of(fields: Mapping[str, Any]) -> list[int]:
    """One-sided window of each layer."""
    window, layers = fields["attention_window"], fields["num_hidden_layers"]
    return [value // 2 for value in ([window] * layers if isinstance(window, int) else window)]


def dilations_of(fields: Mapping[str, Any]) -> list[list[int]]:
    """Dilation of each head of each layer."""
    given, layers = fields.get("attention_dilation", 1), fields["num_hidden_layers"]
    by_layer = [given] * layers if isinstance(given, int) else given
    return [[of] * fields["num_attention_heads"] if isinstance(of, int) else list(of) for of in by_layer]


def sight(
    visible: Array, is_global: Array, one_sided: int, dilations: Sequence[int] = (1,), causal: bool = False
) -> Array:
    """Which key each query sees: bool (dilations, seq, seq) from bool (seq,) masks."""
    position = np.arange(visible.size)
    offset = position[None, :] - position[:, None]
    near = np.stack([(np.abs(offset) <= one_sided * apart) & (offset % apart == 0) for apart in dilations])
    seen = near | is_global[None, :] | is_global[:, None]
    return seen & visible[None, :] & visible[:, None] & ((offset <= 0) | (not causal))


def attention(
    weights: Weights,
    hidden: Array,
    visible: Array,
    is_global: Array,
    one_sided: int,
    heads: int,
    dilations: Sequence[int] = (1,),
    causal: bool = False,
) -> Any:
    """Attention of one text: hidden (seq, width) -> output (seq, width), probabilities (heads, seq, seq)."""
    seq, width = hidden.shape
    head_dim = width // heads
    seen = sight(visible, is_global, one_sided, dilations, causal)

    def split(name: str) -> Array:
        return weights.linear(hidden, name).reshape(seq, heads, head_dim).transpose(1, 0, 2)  # [heads, seq, head_dim]

    def softmax(suffix: str) -> tuple[Array, Array]:
        scores = split(f"query{suffix}") / math.sqrt(head_dim) @ split(f"key{suffix}").transpose(0, 2, 1)
        scores = np.where(seen, scores, -np.inf)
        highest = np.where(seen.any(-1, keepdims=True), scores.max(-1, keepdims=True), 0.0)
        powers = np.exp(scores - highest)
        total = powers.sum(-1, keepdims=True)
        normalised = powers / np.where(total == 0.0, 1.0, total)  # a query that sees nothing keeps zeros
        return normalised, normalised @ split(f"value{suffix}")

    local, from_local = softmax("")
    wide, from_wide = softmax("_global")
    probabilities = np.where(is_global[None, :, None], wide, local)
    context = np.where(is_global[None, :, None], from_wide, from_local)
    return context.transpose(1, 0, 2).reshape(seq, width), probabilities


def attentions_as_stored(
    dense: Array, is_global: Array, one_sided: int, dilations: Sequence[int]
) -> tuple[Array, Array | None]:
    """HF's two arrays from the dense probabilities.

    dense: (batch, heads, seq, seq). Returns (batch, heads, seq, x + 2 * one_sided + 1) and (batch, heads, seq, x), x
    the largest number of global tokens of a row; the second is None where there is none.
    """
    batch, heads, seq, _ = dense.shape
    most = int(is_global.sum(1).max())
    local = np.zeros((batch, heads, seq, most + 2 * one_sided + 1))
    wide = np.zeros((batch, heads, seq, most))
    for row in range(batch):
        places = np.flatnonzero(is_global[row])
        for slot, place in enumerate(places):
            wide[row, :, :, slot] = dense[row, :, place, :]
        for query in np.flatnonzero(~is_global[row]):
            local[row, :, query, : places.size] = dense[row, :, query, places].T
            for head, apart in enumerate(dilations):
                for step in range(-one_sided, one_sided + 1):
                    key = query + step * apart
                    if 0 <= key < seq and not is_global[row, key]:
                        local[row, head, query, most + one_sided + step] = dense[row, head, query, key]
    return local, wide if most else None


def position_ids_of(input_ids: Array, pad: int) -> Array:
    """Positions count the tokens that are not padding, from pad + 1; padding has pad."""
    result = np.full(input_ids.shape, pad)
    for row in range(input_ids.shape[0]):
        count = pad
        for column in range(input_ids.shape[1]):
            if input_ids[row, column] != pad:
                count += 1
                result[row, column] = count
    return result


def encode(fields: Mapping[str, Any], weights: Weights, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The encoder: inputs (batch, seq) -> last_hidden_state, hidden_states, attentions, global_attentions, dense."""
    eps, pad = fields["layer_norm_eps"], fields["pad_token_id"]
    ids, embeds = inputs.get("input_ids"), inputs.get("inputs_embeds")
    batch, seq = np.asarray(ids).shape if ids is not None else np.asarray(embeds).shape[:2]
    visible = np.ones((batch, seq), bool) if inputs.get("attention_mask") is None else inputs["attention_mask"] == 1
    marked = inputs.get("global_attention_mask")
    is_global = visible & (np.zeros((batch, seq), bool) if marked is None else np.asarray(marked) == 1)
    embedding = weights.under("embeddings")
    if ids is not None:
        embeds = embedding["word_embeddings.weight"][ids]
    positions = inputs.get("position_ids")
    if positions is None:
        positions = position_ids_of(np.asarray(ids), pad) if ids is not None else pad + 1 + np.arange(seq)
    types = inputs.get("token_type_ids")
    types = np.zeros((batch, seq), int) if types is None else types
    x = embeds + embedding["position_embeddings.weight"][positions] + embedding["token_type_embeddings.weight"][types]
    x = embedding.norm(x, "LayerNorm", eps)
    hidden_states, attentions, global_attentions, dense = [x], [], [], []
    causal = bool(fields.get("autoregressive"))
    for index, (one_sided, dilations) in enumerate(zip(windows_of(fields), dilations_of(fields), strict=True)):
        layer = weights.under(f"encoder.layer.{index}")
        pairs = [
            attention(
                layer.under("attention.self"), x[row], visible[row], is_global[row], one_sided,
                fields["num_attention_heads"], dilations, causal,
            )
            for row in range(batch)
        ]  # fmt: skip
        context = np.stack([pair[0] for pair in pairs])
        dense.append(np.stack([pair[1] for pair in pairs]))
        x = layer.norm(layer.linear(context, "attention.output.dense") + x, "attention.output.LayerNorm", eps)
        wide = ACTIVATIONS[fields["hidden_act"]](layer.linear(x, "intermediate.dense"))
        x = layer.norm(layer.linear(wide, "output.dense") + x, "output.LayerNorm", eps)
        hidden_states.append(x)
        local, whole = attentions_as_stored(dense[-1], is_global, one_sided, dilations)
        attentions.append(local)
        global_attentions.append(whole)
    return {
        "last_hidden_state": x,
        "hidden_states": tuple(hidden_states),
        "attentions": tuple(attentions),
        "global_attentions": tuple(global_attentions) if is_global.any() else None,
        "dense": tuple(dense),
    }
