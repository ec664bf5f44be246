"""The modules of sentence-transformers that follow the encoder: pooling, and maps of the pooled vector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..errors import CheckpointError, InputError
from ..reference import ops
from ..reference.ops import Array
from .pooling import pool

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "Identity": lambda x: x,
    "Tanh": np.tanh,
    "ReLU": ops.relu,
    "GELU": ops.gelu,
    "SiLU": ops.silu,
    "Sigmoid": lambda x: 0.5 + 0.5 * np.tanh(0.5 * x),  # exp would overflow
}
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
PROMPTS = {"query": "", "document": ""}
LAYER_NORM_EPS = 1e-5  # torch's default, which sentence-transformers keeps


class Step(Protocol):
    """A map of vectors, float64 (in,) -> (out,), whose text form names it."""

    def __call__(self, vector: Array) -> Array:
        """The mapped vector."""
        ...

    def width(self, width: int) -> int:
        """The length of the result for vectors of this length."""
        ...


@dataclass(frozen=True)
class Dense:
    """A linear layer and its activation; with a residual the input is added, mapped by a matrix of its own if need be.

    weight: float64 (out, in); bias: float64 (out,); activation: a key of `ACTIVATIONS`; residual: None for none, else
    float64 (out, in), or (0, 0) for the input itself.
    """

    weight: Array
    bias: Array
    activation: str
    residual: Array | None = None

    def __call__(self, vector: Array) -> Array:
        """The mapped vector."""
        out = ACTIVATIONS[self.activation](self.weight @ vector + self.bias)
        if self.residual is None:
            return out
        return out + (self.residual @ vector if self.residual.size else vector)

    def width(self, width: int) -> int:
        """The number of rows of the weight."""
        return len(self.weight)

    def __str__(self) -> str:
        return f"Dense {len(self.weight)}"


@dataclass(frozen=True)
class LayerNorm:
    """Layer normalization; weight, bias: float64 (width,)."""

    weight: Array
    bias: Array

    def __call__(self, vector: Array) -> Array:
        """The normalized vector."""
        return ops.layer_norm(vector, self.weight, self.bias, LAYER_NORM_EPS)

    def width(self, width: int) -> int:
        """The same."""
        return width

    def __str__(self) -> str:
        return "LayerNorm"


@dataclass(frozen=True)
class Normalize:
    """Scale to length 1."""

    def __call__(self, vector: Array) -> Array:
        """The vector divided by its Euclidean norm, as `unit` does."""
        return unit(vector)

    def width(self, width: int) -> int:
        """The same."""
        return width

    def __str__(self) -> str:
        return "Normalize"


def unit(vectors: Array) -> Array:
    """Divide by the Euclidean norm, or by 1e-12 if that is smaller, as torch does.  # float (..., n) -> (..., n)"""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class SentenceModules:
    """What makes one vector of the states of a text, and what a text is given before it is encoded.

    Args:
        modes: of pooling, whose vectors are joined.
        include_prompt: pool the tokens of the prompt too.
        steps: maps of the pooled vector, in order.
        prompts: texts to put before a text, by name. "query" and "document" are there with every model, so that a
            query without a prompt of its own does not get the default one.
        default_prompt_name: of the prompt for calls that name none.
        max_seq_length: the longest row in tokens, special ones included; longer texts are truncated. None for the
            limit of the model and its tokenizer.
        similarity: of two vectors, one of `SIMILARITIES`.
        truncate_dim: how many of the first elements of the vector are kept; None for all.
    """

    modes: Sequence[str] = ("mean",)
    include_prompt: bool = True
    steps: Sequence[Step] = ()
    prompts: Mapping[str, str] = field(default_factory=lambda: dict(PROMPTS))
    default_prompt_name: str | None = None
    max_seq_length: int | None = None
    similarity: str = "cosine"
    truncate_dim: int | None = None

    def vector(self, states: Array, prompt_tokens: int) -> Array:
        """The vector of a text.

        states: float (tokens, hidden), without padding; prompt_tokens: how many of the first are those of the prompt.
        Returns float64 (width,).

        Raises:
            CheckpointError: it has NaN or infinity.
            InputError: no token is left beside the prompt.
        """
        vector = pool(states, self.modes, 0 if self.include_prompt else prompt_tokens)
        for step in self.steps:
            vector = step(vector)
        if not np.isfinite(vector).all():
            raise CheckpointError("a module gives NaN or infinity: its weights hold such values; fetch them anew")
        return vector[: self.truncate_dim]

    def width(self, hidden_size: int) -> int:
        """The length of a vector, with a model of this hidden size."""
        width = len(self.modes) * hidden_size
        for step in self.steps:
            width = step.width(width)
        return width if self.truncate_dim is None else min(width, self.truncate_dim)

    def prompt(self, prompt: str | None, prompt_name: str | None) -> str:
        """The text to put before a text: the given one, that of a name, or the default.

        Raises:
            InputError: both are given, or there is no prompt of this name.
        """
        if prompt is not None and prompt_name is not None:
            raise InputError("give either prompt or prompt_name, not both")
        name = self.default_prompt_name if prompt is None and prompt_name is None else prompt_name
        if name is None:
            return prompt or ""
        if not isinstance(name, str) or name not in self.prompts:
            raise InputError(f"prompt_name must be one of {', '.join(self.prompts)}, got {name!r}")
        return self.prompts[name]

    def __str__(self) -> str:
        pooling = " + ".join(self.modes)
        return ", ".join([f"{pooling} pooling", *map(str, self.steps)])
