"""The standard cases: a small Longformer and a batch for each known fault of ports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...config import LongformerConfig
from ...hf_names import accepts_names
from ...reference.ops import Array
from .. import generator
from .batches import batch
from .case import HEAD_OF, Case
from .recipes import RECIPES, Recipe

SEED = 5  # of the weights and inputs of the standard cases

# Distinct primes where two sizes could be confused, except the hidden size: three heads of 8.
SMALL: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_attention_heads": 3,
    "num_hidden_layers": 2,
    "intermediate_size": 37,
    "attention_window": 8,
    "max_position_embeddings": 53,
    "type_vocab_size": 3,
    "layer_norm_eps": 1e-5,
    "hidden_act": "gelu",
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "sep_token_id": 2,
}


@accepts_names()
def standard_cases() -> tuple[Case, ...]:
    """All standard cases, the same bit by bit in every call."""
    return tuple(_case(recipe) for recipe in RECIPES)


def _case(recipe: Recipe) -> Case:
    config = LongformerConfig(**{**SMALL, **recipe.fields})
    fields = {**config.to_dict(), "architectures": [recipe.class_name]}
    inputs = make_inputs(recipe, fields, recipe.class_name)
    changes: dict[str, Array] = {}
    if recipe.changes is not None:
        changes = recipe.changes(config, generator.weights(config, HEAD_OF[recipe.class_name], SEED))
    return Case(recipe.name, recipe.about, recipe.class_name, fields, inputs, SEED, changes, recipe.leeway)


def cases_for_checkpoint(config: LongformerConfig, class_name: str) -> tuple[Case, ...]:
    """The standard cases that depend on inputs alone, in the sizes of a checkpoint, whose weights they use.

    Left out are cases with more tokens than the model takes, and cases without a global attention mask for heads that
    set global attention by separators.
    """
    fields = {**config.to_dict(), "architectures": [class_name]}
    uses_separators = class_name in ("LongformerForQuestionAnswering", "LongformerForMultipleChoice")
    cases = []
    for recipe in RECIPES:
        if not recipe.fits_any_model or (uses_separators and "global_attention_mask" in recipe.without):
            continue
        if max(map(len, recipe.rows(_window(fields)))) <= config.max_tokens:
            inputs = make_inputs(recipe, fields, class_name)
            cases.append(Case(recipe.name, recipe.about, class_name, fields, inputs, None))
    return tuple(cases)


def make_inputs(recipe: Recipe, fields: Mapping[str, Any], class_name: str) -> dict[str, Array]:
    """The batch of a recipe for a model with these fields."""
    stream = f"{recipe.name}/"
    inputs: dict[str, Array] = dict(batch(fields, recipe.rows(_window(fields)), SEED, stream))
    shape = inputs["input_ids"].shape
    for name, below in recipe.drawn.items():
        number = below if isinstance(below, int) else int(fields[below])
        inputs[name] = generator.integers(SEED, stream + name, int(np.prod(shape)), number).reshape(shape)
    if recipe.embeds:
        vectors = (*shape, int(fields["hidden_size"]))
        inputs["inputs_embeds"] = generator.values(SEED, f"{stream}inputs_embeds", vectors)
        del inputs["input_ids"]
    for name in recipe.without:
        del inputs[name]
    if class_name == "LongformerForMultipleChoice":  # the rows are the choices of questions
        inputs = {name: array.reshape(recipe.questions, -1, *array.shape[1:]) for name, array in inputs.items()}
    return {**inputs, **{name: np.array(value) for name, value in recipe.labels.items()}}


def _window(fields: Mapping[str, Any]) -> int:
    """The largest window."""
    window = fields["attention_window"]
    return window if isinstance(window, int) else max(window)
