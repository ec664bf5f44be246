"""The encoder on the fast kernels: the layer as the paper draws it, for a whole batch at once.

The tokens of all rows lie one after another in panels of 16, without padding: see `plan`. A layer has two phases, and
the threads meet after each: attention, which looks at other tokens; and all that is done token by token, for one block
of panels after another, while what a block computes is in a core's cache.
`lf_ref.reference.forward` is the same in plain NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..config import LongformerConfig
from ..reference.ops import Array, Note, Parameters, ignore, under, within
from .inputs import Inputs, words
from .observer import Observer
from .plan import Layer, Plan, plan

if TYPE_CHECKING:
    from ..kernels.engine import Attention, Kernels


@dataclass
class Encoded:
    """What the encoder computed, shaped as in `LongformerBaseModelOutput`; the lists are empty unless asked for."""

    last_hidden_state: Array
    hidden_states: list[Array] = field(default_factory=list)
    attentions: list[Array] = field(default_factory=list)
    global_attentions: list[Array] = field(default_factory=list)

    def optional_fields(self) -> dict[str, tuple[Array, ...] | None]:
        """The lists as fields of an output record: None if they were not requested, or if no token is global."""
        some_global = bool(self.global_attentions) and self.global_attentions[0].shape[-1] > 0
        return {
            "hidden_states": tuple(self.hidden_states) or None,
            "attentions": tuple(self.attentions) or None,
            "global_attentions": tuple(self.global_attentions) if some_global else None,
        }


def encode(
    inputs: Inputs,
    parameters: Parameters,
    config: LongformerConfig,
    kernels: Kernels,
    wanted: Array | None,
    keep_hidden_states: bool,
    keep_attentions: bool,
    observer: Observer | None = None,
) -> Encoded:
    """Run the encoder on a batch; parameters by HF's names without the `longformer.` prefix.

    keep_attentions: an observer gets them, a layer at a time, and they are not kept.
    wanted: int64 [n], the places in the flat batch whose last hidden state is asked for: [n, hidden] comes back, and
    what it does not depend on is left out. None: all of them.
    """
    planned = plan(inputs, [window // 2 for window in config.windows], wanted, kernels.step)
    layers = _by_layer(under(parameters, "encoder.layer"), len(planned.layers))

    def rows_of(lanes: Array) -> Array:  # -> [batch, seq, hidden], or [wanted, hidden]
        rows = kernels.leave(lanes, planned.target, config.hidden_size)
        return rows.reshape(*planned.shape, -1) if wanted is None else rows

    def report(name: str, array: Array) -> Array:
        if observer is not None:
            observer(name, array[planned.target].reshape(*planned.shape, -1))
        return array

    note = ignore if observer is None else report
    hidden = embeddings(inputs, planned.source, under(parameters, "embeddings"), config, kernels, note)
    room = kernels.attention_room(len(hidden), config.hidden_size, config.num_attention_heads)
    encoded = Encoded(np.empty(0))
    if keep_hidden_states:
        encoded.hidden_states.append(rows_of(hidden))
    for number, (layer, window) in enumerate(zip(planned.layers, config.windows, strict=True)):
        inside = ignore if observer is None else within(note, f"encoder.layer.{number}")
        if number == 0:
            kernels.project(hidden, under(layers[0], "attention.self"), room)
        if keep_attentions:
            probabilities = attentions(hidden, layers[number], config, kernels, planned, window // 2)
            if observer is None:
                encoded.attentions.append(probabilities[0])
                encoded.global_attentions.append(probabilities[1])
            else:
                for kind, folded in zip(("", "_global"), probabilities, strict=True):
                    observer(f"encoder.layer.{number}.attention.self.probabilities{kind}", folded)
        following = layers[number + 1] if number + 1 < len(layers) else None
        hidden, room = encoder_layer(
            hidden, room, layers[number], following, config, kernels, layer, window // 2, inside
        )
        if keep_hidden_states:
            encoded.hidden_states.append(rows_of(hidden))
    encoded.last_hidden_state = encoded.hidden_states[-1] if keep_hidden_states else rows_of(hidden)
    return encoded


def _by_layer(parameters: Parameters, count: int) -> list[dict[str, Array]]:
    """As `under` for each layer, but each name is looked at once."""
    layers: list[dict[str, Array]] = [{} for _ in range(count)]
    for name, array in parameters.items():
        number, _, rest = name.partition(".")
        layers[int(number)][rest] = array
    return layers


def embeddings(
    inputs: Inputs, source: Array, weights: Parameters, config: LongformerConfig, kernels: Kernels, note: Note = ignore
) -> Array:
    """Sum of word, position and token-type vectors, normalised, of some places.  # int64 [slots] -> lanes"""
    note = ignore if note is ignore else within(note, "embeddings")
    table, norm = weights["word_embeddings.weight"], (weights["LayerNorm.weight"], weights["LayerNorm.bias"])
    positions, types = inputs.position_ids.ravel()[source], inputs.token_type_ids.ravel()[source]
    total = np.empty((len(source), config.hidden_size), kernels.dtype)
    lanes = kernels.lanes(len(source), config.hidden_size)
    if note is not ignore and inputs.input_ids is not None:
        note("word_embeddings", words(inputs, table, source))

    def some(first: int, last: int) -> None:
        part = slice(first * kernels.LANES, last * kernels.LANES)
        total[part] = words(inputs, table, source[part])
        total[part] += weights["position_embeddings.weight"][positions[part]]
        total[part] += weights["token_type_embeddings.weight"][types[part]]
        kernels.enter(total[part], lanes[first:last])
        kernels.normalise(lanes[first:last], *norm, config.layer_norm_eps)

    kernels.run(some, kernels.blocks(len(lanes), config.hidden_size))
    note("sum", total)
    if note is not ignore:
        note("LayerNorm", kernels.rows(lanes, config.hidden_size))
    return lanes


