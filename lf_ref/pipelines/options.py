"""The options of a task: checked once, when they are given, and refused by name where there is none of that name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..errors import InputError
from ..tokenizer.inputs import half_a_character

Chosen = TypeVar("Chosen", bound="Options")

_BUILDING = "say it when building the pipeline, pipeline(task, model, {name}=...)"
_ONE_KIND = "leave it out: there is only {only} here"
# What to do about names that are no options of a task, though some are arguments of HF's pipelines.
_HINTS = {
    **{
        name: _BUILDING.format(name=name)
        for name in ("batch_tokens", "quiet", "dtype", "backend", "num_threads", "tokenizer", "revision", "token")
    },
    "batch_size": "batch_tokens= of pipeline() says how many tokens are run at once",
    "num_workers": "num_threads= of pipeline() says how many threads compute",
    "torch_dtype": 'dtype="float32" or dtype="float64" of pipeline() says it',
    "device": _ONE_KIND.format(only="the CPU"),
    "device_map": _ONE_KIND.format(only="the CPU"),
    "framework": _ONE_KIND.format(only="NumPy"),
    "use_fast": _ONE_KIND.format(only="one tokenizer, a fast one,"),
    "trust_remote_code": "leave it out: code from a repository is never run",
    "use_auth_token": "token= of pipeline() says it",
    "config": "load the model with it, from_pretrained(..., config=...), and give model= and tokenizer=",
    "model_kwargs": "give dtype=, backend= and num_threads= of pipeline() by themselves",
    "tokenizer_kwargs": "give truncation= and max_length= by themselves",
    "tokenize_kwargs": "give truncation= and max_length= by themselves",
    "padding": "leave it out: texts are padded as their batch needs it, and the results do not depend on it",
    "pad_to_multiple_of": "leave it out: nothing has to be padded to the window",
    "add_special_tokens": "leave it out: the model needs them",
    "topk": "it is called top_k",
    "return_all_scores": "top_k=None gives the scores of all labels",
    "multi_class": "it is called multi_label",
    "grouped_entities": 'aggregation_strategy="simple" groups them',
    "ignore_subwords": 'aggregation_strategy="first" labels whole words',
    "offset_mapping": "leave it out: the tokenizer gives the offsets",
    "data": "give question= and context=",
    "X": "give question= and context=",
}


@dataclass(frozen=True)
class Options:
    """What every task can be told. Names are those of HF's pipelines, where HF has such an option.

    Args:
        truncation: cut a text that is too long at its end. By default it is an error.
        max_length: the longest input in tokens, special tokens included, where it is to be less than the model takes.

    Raises:
        InputError: an option has a value that makes no sense.
    """

    truncation: bool = False
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_flag("truncation", self.truncation)
        if self.max_length is not None:
            check_count("max_length", self.max_length)


def choose(kind: type[Chosen], task: str, given: Mapping[str, Any]) -> Chosen:
    """The options of a task with the given values, the others at their defaults.

    Raises:
        InputError: a name is not among them (they are listed, with the way out where it is a name that HF knows), or a
            value is none it can have.
    """
    known = [field.name for field in fields(kind)]
    for name in given:
        if name not in known:
            hint = f": {_HINTS[name]}" if name in _HINTS else ""
            raise InputError(f"{task} has no option {name!r}{hint}; its options are {', '.join(known)}")
    return kind(**given)


def check_flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, got {value!r}")


def check_count(name: str, value: object, least: int = 1) -> None:
    """Refuse what is not an integer of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} must be an integer of at least {least}, got {value!r}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Refuse what is not one of the words."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


def check_texts(name: str, value: object) -> list[str]:
    """The texts of a list or another collection; an iterator, which can be read only once, is none."""
    if isinstance(value, str | bytes) or not isinstance(value, Collection):
        raise InputError(f"{name} must be a list of texts, got {type(value).__name__}")
    return [check_text(f"each of {name}", text) for text in value]


def check_text(which: str, value: object) -> str:
    """The value, which must be a text, and one that the tokenizer can take: its errors do not know `which`."""
    if not isinstance(value, str):
        raise InputError(f"{which} must be a text (str), got {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{which} has {half_a_character(value, error.start)}") from None
    return value
