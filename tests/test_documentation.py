"""Every public function, class and method says in its docstring what its signature and its code imply."""

from __future__ import annotations

import doctest
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import FunctionType, ModuleType

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

import lf_ref
from oracles.docstrings import problems

# The pages of `lf-ref docs`, and the modules of a package that names nothing itself.
PAGES = [import_module(name) for name in import_module("lf_ref.cli.docs").PAGES]
MODULES = [
    module
    for page in PAGES
    for module in [
        page,
        *(
            import_module(f"{page.__name__}.{inner.name}")
            for inner in iter_modules(getattr(page, "__path__", ()))
            if not hasattr(page, "__all__")
        ),
    ]
]
# Ideas of our own: they come from nowhere else, and have no source to name.
ORIGINAL = ("errors.", "testing.")
# Errors that the code seems to raise, and never does, with the reason.
CHECKED = "a model, and a config, was checked when it was made"
SOUND = "what is made here is right by construction"
NEVER = {
    "attention_map.attention_map": dict.fromkeys(["CheckpointError", "ConfigError"], CHECKED),
    "testing.conformance.assertion.assert_matches_oracle": {"ConfigError": CHECKED},
    "testing.comparison.calibration.calibrate": dict.fromkeys(["CheckpointError", "ConfigError"], CHECKED),
    "testing.cases.standard_cases.standard_cases": dict.fromkeys(["ConfigError", "InputError"], SOUND),
    "testing.conformance.suite.check_golden": {"ConfigError": CHECKED},
    "testing.conformance.suite.check_target": {"ConfigError": CHECKED},
    "testing.comparison.divergence.compare": {"ConfigError": CHECKED},
    "testing.cases.random_cases.drawn_cases": {"ConfigError": SOUND},
    "testing.generator.weights": {"ConfigError": CHECKED},
    "testing.strategies.cases": {"ConfigError": SOUND},
    "testing.strategies.configs": {"ConfigError": SOUND},
    "testing.strategies.weights": {"ConfigError": CHECKED},
    "testing.traces.trace.trace": dict.fromkeys(["CheckpointError", "ConfigError"], CHECKED),
}


def public():
    """Functions and classes by their dotted names, and the methods of these classes, each once."""
    found = {}

    def add(thing):
        if isinstance(thing, FunctionType | type) and thing.__module__.startswith("lf_ref"):
            found.setdefault(f"{thing.__module__.removeprefix('lf_ref.')}.{thing.__qualname__}", thing)

    named = [getattr(module, name) for module in MODULES for name in getattr(module, "__all__", ())]
    for module in [*MODULES, *(thing for thing in named if isinstance(thing, ModuleType) and thing not in MODULES)]:
        own = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
        for name in getattr(module, "__all__", own):
            add(getattr(module, name))
    for cls in [thing for thing in found.values() if isinstance(thing, type)]:
        for name, value in [entry for base in cls.__mro__ for entry in vars(base).items()]:
            if not name.startswith("_") or name == "__call__":
                add(getattr(value, "__func__", value))
    return {name: thing for name, thing in found.items() if not thing.__name__.startswith("_")} | {
        name: thing for name, thing in found.items() if thing.__name__ == "__call__"
    }


PUBLIC = public()
# By the names that docstrings use: of a class or function alone, of a method with or without its class, and a name
# alone is rather that of a function than that of a method.
NAMED = {
    name: thing
    for dotted, thing in sorted(PUBLIC.items(), key=lambda entry: -entry[0].count("."))
    for name in (dotted.rpartition(".")[2], ".".join(dotted.split(".")[-2:]))
}


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_has_what_signature_and_code_imply(name):
    found = problems(name, PUBLIC[name], NAMED.get, original=name.startswith(ORIGINAL))
    never = [f"{name}: does not say that it raises {', '.join(NEVER[name])}"] if name in NEVER else []
    assert found == never


def test_what_is_public_is_found():
    assert {
        "model.heads.LongformerForMaskedLM.__call__",
        "model.base.LongformerPreTrainedModel.from_pretrained",
        "pipelines.pipeline",
        "pipelines.base.Pipeline.stream",
        "tokenizer.vocabulary.Vocabulary.add_tokens",
        "model.global_attention.on_positions",
        "reference.ops.softmax",
        "errors.InputError",
    } <= set(PUBLIC)
    assert len(PUBLIC) > 140
    assert not any("numpy" in name or "._" in name for name in PUBLIC if not name.endswith("__call__"))


