"""HF's names: arguments that mean the same here, and clear errors for those, and for attributes, that cannot.

Each class lists HF's arguments in one table, `@accepts(...)` above it; the guide `guides/coming_from_hf.md` has a row
for each, which a test runs.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import wraps
from types import FunctionType, MappingProxyType
from typing import Any, ParamSpec, TypeVar

from .errors import InputError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Class = TypeVar("Class", bound=type[Any])


@dataclass(frozen=True)
class Alias:
    """HF's name of an argument that has another name here."""

    argument: str


@dataclass(frozen=True)
class Fixed:
    """An argument of HF's that may have these values, which change nothing here; any other is refused.

    Args:
        values: the values. A string stands for whatever prints as it too, such as `torch.device("cpu")`.
        otherwise: what to do in place of another value.
    """

    values: tuple[bool | int | str | None, ...]
    otherwise: str

    def allows(self, value: object) -> bool:
        """Whether a value is among them."""
        return any(
            str(value) == allowed
            if isinstance(allowed, str)
            else value is allowed or (type(value) is type(allowed) and value == allowed)
            for allowed in self.values
        )


@dataclass(frozen=True)
class Ignored:
    """An argument of HF's that changes nothing here, whatever its value.

    because: why not.
    """

    because: str


HFNames = Mapping[str, Alias | Fixed | Ignored]


class AttributeInputError(InputError, AttributeError):
    """An attribute that there is not, such as one of torch's modules; `hasattr` is False for it."""


def accepts(**tables: HFNames) -> Callable[[Class], Class]:
    """Let the public methods of a class take HF's arguments, and name the nearest argument where they know none.

    tables: by method, HF's names of arguments. "init" and "call" stand for the constructor and a call.
    """
    of_method = {{"init": "__init__", "call": "__call__"}.get(name, name): table for name, table in tables.items()}

    def decorate(cls: Class) -> Class:
        for name, value in list(vars(cls).items()):
            function = getattr(value, "__func__", value)
            if not isinstance(function, FunctionType) or (name.startswith("_") and name not in _DUNDERS):
                continue
            method = accepts_names(of_method.get(name, {}))(function)
            setattr(cls, name, method if value is function else type(value)(method))
        return cls

    return decorate


_DUNDERS = ("__init__", "__call__")
_PLACES = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def accepts_names(
    table: HFNames = MappingProxyType({}),
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Let a function take HF's arguments, and name the nearest argument where it knows none, or has no place for one.

    table: HF's names of arguments. A function with `**options` checks the names among these itself.
    """

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        signature = inspect.signature(function)
        kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
        known = frozenset(
            name
            for name, kind in kinds.items()
            if kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        )
        is_open = inspect.Parameter.VAR_KEYWORD in kinds.values()
        places = [name for name, kind in kinds.items() if kind in _PLACES]
        most = len(places) if inspect.Parameter.VAR_POSITIONAL not in kinds.values() else sys.maxsize
        hf_names = frozenset(table)
        call = _call_name(function)

        @wraps(function)
        def checked(*args: Parameters.args, **given: Parameters.kwargs) -> Result:
            __tracebackhide__ = True  # for pytest: a failure is told where the caller stands
            if len(args) > most:
                named = ", ".join(name for name in places if name not in ("self", "cls")) or "none"
                raise InputError(f"{call} takes by place only {named}: give the other arguments by name")
            if given.keys() <= known or (is_open and given.keys().isdisjoint(hf_names)):
                return function(*args, **given)
            taken = signature.bind_partial(*args).arguments.keys() | given.keys()
            arguments: Any = translate(call, given, taken, table, None if is_open else known)
            return function(*args, **arguments)

        checked.hf_names = table  # type: ignore[attr-defined]  # for the test of the guide
        return checked

    return decorate


def translate(
    call: str, given: Mapping[str, Any], taken: Collection[str], table: HFNames, known: Iterable[str] | None
) -> dict[str, Any]:
    """The arguments by the names that they have here.

    call: how messages call the function; taken: the arguments that are given, also by place; known: those that there
    are, None where others are allowed too.

    Raises:
        InputError: an argument is given twice, has a value that cannot be, or is not known.
    """
    arguments = {}
    for name, value in given.items():
        hf_name = table.get(name)
        if isinstance(hf_name, Alias):
            if hf_name.argument in taken or hf_name.argument in arguments:
                raise InputError(f"{call}: {name} and {hf_name.argument} are the same argument; give one of them")
            arguments[hf_name.argument] = value
        elif isinstance(hf_name, Fixed):
            if not hf_name.allows(value):
                only = " or ".join(map(repr, hf_name.values))
                raise InputError(
                    (f"{call} takes {name}={only} only, got {value!r:.80}: " if only else f"{call} takes no {name}: ")
                    + hf_name.otherwise
                )
        elif hf_name is None and (known is None or name in known):
            arguments[name] = value
        elif hf_name is None:
            raise unknown_name(call, name, {*(known or ()), *table})
    return arguments


def unknown_name(call: str, name: str, known: Iterable[str]) -> InputError:
    """The error for an argument that there is not: it names the nearest, and all.

    >>> print(unknown_name("model()", "attention_masks", ["input_ids", "attention_mask"]))
    model() takes no argument 'attention_masks': the nearest is 'attention_mask'; all are attention_mask, input_ids
    """
    names = sorted(name for name in known if name != "self")
    if not names:
        return InputError(f"{call} takes no argument {name!r}, nor any other by name")
    return InputError(
        f"{call} takes no argument {name!r}: the nearest is {_nearest(name, names)!r}; all are {', '.join(names)}"
    )


def unknown_attribute(owner: object, name: str, hints: Mapping[str, str]) -> AttributeError:
    """The error for an attribute that there is not.

    hints: HF's and torch's attributes that cannot be here, with what to do in their place.
    """
    kind = type(owner).__name__
    if name.startswith("_"):  # asked for by the interpreter and by libraries, not by people
        return AttributeError(f"{kind} has no attribute {name!r}")
    if name in hints:
        return AttributeInputError(f"{kind} has no {name}: {hints[name]}")
    names = [known for known in dir(owner) if not known.startswith("_")]
    return AttributeInputError(f"{kind} has no attribute {name!r}: the nearest is {_nearest(name, names)!r}")


def _nearest(name: str, names: Iterable[str]) -> str:
    return max(names, key=lambda known: SequenceMatcher(None, name.lower(), known.lower()).ratio())


def _call_name(function: Callable[..., Any]) -> str:
    owner, _, name = function.__qualname__.rpartition(".")
    if name == "__init__":
        return f"{owner}()"
    return f"a call of {owner}" if name == "__call__" else f"{function.__qualname__}()"
