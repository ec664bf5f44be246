"""The names of tensors in a forward pass, in order of computation: HF's module names without the `longformer.` prefix.

Most tensors are the outputs of HF's modules. Those that no HF module outputs (scores, probabilities, context, the sums
before a norm, activations of heads) get a name in these tables and are marked as `own`.

The letters of the layouts: B rows of the batch (choices count as rows), S tokens, H heads, x the largest number of
global tokens of any row, w the one-sided window of the layer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

TOKENS = "tokens"  # [B, S, n]
POOLED = "pooled"  # [B, n], of the first token of each row
GLOBALS = "globals"  # [B, x, n], a row's global tokens in order of position; unused slots are 0 and mean nothing
BAND = "band"  # [B, H, S, x + 2 w + 1], as HF's `attentions`: a query's global keys, then its neighbours
COLUMNS = "columns"  # [B, H, S, x], as HF's `global_attentions`: over all keys, each global query a column


@dataclass(frozen=True)
class TensorName:
    """The canonical name of a tensor.

    name: within its layer, or the whole name. layout: one of the constants above. meaning: a description. own: no HF
    module outputs it. aliases: HF's modules that return the same values ("" is the layer).
    """

    name: str
    layout: str
    meaning: str
    aliases: tuple[str, ...] = ()
    own: bool = False


EMBEDDINGS = (
    TensorName("embeddings.word_embeddings", TOKENS, "word embeddings; absent with inputs_embeds"),
    TensorName("embeddings.position_embeddings", TOKENS, "position embeddings"),
    TensorName("embeddings.token_type_embeddings", TOKENS, "token type embeddings"),
    TensorName("embeddings.sum", TOKENS, "the sum of the three", own=True),
    TensorName("embeddings.LayerNorm", TOKENS, "the input of the first layer", ("embeddings.dropout", "embeddings")),
)
LAYER = (
    TensorName("attention.self.query", TOKENS, "as projected, not yet divided by sqrt(head size)"),
    TensorName("attention.self.key", TOKENS, "as projected"),
    TensorName("attention.self.value", TOKENS, "as projected"),
    TensorName("attention.self.query_global", GLOBALS, "of the global tokens, not yet divided"),
    TensorName("attention.self.key_global", TOKENS, "of all tokens, for the global queries"),
    TensorName("attention.self.value_global", TOKENS, "of all tokens, for the global queries"),
    TensorName("attention.self.scores", BAND, "scaled dot products of local queries; -inf where masked", own=True),
    TensorName("attention.self.probabilities", BAND, "softmax of the scores; 0 for masked or global queries", own=True),
    TensorName("attention.self.context", TOKENS, "weighted values of local queries; 0 for other queries", own=True),
    TensorName("attention.self.scores_global", COLUMNS, "scaled dot products of global queries", own=True),
    TensorName("attention.self.probabilities_global", COLUMNS, "softmax of these scores", own=True),
    TensorName("attention.self.context_global", GLOBALS, "weighted values of global queries", own=True),
    TensorName("attention.self", TOKENS, "both contexts merged"),
    TensorName("attention.output.dense", TOKENS, "the output projection", ("attention.output.dropout",)),
    TensorName("attention.output.sum", TOKENS, "the residual added", own=True),
    TensorName("attention.output.LayerNorm", TOKENS, "the layer norm", ("attention.output", "attention")),
    TensorName("intermediate.dense", TOKENS, "the feed-forward layer, hidden to intermediate"),
    TensorName("intermediate.intermediate_act_fn", TOKENS, "its activation", ("intermediate",)),
    TensorName("output.dense", TOKENS, "the feed-forward layer, intermediate to hidden", ("output.dropout",)),
    TensorName("output.sum", TOKENS, "the residual added", own=True),
    TensorName("output.LayerNorm", TOKENS, "the layer norm: the output of the layer", ("output", "")),
)
HEADS = (
    TensorName("pooler.dense", POOLED, "of the first token"),
    TensorName("pooler.activation", POOLED, "its tanh", ("pooler",)),
    TensorName("lm_head.dense", TOKENS, "the head's dense layer"),
    TensorName("lm_head.activation", TOKENS, "its gelu", own=True),
    TensorName("lm_head.layer_norm", TOKENS, "the layer norm"),
    TensorName("lm_head.decoder", TOKENS, "logits of the vocabulary", ("lm_head",)),
    TensorName("classifier.dense", POOLED, "sequence classification: of the first token"),
    TensorName("classifier.activation", POOLED, "its tanh", own=True),
    TensorName("classifier.out_proj", POOLED, "logits of the labels", ("classifier",)),
    TensorName("classifier", TOKENS, "token classification, multiple choice: logits"),
    TensorName("qa_outputs", TOKENS, "start and end logits of each token"),
)
# Fields of the output records that are single arrays.
OUTPUTS = ("last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits", "loss")
# The name of the only tensor that a model returned.
SINGLE_OUTPUT = "output"
# Fields of the output records that are tuples: the names of the item before the layers, and of those within a layer.
TUPLES = {
    "hidden_states": ("embeddings.LayerNorm", "output.LayerNorm"),
    "attentions": (None, "attention.self.probabilities"),
    "global_attentions": (None, "attention.self.probabilities_global"),
}

_LAYER = re.compile(r"encoder\.layer\.(\d+)(?:\.(.+))?")
_PREFIXES = ("longformer.", "roberta.")
_ORDER = {
    entry.name: (stage, index) for stage, table in ((0, EMBEDDINGS), (2, HEADS)) for index, entry in enumerate(table)
}
_LAYER_ORDER = {entry.name: index for index, entry in enumerate(LAYER)}
_BY_NAME = {entry.name: entry for entry in (*EMBEDDINGS, *LAYER, *HEADS)}
_LAYER_ALIASES = {alias: entry.name for entry in LAYER for alias in entry.aliases}
_ALIASES = {alias: entry.name for entry in (*EMBEDDINGS, *HEADS) for alias in entry.aliases}


def strip_prefix(name: str) -> str:
    """The name of a module without the prefix that it has in classes with a head."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def lookup(name: str) -> TensorName | None:
    """The entry of the tables for a canonical name without prefix; None for outputs and unknown names."""
    _, within = split_layer(name)
    return _BY_NAME.get(within)


