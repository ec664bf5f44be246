"""Embeddings in the wire formats of text-embeddings-inference and OpenAI."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..embeddings.encoder import SentenceEncoder
from ..errors import InputError
from ..pipelines import Pipeline
from ..pipelines.call import Call
from ..pipelines.rows import TokenIds
from ..reference.ops import Array
from .work import Reader, Sides, Work, check_fields, flag, parameters_of, required, several

_PARAMETERS = ("truncate", "truncation_direction", "prompt_name")
_EMBED = ("inputs", *_PARAMETERS, "normalize", "dimensions")
_OPENAI = ("input", "model", "encoding_format", "dimensions", "user")
_FORMATS = ("float", "base64")


class Embedding:
    """The task embed: texts in, a vector each out, as `SentenceEncoder.encode` gives them.

    encoder: computes them. model_name: the name of the model in responses.
    """

    name = "embed"

    def __init__(self, encoder: SentenceEncoder, model_name: str) -> None:
        self.encoder, self.model_name = encoder, model_name
        self.pipe: Pipeline[Any] = encoder.pipeline
        self._sides = Sides(self.pipe)
        self.readers: Mapping[str, Reader] = {
            "/": self.embed,
            "/embed": self.embed,
            "/similarity": self.similarity,
            "/v1/embeddings": self.openai,
        }

    def info(self) -> dict[str, Any]:
        """The fields of /info that depend on the task."""
        return {
            "model_type": {"embedding": {"pooling": "+".join(self.encoder.modules.modes)}},
            "max_input_length": self.encoder.max_tokens,
            "auto_truncate": True,
        }

    def embed(self, given: Mapping[str, Any]) -> Work:
        """The work of text-embeddings-inference's POST /embed.

        Raises:
            InputError: a field is unknown or has an invalid value.
        """
        check_fields(given, _EMBED)
        inputs = _inputs(required(given, "inputs"), "inputs")
        self._check_dimensions(given)
        return Work(self._call(given, normalize=flag(given, "normalize", True)), inputs, _vectors)

    def similarity(self, given: Mapping[str, Any]) -> Work:
        """The work of text-embeddings-inference's POST /similarity, by the measure of the checkpoint.

        Raises:
            InputError: a field is unknown or has an invalid value.
        """
        check_fields(given, ("inputs", "parameters"))
        inputs, parameters = required(given, "inputs"), parameters_of(given)
        check_fields(parameters, _PARAMETERS)
        if not isinstance(inputs, dict):
            raise InputError(
                f"inputs must be an object with source_sentence and sentences, got {type(inputs).__name__}"
            )
        check_fields(inputs, ("source_sentence", "sentences"))
        source = required(inputs, "source_sentence")
        sentences = several(required(inputs, "sentences"), "sentences")

        def respond(results: list[Any], tokens: int) -> Any:
            return self.encoder.similarity(results[0], np.stack(results[1:]))[0]

        return Work(self._call(parameters), [source, *sentences], respond)

    def openai(self, given: Mapping[str, Any]) -> Work:
        """The work of OpenAI's POST /v1/embeddings. Vectors have length 1, as OpenAI's do.

        Raises:
            InputError: a field is unknown or has an invalid value.
        """
        check_fields(given, _OPENAI)
        inputs = _inputs(required(given, "input"), "input")
        self._check_dimensions(given)
        form = given.get("encoding_format")
        if form not in (None, *_FORMATS):
            raise InputError(f"encoding_format must be one of {', '.join(_FORMATS)}, got {form!r:.80}")

        def respond(results: list[Any], tokens: int) -> Any:
            data = [
                {"object": "embedding", "index": index, "embedding": _base64(vector) if form == "base64" else vector}
                for index, vector in enumerate(results)
            ]
            usage = {"prompt_tokens": tokens, "total_tokens": tokens}
            return {"object": "list", "data": data, "model": self.model_name, "usage": usage}

        return Work(self._call({}, normalize=True), inputs, respond)

    def _call(self, given: Mapping[str, Any], **options: Any) -> Call:
        truncate = flag(given, "truncate")
        if truncate is False:  # without a length the model's own would hold, which may be more than the encoder's
            options |= {"truncation": False, "max_length": self.encoder.max_tokens}
        prompt_name = given.get("prompt_name")
        return Call.of(self._sides.of(given), return_tensors=True, prompt_name=prompt_name, **options)

    def _check_dimensions(self, given: Mapping[str, Any]) -> None:
        wanted, width = given.get("dimensions"), self.encoder.embedding_dimension
        if wanted not in (None, width) or isinstance(wanted, bool):
            raise InputError(f"dimensions must be {width}, the length of this model's vectors, got {wanted!r:.80}")


def _inputs(given: Any, name: str) -> Any:
    """A text or ids of tokens as one input, several in a list."""
    if isinstance(given, str):
        return given
    found = several(given, name)
    if all(isinstance(one, int) for one in found):
        return TokenIds(found)
    return [TokenIds(one) if isinstance(one, list) else one for one in found]


def _vectors(results: list[Any], tokens: int) -> Any:
    return results


def _base64(vector: Array) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
