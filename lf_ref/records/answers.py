"""Records through a task, in order, with a bounded number of bytes held."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import InputError
from ..pipelines.texts import characters
from . import strict_json
from .record import Fields, Record
from .sources import Source

# (inputs, name=, on_error=) -> the result of each input in order: what `Pipeline.stream` is.
Stream = Callable[..., Iterator[Any]]
# Characters of the records that a task may read ahead.
_AHEAD = 1 << 24


def records(source: Source, fields: Fields) -> Iterator[Record]:
    """Yield the inputs of a source as records."""
    for number, (name, value) in enumerate(source, start=1):
        yield fields.record(name, number, value)


def answers(stream: Stream, given: Iterator[Record], on_error: str) -> Iterator[tuple[Record, Any]]:
    """Yield each record with its result, or with the InputError in place of it, if on_error is "record".

    stream: may read ahead, but so many bytes at most, of inputs and other fields together.

    Raises:
        InputError: an input does not fit, and on_error is "stop".
    """
    waiting: deque[Record] = deque()

    def ahead(record: Record | None) -> Iterator[Any]:
        held = 0
        while record is not None:
            waiting.append(record)
            yield record.given
            held += characters(record.given) + len(strict_json.dumps(record.rest))
            record = next(given, None) if held < _AHEAD else None

    for first in given:
        for result in stream(ahead(first), name=lambda _: waiting[-1].name, on_error=on_error):
            yield waiting.popleft(), result


def one_by_one(call: Callable[[str, Any], Any]) -> Stream:
    """A stream from a function of the name of an input and the input."""

    def stream(inputs: Iterator[Any], *, name: Callable[[int], str], on_error: str) -> Iterator[Any]:
        for index, given in enumerate(inputs):
            try:
                if isinstance(given, InputError):
                    raise given
                result = call(name(index), given)
            except InputError as error:
                if on_error == "stop":
                    raise
                result = error
            yield result

    return stream
