"""A task as a callable for batches of rows, which travels to the workers of an engine without its weights.

The engines: Ray Data (https://docs.ray.io), Spark (https://spark.apache.org), Dask (https://docs.dask.org).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..errors import InputError
from ..hf_names import HFNamed, accepts
from ..pipelines import ARGUMENTS
from ..records.columns import STRING
from ..records.record import RESULT
from ..tokenizer.arguments import check_count, shown
from . import tables
from .grants import granted_cpus
from .task import Answering, Task, fields_of, model_name, options_of


@accepts()
class Predictor(metaclass=HFNamed):
    """Answer for each row of a batch: a callable for Ray Data's `map_batches`, Spark's `mapInPandas` and Dask.

    It holds names and options, and a pickle of it no weights: each process loads the checkpoint at its first batch, and
    keeps it for the next ones.

    Args:
        task: "embed", for the vectors of `SentenceEncoder`, or one of `lf_ref.pipelines.TASKS`.
        model: a folder or a Hub repository that each worker can reach, or None for the bundled model.
        column: the name of the column of the texts, "text" by default; for question-answering that of the documents,
            "context", and for multiple-choice of the questions, "question". Or a mapping from the inputs of the task to
            columns, such as {"question": "title", "context": "body"}.
        result: the name of the column of results.
        error: the name of the column of errors.
        num_threads: threads of each process; None for the CPUs that the engine granted it: those of a task or actor of
            Ray, those that OMP_NUM_THREADS names, else all.
        options: of the task and of the checkpoint, with HF's names, as for `lf_ref.pipeline`. Embeddings are pooled by
            mean where neither pooling nor the modules of the checkpoint say otherwise.

    Raises:
        InputError: the task or an option is unknown, or has an invalid value.

    >>> predict = Predictor("embed", column="body")
    >>> found = predict({"id": [7, 8], "body": ["The ship sailed at dawn.", None]})
    >>> found["result"].shape, found["error"][1]
    ((2, 256), 'the text must be a text (str), got None, a missing value: drop it')
    """

    def __init__(
        self,
        task: str,
        model: str | os.PathLike[str] | None = None,
        *,
        column: str | Mapping[str, str] | None = None,
        result: str = "result",
        error: str = "error",
        num_threads: int | None = None,
        **options: Any,
    ) -> None:
        given = {name: value for name, value in options.items() if name not in ARGUMENTS}
        loading = {name: value for name, value in options.items() if name in ARGUMENTS}
        checked = options_of(task, "Predictor()", given, {"column", "result", "error", *ARGUMENTS})
        if result == error:
            raise InputError(f"result and error must be two columns, got {shown(result)} for both")
        self.task = Task(task, model_name(model), checked, loading)
        self.fields = fields_of(task, "column", column)
        self.result, self.error = result, error
        self.num_threads = None if num_threads is None else check_count("num_threads", num_threads)

    def __call__(self, batch: Any) -> Any:
        """The batch with two more columns, the results and the errors of its rows.

        batch: a dict of arrays, a table or record batch of pyarrow, or a DataFrame of pandas or Polars; or an iterator
        of such, for an iterator of theirs.

        Returns:
            A new batch of the same form. A result is a float32 vector (hidden,), with pooling="none" one for each token
            (tokens, hidden), and for all other tasks JSON text of what the pipeline answers. A row that has an error,
            such as that its text is missing or too long, has no result: None, or NaN in an array of vectors.

        Raises:
            InputError: this is no batch, it lacks a column, has one of the name of a new one, or an option does not fit
                the model.
            CheckpointError, ConfigError: the checkpoint cannot be loaded, or gives NaN or infinity.
        """
        if isinstance(batch, Iterator):
            return map(self, batch)
        which, inputs = self._inputs(batch)
        answering = _LOADED.get(self.task, self.num_threads or granted_cpus())
        found = list(answering.stream(iter(inputs), name=lambda _: which, on_error="record"))
        errors = [str(one) if isinstance(one, InputError) else None for one in found]
        results = [None if isinstance(one, InputError) else _value(answering, one) for one in found]
        types = {self.result: answering.answers.result, self.error: STRING}
        return tables.with_columns(batch, {self.result: results, self.error: errors}, types)

    def _inputs(self, batch: Any) -> tuple[str, list[Any]]:
        """What an input is called in messages, and all of them."""
        held, named = tables.names(batch), self.fields.names
        columns = {
            name: tables.column(batch, column)
            for name, column in named.items()
            if name in self.fields.required or column in held
        }
        if len(columns) == 1:
            return "the text", next(iter(columns.values()))
        if len({len(column) for column in columns.values()}) > 1:
            lengths = ", ".join(f"{named[name]} {len(column)}" for name, column in columns.items())
            raise InputError(f"the columns of a batch must have one length, got {lengths}")
        return "the row", [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _value(answering: Answering, result: Any) -> Any:
    value = answering.answers.values(result)[RESULT]
    return value.astype(np.float32, copy=False) if isinstance(value, np.ndarray) else value


class _Loaded:
    """The models that this process used last: an engine unpickles a predictor anew for each of its batches."""

    _MOST = 2  # embeddings and labels of the same rows, one after the other

    def __init__(self) -> None:
        self._lock = threading.Lock()  # Dask calls from several threads
        self._held: list[tuple[Any, Answering]] = []

    def get(self, task: Task, num_threads: int) -> Answering:
        """The loaded task, from the last ones or from its checkpoint."""
        wanted = (task, num_threads)
        with self._lock:
            one = next((one for made, one in self._held if made == wanted), None) or task.load(num_threads)
            self._held = [(wanted, one), *(held for held in self._held if held[1] is not one)][: self._MOST]
        return one


_LOADED = _Loaded()
