"""The arguments of a model's call, each named once: those of all classes, and those of single ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypedDict, TypeVar

from numpy.typing import ArrayLike

from ..errors import InputError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Given = ArrayLike | None


class _Tokens(TypedDict, total=False):
    input_ids: Given
    attention_mask: Given
    global_attention_mask: Given
    token_type_ids: Given
    position_ids: Given
    inputs_embeds: Given


class _Labels(TypedDict, total=False):
    labels: Given


class _Answers(TypedDict, total=False):
    start_positions: Given
    end_positions: Given


class _Kept(TypedDict, total=False):
    output_attentions: bool | None
    output_hidden_states: bool | None


class _Places(TypedDict, total=False):
    logits_at: Given


class EncoderInputs(_Tokens, _Kept, total=False):
    """Arguments of `LongformerModel`."""


class LabelledInputs(_Tokens, _Labels, _Kept, total=False):
    """Arguments of the classifiers of texts and of tokens."""


class MaskedLMInputs(LabelledInputs, _Places, total=False):
    """Arguments of `LongformerForMaskedLM`."""


class AnswerInputs(_Tokens, _Answers, _Kept, total=False):
    """Arguments of `LongformerForQuestionAnswering`."""


class ChoiceInputs(TypedDict, total=False):
    """Arguments of `LongformerForMultipleChoice`, in HF's order for this class."""

    input_ids: Given
    token_type_ids: Given
    attention_mask: Given
    global_attention_mask: Given
    labels: Given
    position_ids: Given
    inputs_embeds: Given
    output_attentions: bool | None
    output_hidden_states: bool | None


def call_with(
    inputs: type[Any], positional: int
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Give a call `(self, *args, return_dict, **inputs)` an explicit signature, and pass it all inputs by name.

    inputs: the typed dictionary of the arguments; the first `positional` of them may be passed by position.
    """
    names = list(inputs.__annotations__)
    order = [*names[: names.index("output_hidden_states") + 1], "return_dict"]
    order += [name for name in names if name not in order]
    by_position = names[:positional]

    def parameter(name: str) -> inspect.Parameter:
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if name in by_position else inspect.Parameter.KEYWORD_ONLY
        flag = name.startswith(("output_", "return_"))
        return inspect.Parameter(name, kind, default=None, annotation="bool | None" if flag else "ArrayLike | None")

    def decorate(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        own = inspect.signature(function)

        @wraps(function)
        def call(*args: Parameters.args, **given: Parameters.kwargs) -> Result:
            named: dict[str, Any] = dict(zip(by_position, args[1:], strict=False))
            twice = named.keys() & given.keys()
            if twice:
                raise InputError(f"{', '.join(sorted(twice))} is given twice, by position and by name")
            return function(args[0], **{**named, **given})  # type: ignore[arg-type]

        self_ = own.parameters["self"]
        call.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[self_, *map(parameter, order)]
        )
        return call

    return decorate
