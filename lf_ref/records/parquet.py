"""Parquet files, read and written in pieces. This module needs pyarrow, and is imported only where one is used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError
from .columns import Table, Vectors
from .record import Record
from .sources import Source, check_columns, display

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
        number = 0
        with self._opened() as file:
            for batch in file.iter_batches(batch_size=self._batch_size(file.metadata)):
                batch.validate(full=True)  # texts may not be UTF-8
                names = batch.schema.names
                columns = [
                    [one if one.is_valid else None for one in column]
                    if pa.types.is_temporal(column.type)
                    or (pa.types.is_nested(column.type) and name not in self.inputs)
                    else column.to_pylist()
                    for name, column in zip(names, batch.columns, strict=True)
                ]
                for row in zip(*columns, strict=True):
                    number += 1
                    yield f"row {number} of {display(self.path)}", dict(zip(names, row, strict=True))

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
    schema = pa.schema([(name, _arrow_type(type_)) for name, type_ in table.types.items()])
    with pq.ParquetWriter(file, schema) as writer:
        for group in _groups(rows, table):
            columns = [pa.array([row[field.name] for row in group], field.type) for field in schema]
            writer.write_batch(pa.record_batch(columns, schema=schema))


def _arrow_type(type_: Any) -> Any:
    if isinstance(type_, Vectors):
        vector = pa.list_(pa.float32(), type_.size)
        return pa.list_(vector) if type_.per_token else vector
    return pa.type_for_alias(type_) if isinstance(type_, str) else type_


def _groups(rows: Iterable[tuple[Record, Any]], table: Table) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    held = 0
    for record, result in rows:
        row = {name: _value(value) for name, value in table.row(record, result).items()}
        group.append(row)
        held += sum(map(_size, row.values()))
        if held >= _BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group


def _value(value: Any) -> Any:
    """Arrays as float32, those of two axes as lists of vectors."""
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