def all_names(layers: int) -> list[str]:
    """The canonical names of the tensors of a model with so many layers and any head, and of its outputs."""
    inner = [f"encoder.layer.{layer}.{entry.name}" for layer in range(layers) for entry in LAYER]
    return [*(entry.name for entry in EMBEDDINGS), *inner, *(entry.name for entry in HEADS), *OUTPUTS]


@lru_cache(maxsize=1024)
def split_layer(name: str) -> tuple[int | None, str]:
    """The index of the layer, None outside of the layers, and the name within it ("" for the layer itself)."""
    found = _LAYER.fullmatch(name)
    return (int(found[1]), found[2] or "") if found else (None, name)


def canonical_name(name: str) -> str:
    """The canonical name of an alias; any other name is returned unchanged.

    `classifier` is an alias only where the trace has a `classifier.out_proj`: look up the name itself first.
    """
    layer, within = split_layer(name)
    if layer is None:
        return _ALIASES.get(within, name)
    return f"encoder.layer.{layer}.{_LAYER_ALIASES[within]}" if within in _LAYER_ALIASES else name


def aliases(name: str) -> list[str]:
    """The aliases of a canonical name, innermost module first."""
    layer, within = split_layer(name)
    entry = _BY_NAME.get(within)
    if entry is None:
        return []
    if layer is None:
        return list(entry.aliases)
    return [f"encoder.layer.{layer}.{alias}".rstrip(".") for alias in entry.aliases]


def computation_order(name: str) -> tuple[int, int, int]:
    """A sort key that puts names in order of computation."""
    layer, within = split_layer(name)
    if layer is not None:
        return (1, layer, _LAYER_ORDER.get(within, len(LAYER)))
    if name in OUTPUTS:
        return (3, 0, OUTPUTS.index(name))
    stage, index = _ORDER.get(name, (4, 0))
    return (stage, 0, index)
