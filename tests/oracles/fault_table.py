"""A table of faults to plant, and where each must be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Planted = TypeVar("Planted", bound=Any)

BOTH = ("float32", "bfloat16")
LAYER, LAST = "encoder.layer.0", "encoder.layer.1"
SELF = f"{LAYER}.attention.self"


@dataclass(frozen=True)
class Fault:
    """plant: the function that makes it. tensor: the first tensor that diverges.

    precisions: those in which it can be seen; in the others it is smaller than their rounding. class_name, batch: the
    model and the inputs that show it, as in `oracles.fault_cases.case`.
    """

    plant: Any
    tensor: str
    class_name: str = "LongformerForMaskedLM"
    precisions: tuple[str, ...] = BOTH
    batch: str = "ragged"


class FaultTable(dict[str, Fault]):
    """Faults by name. As a decorator, `@table(tensor, ...)`, it adds a fault under the name of the function."""

    def __call__(self, tensor: str, **facts: Any) -> Callable[[Planted], Planted]:
        def enter(plant: Planted) -> Planted:
            assert plant.__name__ not in self
            self[plant.__name__] = Fault(plant, tensor, **facts)
            return plant

        return enter

    def cases(self) -> list[tuple[str, str]]:
        """The pairs of class name and batch that its faults need."""
        return sorted({(fault.class_name, fault.batch) for fault in self.values()})

    def planted(self) -> list[tuple[str, str]]:
        """Every fault by name with each precision that shows it."""
        return [(name, precision) for name, fault in self.items() for precision in fault.precisions]
