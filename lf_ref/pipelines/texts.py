"""Check the texts of callers: one, or several in order. Unordered collections and other types are errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set, Sized
from typing import Any

from ..errors import InputError
from ..tokenizer.arguments import has_columns, listed, lone_surrogate, way_out


def ordered(given: Any) -> Sequence[Any] | Iterator[Any] | None:
    """The entries of a sequence, a column, an array of one dimension, or a stream without a length; else None.

    A column is a Series of pandas or Polars, or an array or a chunked array of pyarrow.

    >>> ordered(("a", "b")), ordered({"a": "b"}), ordered({"a", "b"})
    (('a', 'b'), None, None)
    """
    if isinstance(given, str | bytes) or has_columns(given):
        return None
    if isinstance(given, Sequence):
        return given
    if getattr(given, "ndim", 1) == 1 and isinstance(found := listed(given), list):
        return found
    # A mapping, a set and a frame have a length, and an iterator over something else than the texts in them.
    return iter(given) if isinstance(given, Iterable) and not isinstance(given, Sized) else None


def what_to_write(given: Any) -> str:
    """The type of a value that is not a list of texts, and how to make a list of it."""
    kind, unordered = type(given).__name__, way_out("texts", given)
    if unordered:
        return f"{kind}: {unordered}"
    if hasattr(given, "ndim") and hasattr(given, "tolist") and not isinstance(given, str):
        return f"{kind} of {given.ndim} dimensions: one of texts has 1"
    listed = isinstance(given, Iterable) or (hasattr(given, "__getitem__") and not isinstance(given, type))
    return f"{kind}: give list(texts)" if listed and not isinstance(given, Sequence) else kind


def entries(name: str, value: object, *, in_any_order: bool = False) -> list[Any]:
    """The entries of a sequence, or of an array or Series of one dimension; in_any_order: of a set too.

    An iterator, which can be read only once, is an error.
    """
    found = value if in_any_order and isinstance(value, Set) else ordered(value)
    if not isinstance(found, Sequence | Set):
        raise InputError(f"{name} must be a list of texts, got {what_to_write(value)}")
    return list(found)


def check_texts(name: str, value: object, *, in_any_order: bool = False) -> list[str]:
    """The `entries`, all of which must be texts."""
    return [check_text(f"each of {name}", text) for text in entries(name, value, in_any_order=in_any_order)]


def check_text(which: str, value: object) -> str:
    """The value, which must be a text without lone surrogates; the tokenizer's own errors do not have `which`."""
    if is_missing(value):
        raise InputError(
            f"{which} must be a text (str), got {str(value).replace('nan', 'NaN')}, a missing value: drop it"
        )
    if not isinstance(value, str):
        raise InputError(f"{which} must be a text (str), got {what_to_write(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{which} has {lone_surrogate(value, error.start)}") from None
    return str.__str__(value)  # of a subclass, such as NumPy's, the plain text


def is_missing(value: object) -> bool:
    """Whether a value is what tables have in place of a missing one: None, NaN, or pandas's NA or NaT."""
    is_nan = isinstance(value, float) and value != value
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


def characters(given: object) -> int:
    """About how many characters an input has, at any depth; a number counts as eight."""
    if isinstance(given, str | bytes):
        return len(given)
    if isinstance(given, Mapping):
        return sum(map(characters, given.values()))
    return sum(map(characters, given)) if isinstance(given, list | tuple) else 8