def encoder_layer(
    hidden: Array,
    room: Attention,
    weights: Parameters,
    following: Parameters | None,
    config: LongformerConfig,
    kernels: Kernels,
    layer: Layer,
    one_sided: int,
    note: Note = ignore,
) -> tuple[Array, Attention]:
    """Attention, then a feed-forward network on each token; after both, residual and norm.

        context = attention of the queries to the keys and values
        attended = norm(hidden + dense(context))
        hidden = norm(attended + dense(activation(dense(attended))))

    hidden: lanes of the entering tokens; room: their queries, keys and values. following: the weights of the next
    layer, whose projections are computed while a block is at hand. Returns lanes of the leaving tokens, and these.
    """
    own = under(weights, "attention.self")
    context = kernels.attend(hidden, room, layer.rows, own, one_sided)
    if note is not ignore:
        _report_attention(hidden, context, own, config, kernels, layer, room, note)
    if layer.leaving is not None:
        hidden, context = kernels.gather(hidden, layer.leaving), kernels.gather(context, layer.leaving)
        room = kernels.attention_room(len(hidden), config.hidden_size, config.num_attention_heads)
    attended = None if note is ignore else kernels.lanes(len(hidden) * kernels.LANES, config.hidden_size)
    next_projections = None if following is None else (under(following, "attention.self"), room)
    kernels.finish_layer(
        hidden, context, room.heads, weights, config.hidden_act, config.layer_norm_eps, next_projections, attended
    )
    if attended is not None:
        note("attention.output.LayerNorm", kernels.rows(attended, config.hidden_size))
        note("output.LayerNorm", kernels.rows(hidden, config.hidden_size))
    return hidden, room


def attentions(
    hidden: Array, weights: Parameters, config: LongformerConfig, kernels: Kernels, planned: Plan, one_sided: int
) -> tuple[Array, Array]:
    """The probabilities of one layer that computes everything, laid out as HF's `attentions` and `global_attentions`.

    Returns [B, H, S, x + 2 one_sided + 1] and [B, H, S, x], x the largest number of global tokens of any row.
    """
    own, heads, rows, (batch, length) = (
        under(weights, "attention.self"),
        config.num_attention_heads,
        planned.layers[0].rows,
        planned.shape,
    )
    columns = max((len(row.globals) for row in rows), default=0)
    local = np.zeros((batch, heads, length, columns + 2 * one_sided + 1), kernels.dtype)
    global_ = np.zeros((batch, heads, length, columns), kernels.dtype)
    for row in rows:
        index, first = divmod(int(planned.source[row.start]), length)
        span = slice(first, first + row.count)
        tokens = kernels.leave(hidden, np.arange(row.start, row.start + row.count), config.hidden_size)
        query, key = (kernels.linear(tokens, own[f"{name}.weight"], own[f"{name}.bias"]) for name in ("query", "key"))
        kernels.band_probabilities(query, key, row, one_sided, local[index, :, span])
        if len(row.globals):
            probabilities = kernels.global_probabilities(hidden, row, own, heads)
            global_[index, :, span, : len(row.globals)] = probabilities.swapaxes(1, 2)
    return local, global_


def _report_attention(
    hidden: Array,
    context: Array,
    weights: Parameters,
    config: LongformerConfig,
    kernels: Kernels,
    layer: Layer,
    room: Attention,
    note: Note,
) -> None:
    """Give an observer what happens inside of attention; the projections are computed once more, by token."""
    inside, tokens = within(note, "attention.self"), kernels.rows(hidden, config.hidden_size)
    for name in ("query", "key", "value"):
        inside(name, kernels.linear(tokens, weights[f"{name}.weight"], weights[f"{name}.bias"]))
    gathered = kernels.context_rows(context, room)
    local = gathered.copy()
    for row in layer.rows:
        local[row.start + row.global_queries] = 0
    inside("context", local)
    note("attention.self", gathered)
