"""Parquet files, read and written in pieces. This module needs pyarrow, and is imported only where one is used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError
from .columns import Table, Vectors
from .record import Record
from .sources import Source, check_columns, display

__all__ = ["ParquetRows", "arrow_type", "pa", "pq", "record_batches", "schema_of", "write_parquet"]

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError as error:
    raise InputError(f"Parquet files need pyarrow: pip install 'lf-ref[data]' ({error})") from error

# The most that is held of a file, uncompressed, in bytes and in rows.
_BYTES, _ROWS = 1 << 24, 1024


class ParquetRows(Source):
    """The rows of a Parquet file.

    path: of the file. inputs: the columns that are inputs. Others, and times, are Arrow's scalars where Python's values
    hold less, such as nanoseconds.
    """

    unit = "rows"

    def __init__(self, path: str, inputs: Iterable[str]) -> None:
        self.path, self.inputs = path, set(inputs)
        with self._opened() as file:
            schema = file.schema_arrow
            check_columns(path, schema.names)
            self.columns = {field.name: field.type for field in schema}
            self._rows = file.metadata.num_rows

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        for number, row in enumerate(self.read(0, self._rows), start=1):
            yield f"row {number} of {display(self.path)}", row

    def read(self, first: int, last: int, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """The rows from first, counted from 0, up to last, with these columns, or all of them."""
        with self._opened() as file:
            sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
            ends = list(accumulate(sizes))
            groups = [index for index, end in enumerate(ends) if end > first and end - sizes[index] < last]
            at = ends[groups[0]] - sizes[groups[0]] if groups else 0
            for batch in file.iter_batches(
                batch_size=self._batch_size(file.metadata), row_groups=groups, columns=columns
            ):
                wanted = batch.slice(max(first - at, 0), max(last - max(first, at), 0))
                at += len(batch)
                if len(wanted):
                    yield from self._values(wanted)

    def _values(self, batch: Any) -> Iterator[dict[str, Any]]:
        batch.validate(full=True)  # texts may not be UTF-8
        names = batch.schema.names
        columns = [
            [one if one.is_valid else None for one in column]
            if pa.types.is_temporal(column.type) or (pa.types.is_nested(column.type) and name not in self.inputs)
            else column.to_pylist()
            for name, column in zip(names, batch.columns, strict=True)
        ]
        for row in zip(*columns, strict=True):
            yield dict(zip(names, row, strict=True))

    def count(self) -> int | None:
        """The number of rows."""
        return self._rows

    def _batch_size(self, metadata: Any) -> int:
        """Rows to decode at once, so that they are about as large as is held."""
        groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        per_row = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
        return max(1, min(_ROWS, _BYTES // (per_row + 1)))

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            # Buffered and not read ahead: a group of rows may be larger than the memory.
            with pq.ParquetFile(self.path, buffer_size=1 << 20, pre_buffer=False) as file:
                yield file
        except (OSError, pa.ArrowException) as error:
            number = getattr(error, "errno", None)
            why = os.strerror(number) if number else error
            raise InputError(f"{display(self.path)} cannot be read as Parquet: {why}") from error


def write_parquet(file: BinaryIO, rows: Iterable[tuple[Record, Any]], table: Table) -> None:
    """Write each record and its result as a row, a group of rows at a time.

    file: to write to; rows: records with their results; table: the columns.
    """
    schema = schema_of(table)
    with pq.ParquetWriter(file, schema) as writer:
        for batch in record_batches(rows, table, schema):
            writer.write_batch(batch)


def schema_of(table: Table) -> Any:
    """Arrow's schema of a table."""
    return pa.schema([(name, arrow_type(type_)) for name, type_ in table.types.items()])


def record_batches(rows: Iterable[tuple[Record, Any]], table: Table, schema: Any) -> Iterator[Any]:
    """Records with their results as Arrow's batches; table, schema: their columns."""
    for group in _groups(rows, table):
        columns = [pa.array([row[field.name] for row in group], field.type) for field in schema]
        yield pa.record_batch(columns, schema=schema)


def arrow_type(type_: Any) -> Any:
    """Arrow's type of a column."""
    if isinstance(type_, Vectors):
        vector = pa.list_(pa.float32(), type_.size)
        return pa.list_(vector) if type_.per_token else vector
    return pa.type_for_alias(type_) if isinstance(type_, str) else type_


def _groups(rows: Iterable[tuple[Record, Any]], table: Table) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    held = 0
    for record, result in rows:
        row = {name: arrow_value(value) for name, value in table.row(record, result).items()}
        group.append(row)
        held += sum(map(_size, row.values()))
        if held >= _BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group


def arrow_value(value: Any) -> Any:
    """A value as Arrow takes it: arrays as float32, those of two axes as lists of vectors."""
    if not isinstance(value, np.ndarray):
        return value
    value = value.astype(np.float32, copy=False)
    return list(value) if value.ndim == 2 else value


def _size(value: Any) -> int:
    """About how many bytes a value takes."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(map(_size, value))
    return value.nbytes if isinstance(value, np.ndarray) else 64