PACKAGE = Path(lf_ref.__file__).parent
WITH_EXAMPLES = [path for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_examples_of_docstrings_run(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    result = doctest.testmod(import_module(".".join(parts).removesuffix(".__init__")))
    assert result.attempted > 0
    assert result.failed == 0


# --- the checker sees what it is there to see -------------------------------------------------------------------------

Array = NDArray[np.float64]


class WrongError(ValueError):
    """What the functions below raise."""


def check_range(count: int) -> None:
    """Refuse what is negative."""
    if count < 0:
        raise WrongError("negative")


def plain(x: Array, count: int) -> Array:
    """Scale by a count, as in HF.

    x: float [n]; count: by how much.

    Returns [n].
    """
    return x * count


def arrow(x: Array, y: Array) -> Array:
    """Add, as in HF.  # float [n], [n] -> [n]"""
    return x + y


def no_docstring(x: int) -> None:
    pass


def open_end(x: int) -> None:
    """Do something with x as in HF"""


def unnamed(x: int, factor: int) -> None:
    """Do something with x, as in HF."""


def absent(x: int) -> None:
    """Do something, as in HF.

    x: a number; factor: another.
    """


def shapeless(x: ArrayLike) -> None:
    """Do something, as in HF.

    x: float numbers.
    """


def typeless(x: ArrayLike) -> None:
    """Do something, as in HF.

    x: numbers (n,).
    """


def undescribed(x: ArrayLike) -> None:
    """Do something with x, as in HF."""


def short_arrow(x: Array, y: Array) -> Array:
    """Add, as in HF.  # float [n] -> [n]"""
    return x + y


def typeless_arrow(x: Array) -> Array:
    """Double, as in HF.  # [n] -> [n]"""
    return x + x


def unknown_result(x: Array) -> Array:
    """Double, as in HF.

    x: float [n].
    """
    return x + x


def unknown_unit(max_length: int) -> None:
    """Do something, as in HF.

    max_length: how long.
    """


def raises(x: int) -> None:
    """Do something with x, as in HF."""
    raise WrongError("never")


def raises_below(x: int) -> None:
    """Do something with x, as in HF."""
    check_range(x)


def catches(x: int) -> None:
    """Do something with x, as in HF."""
    try:
        check_range(x)
    except WrongError:
        print("too small")


def catches_by_base(x: int) -> None:
    """Do something with x, as in HF."""
    try:
        check_range(x)
    except (KeyError, ValueError):
        print("too small")


def catches_another(x: int) -> None:
    """Do something with x, as in HF."""
    try:
        check_range(x)
    except KeyError:
        print("too small")


def named_arrays(x: Mapping[str, Array]) -> dict[str, Array]:
    """Do something, as in HF.

    x: float, by name. Returns the same.
    """
    return dict(x)


def named_numbers(x: Mapping[str, Array]) -> None:
    """Do something, as in HF.

    x: numbers by name.
    """


def says(x: int) -> None:
    """Do something with x, as in HF.

    Raises:
        WrongError: always.
    """
    raise WrongError("always")


def refers(x: Array, count: int) -> None:
    """Do something; arguments as `plain`, as in HF."""


def refers_nowhere(x: Array) -> None:
    """Do something; arguments as `nothing`, as in HF."""


def sourceless(x: int) -> None:
    """Do something with x."""


class Base:
    """A thing, as in HF."""

    def method(self, x: int) -> None:
        """Do something.

        x: a number.

        Raises:
            WrongError: always.
        """
        raise WrongError("always")


class Derived(Base):
    """A thing, as in HF."""

    def __init__(self, size: int) -> None:
        self.size = size

    def method(self, x: int) -> None:
        """Do something else."""
        super().method(x)

    def other(self, x: int) -> None:
        """Do something with x."""
        self.method(x)


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (plain, []),
        (arrow, []),
        (no_docstring, ["no_docstring has no docstring"]),
        (open_end, ["the first sentence does not end"]),
        (unnamed, ["does not name the parameter factor"]),
        (absent, ["documents factor, which is no parameter"]),
        (shapeless, ["gives no shape of x"]),
        (typeless, ["gives no dtype of x"]),
        (undescribed, ["gives neither shape nor dtype of x"]),
        (short_arrow, ["has an arrow from float [n], which are not as many shapes as the arrays x, y"]),
        (typeless_arrow, ["has an arrow from [n], which says no dtype"]),
        (unknown_result, ["gives no shape of what it returns"]),
        (unknown_unit, ["does not say that max_length counts tokens"]),
        (raises, ["does not say that it raises WrongError"]),
        (raises_below, ["does not say that it raises WrongError"]),
        (catches, []),
        (catches_by_base, []),
        (catches_another, ["does not say that it raises WrongError"]),
        (named_arrays, []),
        (named_numbers, ["gives no dtype of x"]),
        (says, []),
        (refers, []),
        (refers_nowhere, ["refers to nothing, which is not public", "gives neither shape nor dtype of x",
                          "does not name the parameter x"]),
        (sourceless, ["names no source, neither itself nor its class or module"]),
        (Base, []),
        (Derived, ["does not name the parameter size"]),
        (Derived.method, []),
        (Derived.other, ["does not say that it raises WrongError"]),
    ],
    ids=lambda value: value.__qualname__ if callable(value) else "",
)  # fmt: skip
def test_the_checker(thing, expected):
    name = thing.__qualname__
    found = problems(name, thing, {"plain": plain}.get)
    assert problems(name, thing, {"plain": plain}.get, original=True) == [one for one in found if "source" not in one]
    assert sorted(found) == sorted(one if one.startswith(name) else f"{name}: {one}" for one in expected)
