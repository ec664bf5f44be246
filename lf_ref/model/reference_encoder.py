"""The reference implementation as a backend: `lf_ref.reference` on each row of a batch, results as the fast path's."""

from __future__ import annotations

import numpy as np

from ..config import LongformerConfig
from ..reference.forward import banded, encode
from ..reference.ops import Array, Note, Parameters, ignore
from .encoder import Encoded
from .inputs import Inputs, words
from .observer import Observer


def encode_with_reference(
    inputs: Inputs,
    parameters: Parameters,
    config: LongformerConfig,
    keep_hidden_states: bool,
    keep_attentions: bool,
    observer: Observer | None = None,
) -> Encoded:
    """Run the reference encoder on a batch; arguments and results as `lf_ref.model.encoder.encode`."""

    def note_of(row: int) -> Note:
        def note(name: str, array: Array) -> Array:
            return array if observer is None else observer(name, array, row)

        return ignore if observer is None else note

    batch, length = inputs.visible.shape
    vectors = words(inputs, parameters["embeddings.word_embeddings.weight"], np.arange(batch * length))
    vectors = vectors.reshape(batch, length, -1)
    if observer is not None and inputs.input_ids is not None:
        vectors = observer("embeddings.word_embeddings", vectors)
    keep_attentions = keep_attentions and observer is None
    columns = int(inputs.is_global.sum(axis=1).max())
    rows = [
        encode(
            vectors[i],
            inputs.position_ids[i],
            inputs.token_type_ids[i],
            inputs.visible[i],
            inputs.is_global[i],
            parameters,
            config,
            keep_attentions,
            note_of(i),
        )
        for i in range(batch)
    ]
    encoded = Encoded(vectors)
    for layer, steps in enumerate(zip(*rows, strict=True)):
        encoded.last_hidden_state = np.stack([hidden for hidden, _ in steps])
        if keep_hidden_states:
            encoded.hidden_states.append(encoded.last_hidden_state)
        if keep_attentions and layer:
            one_sided, dilations = config.windows[layer - 1] // 2, config.dilations[layer - 1]
            folded = [
                banded(probabilities, is_global, columns, one_sided, dilations=dilations)
                for (_, probabilities), is_global in zip(steps, inputs.is_global, strict=True)
                if probabilities is not None
            ]
            encoded.attentions.append(np.stack([local for local, _ in folded]))
            encoded.global_attentions.append(np.stack([global_ for _, global_ in folded]))
    return encoded
