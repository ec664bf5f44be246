"""Batches in the forms that engines hand out: arrays by name, tables of Arrow, and data frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..records.columns import Vectors
from ..reference.ops import Array
from ..tokenizer.arguments import listed, shown

_FORMS = "a dict of arrays, a table or record batch of pyarrow, or a DataFrame of pandas or Polars"


def names(batch: Any) -> list[Any]:
    """The names of a batch's columns.

    Raises:
        InputError: it is no batch.
    """
    if isinstance(batch, Mapping):
        return list(batch)
    if _is_arrow(batch):
        return list(batch.schema.names)
    if hasattr(batch, "columns"):
        return list(batch.columns)
    raise InputError(f"a batch must be {_FORMS}, got {type(batch).__name__}")


def column(batch: Any, name: str) -> list[Any]:
    """The values of a column, as Python's or the elements of an array.

    Raises:
        InputError: the batch has no such column, or two, or it is no column.
    """
    held = names(batch)
    if held.count(name) != 1:
        what = "no column" if name not in held else "more than one column"
        raise InputError(f"the batch has {what} {name!r}, only {', '.join(map(str, held))}: name another with column=")
    values = listed(batch[name])
    if not isinstance(values, list | tuple):
        raise InputError(f"column {name!r} must be an array or a list, got {shown(values)}")
    return list(values)


def with_columns(batch: Any, added: Mapping[str, Sequence[Any]], types: Mapping[str, str | Vectors]) -> Any:
    """A new batch of the same form, with further columns: their values by name, None for none, and their types.

    Vectors are float32 (rows, size) in a dict of arrays, with NaN for none; a fixed-size list in a table; an array in
    each row of a DataFrame.

    Raises:
        InputError: the batch has a column of one of these names already.
    """
    for name in added:
        if name in names(batch):
            raise InputError(f"the batch has a column {name!r} already: name another with result= and error=")
    if isinstance(batch, Mapping):
        return {**batch, **{name: _array(values, types[name]) for name, values in added.items()}}
    if _is_arrow(batch):
        import pyarrow as pa

        from ..records.parquet import arrow_type, arrow_value

        for name, values in added.items():
            kind = arrow_type(types[name])
            batch = batch.append_column(pa.field(name, kind), pa.array([arrow_value(value) for value in values], kind))
        return batch
    if hasattr(batch, "assign"):
        import pandas as pd

        columns = {name: _objects([_cell(value) for value in values]) for name, values in added.items()}
        # Of objects always, as the type must not depend on what a batch holds.
        return batch.assign(**{name: pd.Series(one, batch.index, object) for name, one in columns.items()})
    return type(batch)(with_columns(batch.to_arrow(), added, types))  # of Polars


def _is_arrow(batch: Any) -> bool:
    return hasattr(batch, "append_column")


def _cell(value: Any) -> Any:
    """A value in a DataFrame, whose cells hold arrays of one axis at most."""
    return list(value) if getattr(value, "ndim", 1) == 2 else value


def _array(values: Sequence[Any], type_: str | Vectors) -> Array:
    if isinstance(type_, Vectors) and not type_.per_token:
        vectors = np.full((len(values), type_.size), np.nan, np.float32)
        for row, value in enumerate(values):
            if value is not None:
                vectors[row] = value
        return vectors
    return _objects(values)


def _objects(values: Sequence[Any]) -> Array:
    objects = np.empty(len(values), object)
    for row, value in enumerate(values):
        objects[row] = value
    return objects
