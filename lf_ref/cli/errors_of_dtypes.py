"""The accuracy of each dtype against float64: hidden states, and predictions at masks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..model.heads import LongformerForMaskedLM
from ..pipelines.loading import load_tokenizer
from ..reference.ops import Array

REFERENCE, JUDGED = "float64", ("float32", "bfloat16", "int8")
ROUNDS = 7  # one token of so many is masked in a round, another one in the next


@dataclass
class _Round:
    """One run: the hidden states of all layers [tokens, hidden], and at each mask the best word and the loss."""

    hidden: list[Array]
    best: Array
    losses: Array


def compare(
    name: str | None, text: str, tokenizer: str | None = None, num_threads: int | None = None, **source: Any
) -> dict[str, Any]:
    """Measure every dtype of a checkpoint on the tokens of a text; each takes its turn as the mask.

    tokenizer: of which checkpoint, if not of the same.

    Returns for each dtype the bytes of the weights, the mean loss and the top-1 accuracy at the masks, the agreement
    with float64's predictions, and by layer the largest error of the hidden states and its root mean square relative to
    theirs. Infinite or NaN results are no error here and show as such.

    Raises:
        InputError: the text is too short, or the tokenizer has no mask.
    """
    encoder = load_tokenizer(name, tokenizer, source)
    ids = np.asarray(encoder(text, truncation=True)["input_ids"])
    places = np.arange(1, len(ids) - 1)
    mask = encoder.mask_token_id
    if mask is None:
        raise InputError("the tokenizer has no mask token")
    if len(places) < ROUNDS:
        raise InputError(f"the text has {len(places)} tokens; at least {ROUNDS} are needed to mask one in {ROUNDS}")
    truth: list[_Round] = []
    facts: dict[str, Any] = {}
    for dtype in (REFERENCE, *JUDGED):
        model = LongformerForMaskedLM.from_pretrained(name, dtype=dtype, num_threads=num_threads, **source)
        rounds = _rounds(model, ids, places, mask)
        if dtype == REFERENCE:
            truth = list(rounds)
            rounds = iter(truth)
        weights = {id(values): values.nbytes for values in model.weights.values()}  # tied ones once
        facts[dtype] = {"weight_bytes": sum(weights.values()), **_judge(rounds, truth, ids, places)}
    return {
        "name": name or "demo",
        "tokens": len(ids),
        "masked": len(places),
        "rounds": ROUNDS,
        "dtypes": facts,
    }


def _rounds(model: LongformerForMaskedLM, ids: Array, places: Array, mask: int) -> Iterator[_Round]:
    is_global = (np.arange(len(ids)) == 0).astype(np.int64)
    for first in range(ROUNDS):
        masked, hidden_from = places[first::ROUNDS], ids.copy()
        hidden_from[masked] = mask
        output: Any = model(
            hidden_from[None],
            global_attention_mask=is_global[None],
            output_hidden_states=True,
            return_dict=True,
            logits_at=np.stack([np.zeros_like(masked), masked], axis=1),
        )
        logits = output.logits.astype(np.float64)
        top = logits.max(axis=1)
        totals = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        losses = totals - logits[np.arange(len(masked)), ids[masked]]
        yield _Round([states[0] for states in output.hidden_states], logits.argmax(axis=1), losses)


def _judge(rounds: Iterator[_Round], truth: list[_Round], ids: Array, places: Array) -> dict[str, Any]:
    """The facts of one dtype from its runs and float64's."""
    layers = len(truth[0].hidden)
    largest, squares, norms = np.zeros(layers), np.zeros(layers), np.zeros(layers)
    losses, right, agreed = [], 0, 0
    for first, (found, wanted) in enumerate(zip(rounds, truth, strict=True)):
        for layer, (states, exact) in enumerate(zip(found.hidden, wanted.hidden, strict=True)):
            error = states - exact
            largest[layer] = np.maximum(largest[layer], np.abs(error).max())
            squares[layer] += np.square(error).sum()
            norms[layer] += np.square(exact).sum()
        losses += found.losses.tolist()
        right += int((found.best == ids[places[first::ROUNDS]]).sum())
        agreed += int((found.best == wanted.best).sum())
    return {
        "loss": math.fsum(losses) / len(losses),
        "top_1": right / len(losses),
        "agreement": agreed / len(losses),
        "largest_error": largest.tolist(),
        "relative_error": np.sqrt(squares / norms).tolist(),
    }
