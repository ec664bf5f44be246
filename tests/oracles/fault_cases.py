"""The model and the inputs on which faults are planted: ragged, with masked tokens in the middle, wide enough for sums.

The epsilon of the norms is large, so that one that is not taken from the config shows in bfloat16 too.
"""

from __future__ import annotations

from typing import Any

from oracles.weights import batch_of, fields_of, labelled_batch, ragged_batch, ragged_marks, state_of

LABELS = ("labels", "start_positions", "end_positions")


def case(class_name: str, batch: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Config fields, state dict and inputs.

    batch: "ragged"; "padded left", the same with the padding before the text; "one window" or "two windows" of tokens,
    exactly.
    """
    window: Any = [4, 8] if batch in ("ragged", "padded left") else 4
    fields = fields_of(attention_window=window, hidden_size=69, intermediate_size=97, num_labels=2, layer_norm_eps=0.05)
    if batch == "ragged":
        inputs = labelled_batch(class_name, fields, seed=5)
    elif batch == "padded left":
        inputs = {name: values[:, ::-1].copy() for name, values in ragged_batch(fields, seed=6).items()}
    else:
        length = 4 if batch == "one window" else 8
        inputs = batch_of(fields, ragged_marks((length, length), ({}, {1: 2})), seed=7)
    inputs = {name: values for name, values in inputs.items() if name not in LABELS}
    return fields, state_of(class_name, fields, seed=1), inputs
