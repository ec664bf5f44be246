"""The other tasks: text-embeddings-inference's /predict, and the format of HF's Inference Endpoints for every task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import InputError
from ..pipelines import Pipeline
from ..pipelines.call import Call
from .work import Reader, Sides, Work, check_fields, flag, parameters_of, required, several

_PREDICT = ("inputs", "truncate", "truncation_direction", "raw_scores", "parameters")
_CLASSIFICATION, _ZERO_SHOT = "text-classification", "zero-shot-classification"


class Prediction:
    """A task of `pipeline`, with inputs, parameters and results as its call has them.

    pipe: computes them.
    """

    def __init__(self, pipe: Pipeline[Any]) -> None:
        self.pipe, self.name = pipe, pipe.task
        self._sides = Sides(pipe)
        further = {"/predict": self.predict} if self.name == _CLASSIFICATION else {}
        self.readers: Mapping[str, Reader] = {"/": self.generic, **further}

    def info(self) -> dict[str, Any]:
        """The fields of /info that depend on the task."""
        config = self.pipe.model.config
        labels = {"id2label": config.id2label, "label2id": config.label2id}
        return {
            "model_type": {"classifier": labels} if self.name == _CLASSIFICATION else {self.name: {}},
            "max_input_length": self.pipe.lengths(self.pipe.options_class()).size,
            "auto_truncate": False,
        }

    def generic(self, given: Mapping[str, Any]) -> Work:
        """The work of a request with inputs, one or a list, and parameters, which are options of the task.

        Raises:
            InputError: a field or parameter is unknown or has an invalid value.
        """
        check_fields(given, ("inputs", "parameters"))
        inputs, options = required(given, "inputs"), _options(given)
        # InferenceClient takes the first entry of the response, and expects the list of all labels there.
        listed = self.name == _CLASSIFICATION
        if listed:
            options = {"top_k": None, **options}
        if isinstance(inputs, list):
            several(inputs, "inputs")
        alone = not isinstance(inputs, list) and not listed

        def respond(results: list[Any], tokens: int) -> Any:
            shaped = [_entries(found) for found in results] if self.name == _ZERO_SHOT else results
            return shaped[0] if alone else shaped

        return Work(Call.of(self.pipe, **options), inputs, respond)

    def predict(self, given: Mapping[str, Any]) -> Work:
        """The work of text-embeddings-inference's POST /predict: all labels with scores, the best first.

        InferenceClient sends parameters too, as it does to "/".

        Raises:
            InputError: a field is unknown or has an invalid value.
        """
        check_fields(given, _PREDICT)
        inputs = required(given, "inputs")
        function = "none" if flag(given, "raw_scores") else None
        options = {"top_k": None, "function_to_apply": function, "truncation": flag(given, "truncate")}
        call = Call.of(self._sides.of(given), **{**options, **_options(given)})
        batch = isinstance(inputs, list) and bool(inputs) and isinstance(inputs[0], list)

        def respond(results: list[Any], tokens: int) -> Any:
            return results if batch else results[0]

        return Work(call, [_pair(one) for one in inputs] if batch else _pair(inputs), respond)


def _entries(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The labels of a text as InferenceClient expects them, an object each."""
    return [{"label": label, "score": score} for label, score in zip(found["labels"], found["scores"], strict=True)]


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The field parameters, which has options of the task."""
    options = parameters_of(given)
    if "on_error" in options:
        raise InputError("on_error is no parameter of a request: an input that does not fit is refused")
    return options


def _pair(given: Any) -> Any:
    """A text, or a pair of texts as the pipeline takes it."""
    if isinstance(given, str):
        return given
    if not isinstance(given, list) or len(given) not in (1, 2):
        raise InputError(
            'inputs must be a text, a pair ["text", "text"], or a list of lists of one or two texts, [["text"], ...]'
        )
    return {"text": given[0], "text_pair": given[1]} if len(given) == 2 else given[0]
