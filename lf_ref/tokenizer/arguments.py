"""Check arguments, and show values in error messages."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping, Set
from operator import index
from typing import Any

from ..errors import InputError

_LONGEST = 100  # characters of a value in a message


def shown(value: object) -> str:
    """Show a value in an error message: at most one line, and safe for deeply nested values."""
    text = reprlib.repr(value)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def as_index(name: str, value: object) -> int:
    """Return an integer, NumPy's too, as an int.

    Raises:
        InputError: the value is not an integer.
    """
    try:
        return index(value)  # type: ignore[arg-type]  # a TypeError is reported below
    except TypeError:
        raise InputError(f"{name} must be an integer, got {shown(value)}") from None


def check_count(name: str, value: object, least: int = 1) -> int:
    """Return an integer of at least `least`, NumPy's too, as an int.

    Raises:
        InputError: the value is not such an integer.
    """
    try:
        number = index(value)  # type: ignore[arg-type]  # a TypeError is reported below
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise InputError(f"{name} must be an integer of at least {least}, got {shown(value)}")
    return number


def refuse_unordered(name: str, value: object) -> None:
    """Refuse mappings, sets and data frames, which hold texts under names or in no order.

    Raises:
        InputError: the value is one of them; the message has the way out.
    """
    if found := way_out(name, value):
        raise InputError(f"{name} must be a text or a sequence of texts, got {type(value).__name__}: {found}")


def way_out(name: str, value: object) -> str:
    """What to pass instead of a mapping, a set or a data frame; "" for other values."""
    if isinstance(value, Mapping):
        return f"give list({name}.values()), or one of the values"
    if isinstance(value, Set):
        return f"a set has no order; give a list, such as sorted({name})"
    return 'pass df["text"], the column of the texts' if has_columns(value) else ""


def has_columns(value: object) -> bool:
    """Whether a value is a data frame, a dataset or an array of records."""
    named = getattr(getattr(value, "dtype", None), "names", None)
    # Of the type, as a lazy frame computes its columns when asked for them.
    return bool(named) or hasattr(type(value), "columns") or hasattr(type(value), "column_names")


def listed(value: object) -> Any:
    """Return the entries of an array or a column as Python's values, and other values as they are."""
    for method in ("to_pylist", "tolist", "to_list"):  # of pyarrow; of NumPy and pandas; of Polars
        if hasattr(value, method):
            return getattr(value, method)()
    return value


def as_sequence(name: str, value: object) -> list[Any] | None:
    """Return the entries of a sequence, an array or an iterator; None for a text, and for values that are not iterable.

    Raises:
        InputError: the value is a mapping, a set or a data frame.
    """
    if isinstance(value, (str, bytes, bytearray)):
        return None
    refuse_unordered(name, value)
    value = listed(value)  # of an array without dimensions one that is not iterable
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else None


def as_strings(name: str, value: object) -> list[str]:
    """Return the strings of a sequence, an array or an iterator.

    Raises:
        InputError: it is none, or contains something else.
    """
    strings = as_sequence(name, value)
    wrong = [value] if strings is None else [string for string in strings if not isinstance(string, str)]
    if strings is None or wrong:
        raise InputError(f"{name} must be strings in a sequence, got {shown(wrong[0])}")
    return strings


def lone_surrogate(text: str, at: int) -> str:
    """Describe the lone surrogate at position `at` for an error message, with the way out."""
    return (
        f"a lone surrogate, U+{ord(text[at]):04X}, at position {at}: half a character, which UTF-8 cannot encode; "
        "remove it, for instance with text.encode('utf-8', 'replace').decode()"
    )
