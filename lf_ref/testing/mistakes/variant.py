"""A variant of a case: the reference implementation with one mistake, in its config, weights, inputs or operations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ...config import LongformerConfig
from ...reference.ops import Array
from ..cases.case import Case
from ..traces.recorder import output_arrays
from ..traces.tensor_names import split_layer
from ..traces.trace import Trace, changed_trace


@dataclass(frozen=True)
class Place:
    """Where a tensor is: its layer, None outside of the layers; its row of the batch, None for all; its head."""

    layer: int | None
    row: int | None
    head: int


Edit = Callable[["Forward", Place, str, Array], Array]


@dataclass(frozen=True)
class Variant:
    """The model and inputs of a case, to be changed.

    class_name, config, weights, inputs: as in `Case`. visible, is_global: bool, in the shape of the batch, with the
    default global attention of the head. edit: gets each tensor with its name within the layer, and returns what to
    continue with. approximate: the mistake is one of rounding, which no two programs make alike.
    """

    class_name: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]
    inputs: Mapping[str, Array]
    visible: Array
    is_global: Array
    edit: Edit | None = None
    approximate: bool = False

    @classmethod
    def of(cls, case: Case, expected: Trace) -> Variant:
        """The case without a mistake; expected: its trace."""
        ids = case.inputs.get("input_ids")
        shape = case.inputs["inputs_embeds"].shape[:-1] if ids is None else ids.shape
        visible, is_global = (mask.reshape(shape) for mask in (expected.run.visible, expected.run.is_global))
        return cls(case.class_name, case.config, case.weights(), case.inputs, visible, is_global)

    def with_config(self, **fields: Any) -> Variant:
        """With other fields of the config."""
        return replace(self, config={**self.config, **fields})

    def with_inputs(self, **arrays: Array) -> Variant:
        """With other inputs, or more."""
        integers = {name: np.asarray(array).astype(np.int64) for name, array in arrays.items()}
        return replace(self, inputs={**self.inputs, **integers})

    def without(self, name: str) -> Variant:
        """Without an input."""
        return replace(self, inputs={own: array for own, array in self.inputs.items() if own != name})

    def with_names(self, rename: Callable[[str], str]) -> Variant:
        """With the weight of another name, `rename(name)`, for each weight."""
        return replace(self, weights={name: self.weights[rename(name)] for name in self.weights})

    def with_weights(self, pattern: str, change: Callable[[Array], Array]) -> Variant:
        """With other values of the weights whose names match `pattern`, a regular expression for their ends."""
        found = re.compile(f"(^|[.]){pattern}$").search
        return replace(self, weights={name: change(w) if found(name) else w for name, w in self.weights.items()})

    def with_pooler(self) -> Variant:
        """With a pooler of zeros, which a causal `LongformerModel` lacks and another has."""
        size = self.config["hidden_size"]
        pooler = {"pooler.dense.weight": (size, size), "pooler.dense.bias": (size,)}
        shapes = pooler if self.class_name == "LongformerModel" else {}
        zeros = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        return replace(self, weights={**self.weights, **zeros})

    def with_edit(self, edit: Edit, approximate: bool = False) -> Variant:
        """With an operation changed."""
        return replace(self, edit=edit, approximate=approximate)

    @property
    def windows(self) -> list[int]:
        """The window of each layer."""
        return list(LongformerConfig.from_dict(self.config).windows)

    @cached_property
    def outputs(self) -> Mapping[str, Array]:
        """The outputs of the class in float64.

        Raises:
            LfRefError: the mistake is impossible in this case, such as a position beyond the table.
        """
        model = self._model()
        run = model if self.edit is None else model.observed(Forward(self, model.config), "numpy")
        with np.errstate(all="ignore"):
            return output_arrays(run(**self.inputs, return_dict=True))

    @cached_property
    def trace(self) -> Trace:
        """All tensors, as `outputs` computes them."""
        model = self._model()
        with np.errstate(all="ignore"):
            return changed_trace(model, Forward(self, model.config), self.inputs)

    def _model(self) -> Any:
        from ...model import heads

        config = LongformerConfig.from_dict(self.config)
        return getattr(heads, self.class_name)(config, self.weights, dtype="float64", backend="numpy", num_threads=1)


class Forward:
    """An observer that applies the edit of a variant, and remembers the tensors before.

    inputs: the checked batch. seen: the tensors so far, by (row, full name).
    """

    def __init__(self, variant: Variant, config: LongformerConfig) -> None:
        self.variant, self.config = variant, config
        self.inputs: Any = None
        self.seen: dict[tuple[int | None, str], Array] = {}
        self._heads: dict[tuple[int | None, str], int] = {}

    def begin(self, inputs: Any) -> None:
        """As in `lf_ref.model.observer.Observer`."""
        self.inputs = inputs

    def __call__(self, name: str, array: Array, row: int | None = None, /) -> Array:
        """As in `lf_ref.model.observer.Observer`."""
        layer, within = split_layer(name)
        head = self._heads.get((row, name), 0)
        self._heads[row, name] = head + 1
        if self.variant.edit is not None:
            array = self.variant.edit(self, Place(layer, row, head), within, array)
        self.seen[row, name] = array
        return array

    def before(self, place: Place, within: str) -> Array:
        """A tensor of the same row and layer that was computed before."""
        return self.seen[place.row, within if place.layer is None else f"encoder.layer.{place.layer}.{within}"]

    def masks(self, place: Place) -> tuple[Array, Array]:
        """`visible` and `is_global` of the row, bool [S]."""
        return self.inputs.visible[place.row], self.inputs.is_global[place.row]

    def products(self, place: Place, kind: str = "") -> Array:
        """The scaled dot products of all pairs of tokens, masked or not.  # -> float64 [S, S]

        kind: "" for the local projections, "_global" for the others.
        """
        query, key = (self.before(place, f"attention.self.{name}{kind}") for name in ("query", "key"))
        size = query.shape[1] // self.config.num_attention_heads
        columns = slice(place.head * size, (place.head + 1) * size)
        return query[:, columns] @ key[:, columns].T / np.sqrt(size)


Variants = Iterator[tuple[str, Variant]]
