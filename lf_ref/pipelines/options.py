"""The options of a task: checked once, when they are given, and refused by name where there is none of that name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..errors import InputError

Chosen = TypeVar("Chosen", bound="Options")


@dataclass(frozen=True)
class Options:
    """What every task can be told.

    truncation: cut a text that is too long at its end. By default it is an error.
    max_length: the longest input in tokens, special tokens included, where it is to be less than the model takes.
    """

    truncation: bool = False
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_flag("truncation", self.truncation)
        if self.max_length is not None:
            check_count("max_length", self.max_length)


def choose(kind: type[Chosen], task: str, given: Mapping[str, Any]) -> Chosen:
    """The options of a task with the given values, the others at their defaults.

    Raises:
        InputError: a name is not among them (they are listed), or a value is none it can have.
    """
    known = [field.name for field in fields(kind)]
    for name in given:
        if name not in known:
            raise InputError(f"{task} has no option {name!r}; its options are {', '.join(known)}")
    return kind(**given)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, got {value!r}")


def check_count(name: str, value: object, least: int = 1) -> None:
    """Refuse what is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}, got {value!r}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of the words."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_text(which: str, value: object) -> str:
    """The value, which must be a text."""
    if not isinstance(value, str):
        raise InputError(f"{which} must be a text (str), got {type(value).__name__}")
    return value
