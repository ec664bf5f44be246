"""The columns of a table of results: typed ones where a task has a single best answer, and the whole result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from . import strict_json
from .record import ERROR, RESULT, Record

# Types of columns, by pyarrow's names of them.
STRING, INTEGER, FLOAT, BOOLEAN = "string", "int64", "float64", "bool"
_KINDS = {bool: BOOLEAN, int: INTEGER, float: FLOAT}


@dataclass(frozen=True)
class Vectors:
    """The type of a column of float32 vectors: one of `size` elements for an input, or one for each of its tokens."""

    size: int
    per_token: bool = False


@dataclass(frozen=True)
class Answers:
    """The columns of the results of a task.

    result: the type of the column "result": vectors, or text, which is JSON. best: the types of the columns of the best
    answer. read: its values, from a result.
    """

    result: str | Vectors = STRING
    best: Mapping[str, str] | None = None
    read: Callable[[Any], Mapping[str, Any]] = dict

    @property
    def types(self) -> dict[str, str | Vectors]:
        """The type of each column."""
        return {**(self.best or {}), RESULT: self.result}

    def values(self, result: Any) -> dict[str, Any]:
        """The values of the columns for a result, by name."""
        best = self.read(result) if self.best else {}
        whole = vectors(result) if isinstance(self.result, Vectors) else strict_json.dumps(result)
        return {**{name: best.get(name) for name in self.best or {}}, RESULT: whole}


def _label(result: list[dict[str, Any]]) -> dict[str, Any]:
    return {"label": str(result[0]["label"]), "score": result[0]["score"]}


def _ranked(result: dict[str, Any]) -> dict[str, Any]:
    return {"label": result["labels"][0], "score": result["scores"][0]}


def _first(result: Any) -> Mapping[str, Any]:
    if isinstance(result, Mapping):
        return result
    return result[0] if result else {}


_SCORED = {"label": STRING, "score": FLOAT}
ANSWERS = {
    "text-classification": Answers(best=_SCORED, read=_label),
    "zero-shot-classification": Answers(best=_SCORED, read=_ranked),
    "question-answering": Answers(
        best={"answer": STRING, "score": FLOAT, "start": INTEGER, "end": INTEGER}, read=_first
    ),
    "multiple-choice": Answers(best={"choice": INTEGER, "score": FLOAT}, read=_first),
}
JSON_ALONE = Answers()


def vectors(result: Any) -> Any:
    """An embedding, [hidden], or those of the tokens of a text, [tokens, hidden]: without a batch of one as an axis."""
    return result[0] if result.ndim == 3 else result


@dataclass(frozen=True)
class Table:
    """The columns of a table: the other fields of the inputs, those of the results, and that of errors, if it has one.

    fields: the types of the other fields; answers: of the results; errors: whether errors are recorded.
    """

    fields: Mapping[str, Any]
    answers: Answers
    errors: bool = False

    @property
    def types(self) -> dict[str, Any]:
        """The type of each column."""
        return {**self.fields, **self.answers.types, **({ERROR: STRING} if self.errors else {})}

    def row(self, record: Record, result: Any) -> dict[str, Any]:
        """The values of an input's row by name; what it has no value for is None."""
        found = {ERROR: str(result)} if isinstance(result, InputError) else self.answers.values(result)
        values = {**record.rest, **found}
        return {name: _fitting(values.get(name), type_) for name, type_ in self.types.items()}


def types_of(records: Iterable[Record]) -> dict[str, str]:
    """The types of the other fields of records: one of them where all values have it, else text.

    Whole numbers are float64 where others are not whole, and text where they do not fit in 64 bits.
    """
    found: dict[str, str | None] = {}
    for record in records:
        for name, value in record.rest.items():
            found[name] = _merged(found.get(name), value)
    return {name: type_ or STRING for name, type_ in found.items()}


def _merged(before: str | None, value: Any) -> str | None:
    if value is None:
        return before
    kind = _KINDS.get(type(value), STRING)
    if kind == INTEGER and not -(2**63) <= value < 2**63:
        kind = STRING
    if before in (None, kind):
        return kind
    return FLOAT if {before, kind} == {INTEGER, FLOAT} else STRING


def _fitting(value: Any, type_: Any) -> Any:
    """A value as its column takes it: in one of text, a text as it is, and anything else as JSON."""
    if isinstance(type_, str) and type_ == FLOAT and value is not None:
        return float(value)
    if value is None or not (isinstance(type_, str) and type_ == STRING):
        return value
    text = value if isinstance(value, str) else strict_json.dumps(value)
    return text.encode("utf-8", "backslashreplace").decode()  # lone surrogates, which JSON may have
