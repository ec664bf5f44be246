"""One rule for an input that comes from a file: named fields, or a text; other fields come out again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InputError
from . import strict_json

ID, RESULT, ERROR = "id", "result", "error"
_SHOWN = 40  # characters of a text in a message


@dataclass(frozen=True)
class Record:
    """One input of many.

    name: names it in messages. number: its position, from 1. given: the input as its task takes it, or the InputError
    that there is in its place. rest: its other fields, which come out again beside its result.
    """

    name: str
    number: int
    given: Any
    rest: Mapping[str, Any]

    @property
    def mark(self) -> Mapping[str, Any]:
        """What the record is known by: its other fields, or its number."""
        return self.rest or {ID: self.number}


@dataclass(frozen=True)
class Fields:
    """The named fields of an input.

    Args:
        text: the field that a text without a name is.
        required: the fields that an input must have.
        optional: those that it may have.
        lists: those that are lists; where files have none, as CSV, they are lists of JSON.
        stored: for a field the name that it has in the file, if it is another.
        shared: fields that are the same for all inputs.
        taken: names of columns that the results are written to.
    """

    text: str = "text"
    required: tuple[str, ...] = ("text",)
    optional: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    stored: Mapping[str, str] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    taken: Collection[str] = ()

    @property
    def names(self) -> dict[str, str]:
        """The name in the file of each field."""
        return {name: self.stored.get(name, name) for name in (*self.required, *self.optional)}

    def check(self, name: str, keys: Collection[str]) -> None:
        """Check the names of the fields that an input, or a file of inputs, has.

        Raises:
            InputError: a required one is missing; one is given for all inputs too, or is a column of the results.
        """
        names = self.names
        required = [names[one] for one in self.required if one not in self.shared]
        if not set(required) <= set(keys):
            optional = [names[one] for one in self.optional if one not in self.shared]
            raise InputError(
                f"{name} must have the field{'s' if len(required) > 1 else ''} {' and '.join(required)}"
                f"{f' ({optional[0]} is optional)' if optional else ''}, got {', '.join(map(str, keys)) or 'none'}; "
                "name another one with text_field="
            )
        for key in keys:
            if key in self.taken and key not in names.values():
                raise InputError(f'{name} has the field "{key}", which the result is written to: rename one')

    def record(self, name: str, number: int, value: Any) -> Record:
        """The record of a text, of named values, or of the error in place of them; what does not fit is an error too.

        name, number: as in `Record`; value: a text, a mapping from names to values, or an InputError in place of one.
        """
        inputs = set(self.names.values())
        rest = {key: one for key, one in value.items() if key not in inputs} if isinstance(value, Mapping) else {}
        try:
            for one in value.values() if isinstance(value, Mapping) else [value]:
                if isinstance(one, InputError):
                    raise one
            given = self._input(name, value)
        except InputError as error:
            given = error
            rest = {key: one for key, one in rest.items() if key not in self.taken and not isinstance(one, InputError)}
        return Record(name, number, given, rest)

    def _input(self, name: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            self.check(name, value.keys())
            given = {one: value[stored] for one, stored in self.names.items() if stored in value}
            which = f"the {self.names[self.text]} of {name}"
        else:
            given, which = {self.text: value}, name
        text = given.get(self.text)
        if isinstance(text, str) and not text.strip():
            raise InputError(f"{which} is empty")
        for one, shared in self.shared.items():
            if given.get(one) is not None:
                raise InputError(f"{name} has {self.names[one]} of its own, and {one} is given for all: give it once")
            given[one] = shared
        if any(one not in given for one in self.required):
            raise InputError(
                f"{name} must be a JSON object with the fields {' and '.join(self.names[one] for one in self.required)}"
                f", got the text {value[:_SHOWN]!r}"
            )
        for one in self.lists:
            if isinstance(given[one], str):
                given[one] = _listed(f"the {one} of {name}", given[one])
        return given[self.text] if len(self.names) == 1 else given


def _listed(name: str, text: str) -> Any:
    try:
        return strict_json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{name} must be a list of JSON, ["...", "..."], got {text[:_SHOWN]!r}') from error
