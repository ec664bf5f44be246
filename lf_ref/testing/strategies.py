"""Hypothesis strategies for Longformer models and their inputs, adversarial on purpose.

    from hypothesis import given
    from lf_ref.testing import strategies

    @given(strategies.cases())
    def test_my_port(case):
        candidate = my_port(case.config, case.weights(), case.inputs)
        ...

They draw inputs that ports compute wrongly: rows with unequal numbers of global tokens, masked tokens anywhere, rows
with one visible token or none, lengths around the window, windows that differ by layer, scores that overflow. They
shrink towards one layer, one head, one row, one local token. Weights come from the documented generator, by a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

try:
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "lf_ref.testing.strategies needs hypothesis: pip install hypothesis, or pip install 'lf-ref[test]'"
    ) from error

from ..config import LongformerConfig
from ..errors import InputError
from ..hf_names import accepts_names
from ..reference.ops import Array
from ..tokenizer.arguments import as_strings
from . import generator
from .cases import random_cases as drawing
from .cases.case import HEAD_OF, Case

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn, SearchStrategy

Drawn = TypeVar("Drawn")

CLASSES = drawing.CLASSES


@accepts_names()
def configs(*, divides: bool = False, longest: int = 29) -> SearchStrategy[LongformerConfig]:
    """Small configs: 1 to 3 layers, head sizes from 1 to 16, a window for each layer, different padding ids.

    divides: only windows of at least 4, each of which divides the largest, as HF's implementation requires. longest:
    sequences of this length fit the model; below 1 it raises `InputError`.
    """
    _positive(longest=longest)
    bounds = drawing.Bounds(divides=divides, longest=longest)

    @st.composite
    def strategy(draw: DrawFn) -> LongformerConfig:
        return drawing.draw_config(_choose(draw), bounds)

    return strategy()


@accepts_names()
def weights(config: LongformerConfig, class_name: str = "LongformerModel") -> SearchStrategy[dict[str, Array]]:
    """All weights of a class, float32 by the names in HF's checkpoints; some make scores large or far below zero.

    config: for the sizes; class_name: HF's; any other raises `InputError`.
    """
    head = _head(class_name)

    @st.composite
    def strategy(draw: DrawFn) -> dict[str, Array]:
        made = generator.weights(config, head, draw(st.integers(0, 2**16 - 1), label="seed of the weights"))
        return {**made, **drawing.draw_changes(_choose(draw), config, made)}

    return strategy()


@accepts_names()
def inputs(
    config: LongformerConfig, class_name: str = "LongformerModel", *, longest: int = 29, most_rows: int = 3
) -> SearchStrategy[dict[str, Array]]:
    """Arguments for one call of the class: int64 (batch, seq), or (1, choices, seq) for multiple choice.

    config: for the limits; class_name: HF's. 1 to `most_rows` rows of 1 to `longest` tokens, or as many as the model
    takes; masked, padding and global tokens anywhere, the padding id inside a text, position ids, token types,
    embeddings instead of ids, or no attention mask. Another class, or a number below 1, raises `InputError`.
    """
    _head(class_name)
    _positive(longest=longest, most_rows=most_rows)
    bounds = drawing.Bounds(longest=longest, most_rows=most_rows)

    @st.composite
    def strategy(draw: DrawFn) -> dict[str, Array]:
        return drawing.draw_inputs(_choose(draw), config, class_name, bounds)

    return strategy()


@accepts_names()
def cases(
    *, class_names: Sequence[str] = CLASSES, divides: bool = False, longest: int = 29, most_rows: int = 3
) -> SearchStrategy[Case]:
    """Cases: a config, weights and inputs that fit each other.

    class_names: HF's, to choose from; divides: as for `configs`; longest, most_rows and errors as for `inputs`.
    """
    class_names = as_strings("class_names", class_names)
    for class_name in class_names:
        _head(class_name)
    if not class_names:
        raise InputError("class_names must name one class at least")
    _positive(longest=longest, most_rows=most_rows)
    bounds = drawing.Bounds(tuple(class_names), divides, longest=longest, most_rows=most_rows)

    @st.composite
    def strategy(draw: DrawFn) -> Case:
        return drawing.draw_case(_choose(draw), "drawn", bounds)

    return strategy()


def _choose(draw: DrawFn) -> drawing.Choose:
    def choose(what: str, options: Sequence[Any]) -> Any:
        return draw(st.sampled_from(options), label=what)

    return choose


def _head(class_name: str) -> str:
    if class_name not in HEAD_OF:
        raise InputError(f"class_name must be one of {', '.join(CLASSES)}, got {class_name!r}")
    return HEAD_OF[class_name]


def _positive(**sizes: int) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InputError(f"{name} must be a positive integer, got {size!r}")
