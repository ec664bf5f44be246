"""A case: a model and a batch, and the choice among cases by name or class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from numpy.typing import NDArray

from ...checkpoint.names import HEADS
from ...config import LongformerConfig
from ...errors import InputError
from ...hf_names import accepts
from ...tokenizer.arguments import as_strings
from .. import generator

Array = NDArray[Any]

HEAD_OF = {class_name: head for head, class_name in HEADS.items()}


@accepts()
@dataclass(frozen=True, eq=False)
class Case:
    """A model and a batch that detect a fault.

    name: letters, digits and `-`. about: the fault that it detects. class_name: HF's, such as "LongformerModel".
    config: all fields, as in a `config.json`, with `architectures` naming the class. inputs: by the names of the
    class's arguments, int64 or float32. seed: of the generator of weights; None if the weights are those of a
    checkpoint. changes: weights that replace the generator's, float32, by stored name. leeway: by how much the rounding
    errors of correct programs exceed one measurement: more than 1 for scores far apart, and for random models.
    """

    name: str
    about: str
    class_name: str
    config: Mapping[str, Any]
    inputs: Mapping[str, Array]
    seed: int | None
    changes: Mapping[str, Array] = field(default_factory=dict)
    leeway: float = 1.0

    @property
    def head(self) -> str:
        """The key of `lf_ref.checkpoint.HEADS`; a causal model has no pooler."""
        head = HEAD_OF[self.class_name]
        return "encoder" if head == "model" and self.config.get("autoregressive") else head

    def weights(self) -> dict[str, Array]:
        """The weights as new float32 arrays, by the names in HF's checkpoints; without a tied decoder.

        Raises:
            InputError: the weights are those of a checkpoint.
            ConfigError: the config is invalid.
        """
        if self.seed is None:
            raise InputError(
                f"the weights of case {self.name} are those of a checkpoint, and are not in the golden file: run the "
                "candidate on the checkpoint, and pass its outputs"
            )
        made = generator.weights(LongformerConfig.from_dict(self.config), self.head, self.seed)
        return {**made, **{name: array.copy() for name, array in self.changes.items()}}

    def model(self, dtype: str = "float64", backend: str = "numpy") -> Any:
        """The model of the case, by default the reference implementation in float64.

        dtype, backend: as for `LongformerPreTrainedModel`.
        """
        from ...model import heads

        config = LongformerConfig.from_dict(self.config)
        return getattr(heads, self.class_name)(config, self.weights(), dtype=dtype, backend=backend)

    def arguments(self) -> dict[str, Array]:
        """Copies of the inputs, int64 or float32, which a candidate may change."""
        return {name: array.copy() for name, array in self.inputs.items()}

    def to_dict(self) -> dict[str, Any]:
        """The case as JSON values; of the changed weights only the names."""
        return {
            "name": self.name,
            "about": self.about,
            "class": self.class_name,
            "config": dict(self.config),
            "seed": self.seed,
            "inputs": {name: array.tolist() for name, array in self.inputs.items()},
            "changed_weights": list(self.changes),
        }


def cases_of_classes(cases: Sequence[Case], class_names: Sequence[str]) -> tuple[Case, ...]:
    """The cases of some classes; all cases if no class is named.

    Raises:
        InputError: a class is unknown, or has no case.
    """
    for class_name in class_names:
        if class_name not in HEAD_OF:
            raise InputError(f"there is no class {class_name!r}; choose from {', '.join(HEAD_OF)}")
    found = tuple(case for case in cases if not class_names or case.class_name in class_names)
    if not found:
        raise InputError(f"none of the {len(cases)} cases is of {' or '.join(class_names)}")
    return found


def select_cases(cases: Sequence[Case], names: str | Sequence[str]) -> tuple[Case, ...]:
    """The cases of these names, in their order; all cases for "standard".

    Raises:
        InputError: a name is unknown, or repeated, or not a string.
    """
    names = [names] if isinstance(names, str) else as_strings("cases", names)
    if names == ["standard"]:
        return tuple(cases)
    known = {case.name: case for case in cases}
    for name in names:
        if name not in known:
            alike = get_close_matches(name, known, n=5, cutoff=0.5)
            some = ", ".join(alike or [*known][:5])
            raise InputError(f"there is no case {name!r} among the {len(known)}; names of cases: {some}, ...")
    if len(set(names)) < len(names) or not names:
        raise InputError(f"name each case once, and one at least; got {', '.join(names) or 'none'}")
    return tuple(known[name] for name in names)
