"""A task in workers: its model by name, its options, and what makes a row of the results of an input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..embeddings.encoder import SentenceEncoder
from ..errors import InputError
from ..files import DEMO
from ..pipelines import TASKS, Pipeline, pipeline
from ..pipelines.feature_extraction import FeatureExtractionPipeline
from ..pipelines.options import read
from ..records.answers import Stream
from ..records.columns import ANSWERS, JSON_ALONE, Answers, Vectors
from ..records.record import FIELDS, Fields
from ..tokenizer.arguments import shown

EMBED = "embed"
_OURS = ("on_error", "return_tensors")  # options that are set here


@dataclass(frozen=True)
class Task:
    """What a worker needs to load a model and to answer with it; it can be pickled, and holds no weights.

    name: of a pipeline, or "embed". model: a folder, the id of a Hub repository, or None. options: of the task, by the
    names of this package. loading: arguments of `pipeline`.
    """

    name: str
    model: str | None
    options: Mapping[str, Any]
    loading: Mapping[str, Any]

    def load(self, num_threads: int | None) -> Answering:
        """Load the model.

        Raises:
            InputError, CheckpointError, ConfigError: as for `pipeline`.
        """
        arguments: dict[str, Any] = {**self.loading, "num_threads": num_threads, "quiet": True}
        if self.name == EMBED:
            pipe: Pipeline[Any] = SentenceEncoder.from_pretrained(self.model, **arguments).pipeline
        else:
            pipe = pipeline(self.name, self.model, **arguments)
        options: dict[str, Any] = {**self.options, "on_error": "record"}
        if not isinstance(pipe, FeatureExtractionPipeline):
            return Answering(pipe, options, ANSWERS.get(kind_of(self.name).task, JSON_ALONE))
        pooling = options.setdefault("pooling", "mean" if pipe.modules is None else None)
        columns = Answers(Vectors(pipe.dimension(pooling), per_token=pooling == "none"))
        return Answering(pipe, {**options, "return_tensors": True}, columns)


@dataclass(frozen=True)
class Answering:
    """A loaded task. pipe: its pipeline. options: of the calls. answers: the columns of results."""

    pipe: Pipeline[Any]
    options: Mapping[str, Any] = field(repr=False)
    answers: Answers

    @property
    def stream(self) -> Stream:
        """The results of inputs, or the InputError of one in place of it."""
        return partial(self.pipe.stream, **{name: self.options[name] for name in self.options if name != "on_error"})

    def try_out(self) -> None:
        """Answer a short input, which loads all kernels.

        Raises:
            InputError: an option does not fit the model, or is missing.
            CheckpointError: the model returns NaN or infinity.
        """
        [_] = self.pipe.stream([self._sample()], **{**self.options, "on_error": "stop"})
        lengths = self.pipe.lengths(self.pipe.options_class(**self._chosen()))
        if lengths.size > lengths.most:
            raise InputError(
                f"{lengths.options.size_option}={lengths.size} is too much: this model takes at most {lengths.most} "
                "tokens"
            )

    def _chosen(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if value is not None}

    def _sample(self) -> Any:
        task = type(self.pipe).task
        if task == "fill-mask":
            return self.pipe.tokenizer.mask_token
        if task == "question-answering":
            return {"question": "Who?", "context": "Ada"}
        if task == "multiple-choice":
            return {"question": "Who?", "choices": ["Ada", "Bo"]}
        return ["Ada"] if self.options.get("is_split_into_words") else "Ada"


def kind_of(task: object) -> type[Pipeline[Any]]:
    """The class of the pipeline of a task.

    Raises:
        InputError: there is no such task.
    """
    kinds: dict[str, type[Pipeline[Any]]] = {**TASKS, EMBED: FeatureExtractionPipeline}
    if not isinstance(task, str) or task not in kinds:
        raise InputError(f"unknown task {task!r}; the tasks are {', '.join(kinds)}")
    return kinds[task]


def fields_of(task: str, argument: str, stored: str | Mapping[str, str] | None) -> Fields:
    """The fields of the inputs of a task.

    argument: the name of that argument. stored: the name of the text's field, or column, where the inputs are; or of
    any field, by the name that the task has for it.

    Raises:
        InputError: it names a field that the task does not have.
    """
    fields = FIELDS.get(kind_of(task).task, Fields())
    given = {fields.text: stored} if isinstance(stored, str) else {} if stored is None else stored
    is_mapping = isinstance(given, Mapping)
    if not is_mapping or any(one not in fields.names or not isinstance(name, str) for one, name in given.items()):
        raise InputError(
            f"{argument} must be a name, or a dict with {', '.join(fields.names)} as keys and names as values, got "
            f"{shown(stored)}"
        )
    return Fields(fields.text, fields.required, fields.optional, fields.lists, dict(given))


def options_of(task: str, call: str, given: Mapping[str, Any], others: Iterable[str]) -> dict[str, Any]:
    """The options of a task by the names of this package.

    call: names the call in messages; others: its other arguments.

    Raises:
        InputError: an option is unknown, is set here, or has an invalid value.
    """
    kind = kind_of(task).options_class
    options = read(kind, call, given, others)
    for name in _OURS:
        if name in options:
            raise InputError(f"{call} takes no {name}: the errors of inputs are recorded, and vectors are float32")
    checked = kind(**options)
    return {name: getattr(checked, name) for name in options}


def model_name(model: Any) -> str | None:
    """The name of a checkpoint, which holds in any folder.

    Raises:
        InputError: it is not a name.
    """
    if model is None:
        return None
    if not isinstance(model, str | os.PathLike):
        raise InputError(
            f"model must be the name of a checkpoint, which each worker loads, got {type(model).__name__}: save it "
            "with save_pretrained, and give the folder"
        )
    name = os.fspath(model)
    return os.path.abspath(name) if name != DEMO and os.path.isdir(name) else name
