"""A port of Longformer as people write them: whole batches, gathered neighbours, float32 or imitated bfloat16.

It imports nothing that is to be judged, and its steps are methods, so that a fault can be put into each of them alone.
`recorded` has what it computes, under HF's module names where it has such a module. Letters: B rows, S tokens,
H heads, D elements per head, x slots for global tokens, w the one-sided window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oracles.longformer import windows_of
from oracles.reduced import bfloat16

Array = NDArray[Any]

_erf = np.vectorize(math.erf, otypes=[np.float32])
NEVER = np.float32(-1e9)  # the score of what is not seen


class Port:
    """One of HF's classes, by its name, from its config and state dict."""

    def __init__(self, class_name: str, fields: Mapping[str, Any], state: Mapping[str, Any], precision: str) -> None:
        self.class_name, self.fields, self.precision = class_name, fields, precision
        self.state = {
            name.removeprefix("longformer."): self.stored(np.asarray(values, np.float32))
            for name, values in state.items()
        }
        self.recorded: dict[str, Array] = {}

    # --- arithmetic -----------------------------------------------------------------------------------------------

    def stored(self, values: Array) -> Array:
        """A weight as the port holds it."""
        return self.rounded(values)

    def rounded(self, x: Array) -> Array:
        """What an operation gives in the port's precision."""
        if self.precision != "bfloat16":
            return x
        with np.errstate(invalid="ignore"):
            return bfloat16(x).astype(np.float32)

    def keep(self, name: str, x: Array) -> Array:
        """Round the result of an operation, and keep it."""
        self.recorded[name] = self.rounded(x)
        return self.recorded[name]

    def weight(self, name: str) -> Array:
        return self.state[f"{name}.weight"]

    def bias(self, name: str) -> Array:
        return self.state["lm_head.bias" if name == "lm_head.decoder" else f"{name}.bias"]

    def product(self, x: Array, weight: Array) -> Array:
        """x W^T, added up in float32."""
        return x @ weight.T

    def linear(self, x: Array, name: str) -> Array:
        return self.keep(name, self.product(x, self.weight(name)) + self.bias(name))

    def eps(self, name: str) -> float:
        return float(self.fields["layer_norm_eps"])

    def norm(self, x: Array, name: str) -> Array:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + np.float32(self.eps(name)))
        return self.keep(name, scaled * self.weight(name) + self.bias(name))

    def gelu(self, x: Array) -> Array:
        return 0.5 * x * (1 + _erf(x / np.float32(math.sqrt(2.0))))

    def softmax(self, scores: Array) -> Array:
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    # --- what is where ----------------------------------------------------------------------------------------------

    def positions(self, ids: Array) -> Array:
        pad = self.fields["pad_token_id"]
        present = ids != pad
        return np.cumsum(present, 1) * present + pad

    def types(self, given: Array) -> Array:
        return given

    def attended(self, mask: Array) -> Array:
        """bool [B, S]: what is no padding."""
        return mask == 1

    def default_global(self, ids: Array) -> Array:
        marked = np.zeros_like(ids)
        if self.class_name == "LongformerForSequenceClassification":
            marked[:, 0] = 1
        elif self.class_name == "LongformerForQuestionAnswering":
            first = (ids == self.fields["sep_token_id"]).argmax(1)
            marked = (np.arange(ids.shape[1]) < first[:, None]).astype(ids.dtype)
        return marked

    def slots(self) -> tuple[Array, Array]:
        """Positions of the global tokens of each row, and which slots hold one.  # int [B, x], bool [B, x]"""
        counts = self.is_global.sum(1)
        found = np.zeros((len(counts), int(counts.max())), int)
        for row, marks in enumerate(self.is_global):
            found[row, : counts[row]] = np.flatnonzero(marks)
        return found, self.used(counts, found.shape[1])

    def used(self, counts: Array, most: int) -> Array:
        return np.arange(most) < counts[:, None]

    # --- the model --------------------------------------------------------------------------------------------------

    def __call__(
        self,
        input_ids: Array,
        attention_mask: Array | None = None,
        global_attention_mask: Array | None = None,
        token_type_ids: Array | None = None,
    ) -> dict[str, Array]:
        """Everything that was computed, the outputs of the class included."""
        self.recorded = {}
        ids = np.asarray(input_ids)
        mask = np.ones_like(ids) if attention_mask is None else np.asarray(attention_mask)
        marked = self.default_global(ids) if global_attention_mask is None else np.asarray(global_attention_mask)
        self.visible, self.is_global = self.attended(mask), (mask == 1) & (marked == 1)
        self.places, self.in_use = self.slots()
        x = self.embed(ids, np.zeros_like(ids) if token_type_ids is None else np.asarray(token_type_ids))
        for index in range(self.depth()):
            x = self.layer(f"encoder.layer.{index}", x, self.one_sided(index))
        outputs = self.head(x)
        return {**self.recorded, **outputs}

    def depth(self) -> int:
        return int(self.fields["num_hidden_layers"])

    def one_sided(self, index: int) -> int:
        return windows_of(self.fields)[index]

    def embed(self, ids: Array, types: Array) -> Array:
        words = self.keep("embeddings.word_embeddings", self.weight("embeddings.word_embeddings")[ids])
        table = self.weight("embeddings.position_embeddings")
        positions = self.keep("embeddings.position_embeddings", table[self.positions(ids)])
        table = self.weight("embeddings.token_type_embeddings")
        kinds = self.keep("embeddings.token_type_embeddings", table[self.types(types)])
        return self.norm(self.rounded(words + positions + kinds), "embeddings.LayerNorm")

    def layer(self, name: str, x: Array, one_sided: int) -> Array:
        context = self.keep(f"{name}.attention.self", self.attention(f"{name}.attention.self", x, one_sided))
        x = self.add_and_norm(x, self.linear(context, f"{name}.attention.output.dense"), f"{name}.attention.output")
        wide = self.linear(x, f"{name}.intermediate.dense")
        wide = self.keep(f"{name}.intermediate.intermediate_act_fn", self.gelu(wide))
        return self.add_and_norm(x, self.linear(wide, f"{name}.output.dense"), f"{name}.output")

    def add_and_norm(self, residual: Array, x: Array, name: str) -> Array:
        return self.norm(self.rounded(residual + x), f"{name}.LayerNorm")

    def split(self, x: Array) -> Array:
        """[B, n, H D] -> [B, H, n, D]"""
        return x.reshape(*x.shape[:2], self.fields["num_attention_heads"], -1).transpose(0, 2, 1, 3)

    def merge(self, x: Array) -> Array:
        """[B, H, n, D] -> [B, n, H D]"""
        return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)

    def scale(self, query: Array, name: str) -> Array:
        return self.rounded(query / np.float32(math.sqrt(query.shape[-1])))

    def attention(self, name: str, x: Array, one_sided: int) -> Array:
        query, key, value = (self.split(self.linear(x, f"{name}.{part}")) for part in ("query", "key", "value"))
        near = np.arange(x.shape[1])[:, None] + self.reach(one_sided)  # [S, 2 w + 1]
        rows = np.arange(len(x))[:, None]
        global_keys = key.transpose(0, 2, 1, 3)[rows, self.places].transpose(0, 2, 1, 3)  # [B, H, x, D]
        query = self.scale(query, "query")
        scores = np.concatenate(
            [
                query @ global_keys.swapaxes(2, 3),
                np.einsum("bhsd,bhsnd->bhsn", query, key[:, :, np.clip(near, 0, x.shape[1] - 1)]),
            ],
            axis=3,
        )
        scores = self.keep(f"{name}.scores", np.where(self.local_keys(near), self.rounded(scores), NEVER))
        shares = self.softmax(scores) * self.answering()
        shares = self.keep(f"{name}.probabilities", shares)
        context = self.gathered(shares, value, near)
        if self.places.shape[1]:
            wide = self.global_context(name, x)
            self.replace(context, wide)
        return self.merge(context)

    def reach(self, one_sided: int) -> Array:
        return np.arange(-one_sided, one_sided + 1)

    def local_keys(self, near: Array) -> Array:
        """What a local query may see: global tokens, and local neighbours.  # bool [B, 1, S, x + 2 w + 1]"""
        length = self.visible.shape[1]
        inside = (near >= 0) & (near < length)
        neighbours = self.banded()[:, np.clip(near, 0, length - 1)] & inside
        slots = np.broadcast_to(self.in_use[:, None], (*self.visible.shape, self.in_use.shape[1]))
        return np.concatenate([slots, neighbours], axis=2)[:, None]

    def banded(self) -> Array:
        """bool [B, S]: the keys that are found through the band."""
        return self.visible & ~self.is_global

    def answering(self) -> Array:
        """bool [B, 1, S, 1]: the queries whose attention weights are not 0."""
        return (self.visible & ~self.is_global)[:, None, :, None]

    def gathered(self, shares: Array, value: Array, near: Array) -> Array:
        """Values of global tokens and neighbours, weighted.  # -> [B, H, S, D]"""
        columns = self.places.shape[1]
        rows = np.arange(len(value))[:, None]
        global_values = value.transpose(0, 2, 1, 3)[rows, self.places].transpose(0, 2, 1, 3)
        neighbours = value[:, :, np.clip(near, 0, value.shape[2] - 1)]  # [B, H, S, 2 w + 1, D]
        local = np.einsum("bhsn,bhsnd->bhsd", shares[..., columns:], neighbours)
        return self.rounded(shares[..., :columns] @ global_values + local)

    def global_context(self, name: str, x: Array) -> Array:
        """What global queries gather from all tokens.  # [B, S, H D] -> [B, H, x, D]"""
        chosen = x[np.arange(len(x))[:, None], self.places]
        query = self.scale(self.split(self.linear(chosen, f"{name}.query_global")), "query_global")
        key = self.split(self.linear(x, f"{name}.key_global"))
        value = self.split(self.linear(x, f"{name}.value_global"))
        scores = np.where(self.global_keys(), self.rounded(query @ key.swapaxes(2, 3)), NEVER)
        shares = self.softmax(self.keep(f"{name}.scores_global", scores.swapaxes(2, 3)).swapaxes(2, 3))
        shares = self.keep(f"{name}.probabilities_global", shares.swapaxes(2, 3)).swapaxes(2, 3)
        return self.rounded(shares @ value)

    def global_keys(self) -> Array:
        """bool [B, 1, 1, S]: what global queries may see."""
        return self.visible[:, None, None]

    def replace(self, context: Array, wide: Array) -> None:
        """Replace the band's context of global queries by their own."""
        for row, places in enumerate(self.places):
            for slot in np.flatnonzero(self.in_use[row]):
                context[row, :, places[slot]] = wide[row, :, slot]

    # --- heads ------------------------------------------------------------------------------------------------------

    def first(self, x: Array) -> Array:
        return x[:, 0]

    def tanh(self, x: Array) -> Array:
        return np.tanh(x)

    def head(self, x: Array) -> dict[str, Array]:
        if self.class_name == "LongformerForMaskedLM":
            y = self.rounded(self.head_activation(self.linear(x, "lm_head.dense")))
            return {"logits": self.linear(self.head_norm(y), "lm_head.decoder")}
        if self.class_name == "LongformerForSequenceClassification":
            y = self.rounded(self.tanh(self.linear(self.first(x), "classifier.dense")))
            return {"logits": self.linear(y, "classifier.out_proj")}
        if self.class_name == "LongformerForQuestionAnswering":
            y = self.linear(x, "qa_outputs")
            return {"start_logits": y[..., 0], "end_logits": y[..., 1]}
        pooled = self.keep("pooler.activation", self.tanh(self.linear(self.first(x), "pooler.dense")))
        return {"last_hidden_state": x, "pooler_output": pooled}

    def head_activation(self, x: Array) -> Array:
        return self.gelu(x)

    def head_norm(self, x: Array) -> Array:
        return self.norm(x, "lm_head.layer_norm")
