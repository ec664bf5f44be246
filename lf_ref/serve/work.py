"""What a request asks for, whatever its wire format: a call, its inputs, and how to write the results."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import InputError
from ..pipelines import Pipeline
from ..pipelines.call import Call
from ..pipelines.texts import characters
from .refusals import Refusal

_SIDES = ("left", "right")


@dataclass(frozen=True)
class Work:
    """The work of a request.

    call: a pipeline and its options. inputs: one input, or a list of them. respond: makes the content of the response,
    a value for JSON, of the results in order and the number of tokens that were run.
    """

    call: Call
    inputs: Any
    respond: Callable[[list[Any], int], Any]


Reader = Callable[[Mapping[str, Any]], Work]


class Task(Protocol):
    """What a service does: a pipeline, and the wire formats that lead to it.

    name: of the task. pipe: its pipeline. readers: of the bodies of POST requests, by path.
    """

    name: str
    pipe: Pipeline[Any]
    readers: Mapping[str, Reader]

    def info(self) -> dict[str, Any]:
        """The fields of /info that depend on the task."""
        ...


MOST_ROWS = 1024  # of one text


@dataclass(frozen=True)
class Limits:
    """What a request may have at most; beyond it gets status 413. The characters are those of one input."""

    body_bytes: int
    texts: int
    text_chars: int

    def check(self, inputs: Any, parameters: Any = None) -> None:
        """Check the number and the length of inputs, and the number of labels or choices.

        Raises:
            Refusal: there are too many, or one is too long.
        """
        several = inputs if isinstance(inputs, list) else [inputs]
        if len(several) > self.texts:
            raise Refusal(413, f"the request has {len(several)} texts, and --max-texts allows {self.texts}: send fewer")
        labels = parameters.get("candidate_labels") if isinstance(parameters, Mapping) else None
        lists = [labels.split(",") if isinstance(labels, str) else labels]
        lists += [one.get("choices") for one in several if isinstance(one, Mapping)]
        self.check_rows(max((len(one) for one in lists if isinstance(one, list)), default=0))
        for index, given in enumerate(several):
            if (length := characters(given)) > self.text_chars:
                name = f"text {index}" if isinstance(inputs, list) else "the text"
                raise Refusal(
                    413, f"{name} has {length} characters, and --max-text-chars allows {self.text_chars}: shorten it"
                )

    def check_rows(self, count: int) -> None:
        """Check the number of rows of the model that one text takes, which a batch cannot share out.

        Raises:
            Refusal: there are too many.
        """
        if count > MOST_ROWS:
            raise Refusal(413, f"a text has {count} labels, choices or windows, and may have {MOST_ROWS}: send fewer")


def check_fields(given: Mapping[str, Any], known: Collection[str]) -> None:
    """Check that all fields are known.

    Raises:
        InputError: one is not.
    """
    for name in given.keys() - set(known):
        raise InputError(f"unknown field {name!r:.80}: the fields are {', '.join(known)}")


def required(given: Mapping[str, Any], name: str) -> Any:
    """The value of a field that must be there.

    Raises:
        InputError: it is missing or null.
    """
    if given.get(name) is None:
        raise InputError(f"the field {name} is missing")
    return given[name]


def parameters_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The field parameters, without those that are null.

    Raises:
        InputError: it is no object.
    """
    parameters = given.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InputError(f"parameters must be an object, got {type(parameters).__name__}")
    return {name: value for name, value in parameters.items() if value is not None}


def flag(given: Mapping[str, Any], name: str, default: bool | None = None) -> bool | None:
    """The value of a field that may be true, false, or null for the default.

    Raises:
        InputError: it is something else.
    """
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise InputError(f"{name} must be true or false, got {value!r:.80}")
    return default if value is None else value


def several(value: Any, name: str) -> list[Any]:
    """A value that must be a list with something in it.

    Raises:
        InputError: it is something else, or empty.
    """
    if not isinstance(value, list) or not value:
        got = "an empty list" if value == [] else type(value).__name__
        raise InputError(f"{name} must be a list of at least one text, got {got}")
    return value


class Sides:
    """A pipeline for each end that truncation may cut off; the tokenizer's own by default."""

    def __init__(self, pipe: Pipeline[Any]) -> None:
        self.own = pipe
        self._pipes = {side: self._cutting(side) for side in _SIDES}

    def of(self, given: Mapping[str, Any]) -> Pipeline[Any]:
        """The pipeline for the field truncation_direction.

        Raises:
            InputError: it is neither "left" nor "right", in upper or lower case.
        """
        side = given.get("truncation_direction")
        if side is None:
            return self.own
        if not isinstance(side, str) or side.lower() not in _SIDES:
            raise InputError(f'truncation_direction must be "Left" or "Right", got {side!r:.80}')
        return self._pipes[side.lower()]

    def _cutting(self, side: str) -> Pipeline[Any]:
        if self.own.tokenizer.truncation_side == side:
            return self.own
        pipe = copy.copy(self.own)
        pipe.tokenizer = copy.copy(pipe.tokenizer)
        pipe.tokenizer.truncation_side = side
        return pipe
