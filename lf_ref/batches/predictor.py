"""A task as a callable for batches of rows, which travels to the workers of an engine without its weights."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..embeddings.encoder import SentenceEncoder
from ..errors import InputError
from ..hf_names import Fixed, HFNamed, accepts
from ..pipelines import ARGUMENTS, TASKS, FeatureExtractionPipeline, Pipeline, pipeline
from ..pipelines.loading import is_name
from ..pipelines.options import read
from ..records import strict_json
from ..records.columns import STRING, Vectors, vectors
from ..tokenizer.arguments import check_count, shown
from . import tables
from .grants import granted_cpus

EMBED = "embed"
# The inputs of a row by task, and those that it may have besides; of other tasks there is one, the text.
_INPUTS = {"question-answering": ("context", "question"), "multiple-choice": ("question", "choices")}
_OPTIONAL = {"text-classification": ("text_pair",)}
_RECORDED = {
    "on_error": Fixed(("record",), "the errors of rows are recorded in a column"),
    "return_tensors": Fixed((True,), "vectors are arrays"),
}


@accepts(init=_RECORDED)
class Predictor(metaclass=HFNamed):
    """Answer for each row of a batch: a callable for Ray Data's `map_batches`, Spark's `mapInPandas` and Dask.

    It holds names and options, and a pickle of it no weights: each process loads the checkpoint at its first batch, and
    keeps it for the next ones.

    Args:
        task: "embed", for the vectors of `SentenceEncoder`, or one of `lf_ref.pipelines.TASKS`.
        model: a folder or a Hub repository that each worker can reach, or None for the bundled model.
        column: the name of the column of texts, "text" by default, which is "context" for question-answering and
            "question" for multiple-choice; or a mapping from the inputs of the task to columns, such as
            {"question": "title", "context": "body"}.
        result: the name of the column of results.
        error: the name of the column of errors.
        num_threads: threads of each process; None for the CPUs that the engine granted it: those of a task or actor of
            Ray, those that OMP_NUM_THREADS names, else all.
        options: of the task and of the checkpoint, as for `lf_ref.pipeline`.

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
        if task != EMBED and (not isinstance(task, str) or task not in TASKS):
            raise InputError(f"unknown task {task!r}; the tasks are {', '.join([EMBED, *TASKS])}")
        if not is_name(model):
            raise InputError(f"model must be a name, which workers load it by, got {type(model).__name__}")
        if result == error:
            raise InputError(f"result and error must be two columns, got {shown(result)} for both")
        kind = FeatureExtractionPipeline if task == EMBED else TASKS[task]
        given = {name: value for name, value in options.items() if name not in ARGUMENTS}
        others = {"column", "result", "error", *ARGUMENTS}
        checked = kind.options_class(**read(kind.options_class, "Predictor()", given, others))
        self.task = task
        self.model = os.path.abspath(model) if model is not None and os.path.isdir(model) else model
        self.columns = _columns(kind.task, column)
        self.result, self.error = result, error
        self.num_threads = None if num_threads is None else check_count("num_threads", num_threads)
        self.building = {name: value for name, value in options.items() if name in ARGUMENTS}
        self.options = {name: getattr(checked, name) for name in given}

    def __call__(self, batch: Any) -> Any:
        """The batch with two more columns, the results and the errors of its rows.

        batch: a dict of arrays, a table or record batch of pyarrow, or a DataFrame of pandas or Polars; or an iterator
        of such, for an iterator of theirs.

        Returns:
            A new batch of the same form. A result is a float32 vector (hidden,), without pooling one for each token
            (tokens, hidden), and for all other tasks JSON text of what the pipeline answers. A row that has an error,
            such as that its text is missing or too long, has no result: None, or NaN in an array of vectors.

        Raises:
            InputError: this is no batch, it lacks a column, has one of the name of a new one, or an option does not fit
                the model.
            CheckpointError, ConfigError: the checkpoint cannot be loaded, or gives NaN or infinity.
        """
        if isinstance(batch, Iterator):
            return map(self, batch)
        inputs = self._inputs(batch)
        pipe = _LOADED.get(self)
        which = "the text" if len(self.columns) == 1 else "the row"
        found = list(pipe.stream(iter(inputs), name=lambda _: which, on_error="record", **self._options(pipe)))
        errors = [str(one) if isinstance(one, InputError) else None for one in found]
        results = [None if isinstance(one, InputError) else _result(one) for one in found]
        return tables.with_columns(batch, {self.result: (results, self._type(pipe)), self.error: (errors, STRING)})

    def _inputs(self, batch: Any) -> list[Any]:
        columns = {name: tables.column(batch, column) for name, column in self.columns.items()}
        if len(columns) == 1:
            return next(iter(columns.values()))
        if len({len(column) for column in columns.values()}) > 1:
            lengths = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
            raise InputError(f"the columns of a batch must have one length, got {lengths}")
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _options(self, pipe: Pipeline[Any]) -> dict[str, Any]:
        return {**self.options, **({"return_tensors": True} if isinstance(pipe, FeatureExtractionPipeline) else {})}

    def _type(self, pipe: Pipeline[Any]) -> str | Vectors:
        if not isinstance(pipe, FeatureExtractionPipeline):
            return STRING
        pooling = self.options.get("pooling")
        per_token = pooling == "none" or (pooling is None and pipe.modules is None)
        return Vectors(pipe.dimension(pooling), per_token)


class _Loaded:
    """The pipelines that this process used last: an engine unpickles a predictor anew for each of its batches."""

    _MOST = 2  # embeddings and labels of the same rows, one after the other

    def __init__(self) -> None:
        self._lock = threading.Lock()  # Dask calls from several threads
        self._held: list[tuple[Any, Pipeline[Any]]] = []

    def get(self, predictor: Predictor) -> Pipeline[Any]:
        """The pipeline of a predictor, loaded unless it is here."""
        wanted = (predictor.task, predictor.model, predictor.num_threads or granted_cpus(), predictor.building)
        with self._lock:
            pipe = next((pipe for made, pipe in self._held if made == wanted), None) or _load(*wanted)
            self._held = [(wanted, pipe), *(one for one in self._held if one[1] is not pipe)][: self._MOST]
        return pipe


_LOADED = _Loaded()


def _load(task: str, model: Any, num_threads: int, building: Mapping[str, Any]) -> Pipeline[Any]:
    arguments = {"quiet": True, **building, "num_threads": num_threads}
    if task == EMBED:
        return SentenceEncoder.from_pretrained(model, **arguments).pipeline
    return pipeline(task, model, **arguments)


def _columns(task: str, column: str | Mapping[str, str] | None) -> dict[str, str]:
    """The column of each input of a task."""
    inputs, optional = _INPUTS.get(task, ("text",)), _OPTIONAL.get(task, ())
    given = {inputs[0]: column} if isinstance(column, str) else {} if column is None else column
    if not isinstance(given, Mapping):
        raise InputError(
            f"column must be the name of a column, or a mapping from inputs to columns, got {shown(column)}"
        )
    for name in given:
        if name not in (*inputs, *optional):
            raise InputError(f"{task} has no input {shown(name)}; its inputs are {', '.join((*inputs, *optional))}")
    return {**{name: name for name in inputs}, **given}


def _result(found: Any) -> Any:
    return vectors(found).astype(np.float32, copy=False) if isinstance(found, np.ndarray) else strict_json.dumps(found)
