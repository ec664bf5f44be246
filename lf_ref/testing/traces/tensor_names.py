"""The places of a forward, in order of computation: HF's module names without the `longformer.` prefix.

A place is where an intermediate has a name. Most are the outputs of HF's modules. Those that no HF module outputs
(scores, probabilities, context, the sums before a norm, activations of heads) are named here and marked.

The letters of the layouts: B rows of the batch (choices count as rows), S tokens, H heads, x the largest number of
global tokens of any row, w the one-sided window of the layer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKENS = "tokens"  # [B, S, n]
POOLED = "pooled"  # [B, n], of the first token of each row
GLOBALS = "globals"  # [B, x, n], a row's global tokens in order of position; slots left over are 0 and mean nothing
BAND = "band"  # [B, H, S, x + 2 w + 1], as HF's `attentions`: a query's global keys, then its neighbours
COLUMNS = "columns"  # [B, H, S, x], as HF's `global_attentions`: over all keys, each global query a column


@dataclass(frozen=True)
class Place:
    """Where an intermediate has a name.

    name: within its layer, or the whole. layout: one of the above. meaning: for people. own: no HF module outputs it.
    aliases: HF's modules that pass on the same values ("" is the layer).
    """

    name: str
    layout: str
    meaning: str
    aliases: tuple[str, ...] = ()
    own: bool = False


EMBEDDINGS = (
    Place("embeddings.word_embeddings", TOKENS, "word vectors; not there where inputs_embeds were given"),
    Place("embeddings.position_embeddings", TOKENS, "position vectors"),
    Place("embeddings.token_type_embeddings", TOKENS, "token-type vectors"),
    Place("embeddings.sum", TOKENS, "the sum of the three", own=True),
    Place("embeddings.LayerNorm", TOKENS, "what enters the first layer", ("embeddings.dropout", "embeddings")),
)
LAYER = (
    Place("attention.self.query", TOKENS, "as projected, not yet divided by sqrt(head size)"),
    Place("attention.self.key", TOKENS, "as projected"),
    Place("attention.self.value", TOKENS, "as projected"),
    Place("attention.self.query_global", GLOBALS, "of the global tokens, not yet divided"),
    Place("attention.self.key_global", TOKENS, "of all tokens, for the global queries"),
    Place("attention.self.value_global", TOKENS, "of all tokens, for the global queries"),
    Place("attention.self.scores", BAND, "scaled dot products of local queries; -inf for what is not seen", own=True),
    Place("attention.self.probabilities", BAND, "softmax of the scores; 0 for masked and global queries", own=True),
    Place("attention.self.context", TOKENS, "what local queries gather; 0 for masked and global ones", own=True),
    Place("attention.self.scores_global", COLUMNS, "scaled dot products of global queries", own=True),
    Place("attention.self.probabilities_global", COLUMNS, "softmax of these", own=True),
    Place("attention.self.context_global", GLOBALS, "what global queries gather", own=True),
    Place("attention.self", TOKENS, "both contexts together"),
    Place("attention.output.dense", TOKENS, "the output projection", ("attention.output.dropout",)),
    Place("attention.output.sum", TOKENS, "with the residual", own=True),
    Place("attention.output.LayerNorm", TOKENS, "normalised", ("attention.output", "attention")),
    Place("intermediate.dense", TOKENS, "the wide layer"),
    Place("intermediate.intermediate_act_fn", TOKENS, "its activation", ("intermediate",)),
    Place("output.dense", TOKENS, "back to the narrow one", ("output.dropout",)),
    Place("output.sum", TOKENS, "with the residual", own=True),
    Place("output.LayerNorm", TOKENS, "normalised: the output of the layer", ("output", "")),
)
HEADS = (
    Place("pooler.dense", POOLED, "of the first token"),
    Place("pooler.activation", POOLED, "its tanh", ("pooler",)),
    Place("lm_head.dense", TOKENS, "the head's dense layer"),
    Place("lm_head.activation", TOKENS, "its gelu", own=True),
    Place("lm_head.layer_norm", TOKENS, "normalised"),
    Place("lm_head.decoder", TOKENS, "scores of all words", ("lm_head",)),
    Place("classifier.dense", POOLED, "sequence classification: of the first token"),
    Place("classifier.activation", POOLED, "its tanh", own=True),
    Place("classifier.out_proj", POOLED, "scores of the labels", ("classifier",)),
    Place("classifier", TOKENS, "token classification, multiple choice: scores"),
    Place("qa_outputs", TOKENS, "start and end score of each token"),
)
# Fields of the output records that are single arrays.
OUTPUTS = ("last_hidden_state", "pooler_output", "logits", "start_logits", "end_logits", "loss")
# What a model returned that returned nothing but one tensor.
ONLY = "output"
# Fields of the output records that are tuples, and the place of their item for layer l, or before the layers.
TUPLES = {
    "hidden_states": ("embeddings.LayerNorm", "output.LayerNorm"),
    "attentions": (None, "attention.self.probabilities"),
    "global_attentions": (None, "attention.self.probabilities_global"),
}

_LAYER = re.compile(r"encoder\.layer\.(\d+)(?:\.(.+))?")
_PREFIXES = ("longformer.", "roberta.")
_ORDER = {
    place.name: (stage, index) for stage, places in ((0, EMBEDDINGS), (2, HEADS)) for index, place in enumerate(places)
}
_LAYER_ORDER = {place.name: index for index, place in enumerate(LAYER)}
_PLACES = {place.name: place for place in (*EMBEDDINGS, *LAYER, *HEADS)}
_LAYER_ALIASES = {alias: place.name for place in LAYER for alias in place.aliases}
_ALIASES = {alias: place.name for place in (*EMBEDDINGS, *HEADS) for alias in place.aliases}


def bare(name: str) -> str:
    """A module name without the prefix of the classes with a head."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def place_of(name: str) -> Place | None:
    """The place that a name without prefix belongs to; None for outputs and what is not in the tables."""
    _, within = split(name)
    return _PLACES.get(within)


def split(name: str) -> tuple[int | None, str]:
    """The layer of a name, where it is in one, and the name within it ("" for the layer itself)."""
    found = _LAYER.fullmatch(name)
    return (int(found[1]), found[2] or "") if found else (None, name)


def primary(name: str) -> str:
    """The name that an alias stands for; any other name stands for itself.

    `classifier` is an alias only where there is a `classifier.out_proj`: ask for the name itself first.
    """
    layer, within = split(name)
    if layer is None:
        return _ALIASES.get(within, name)
    return f"encoder.layer.{layer}.{_LAYER_ALIASES[within]}" if within in _LAYER_ALIASES else name


def aliases(name: str) -> list[str]:
    """The other names of a place, from the inside out."""
    layer, within = split(name)
    place = _PLACES.get(within)
    if place is None:
        return []
    if layer is None:
        return list(place.aliases)
    return [f"encoder.layer.{layer}.{alias}".rstrip(".") for alias in place.aliases]


def order(name: str) -> tuple[int, int, int]:
    """A sort key: the order of computation."""
    layer, within = split(name)
    if layer is not None:
        return (1, layer, _LAYER_ORDER.get(within, len(LAYER)))
    if name in OUTPUTS:
        return (3, 0, OUTPUTS.index(name))
    stage, index = _ORDER.get(name, (4, 0))
    return (stage, 0, index)
