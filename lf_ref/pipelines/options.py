"""The options of a task: checked once, at the call; unknown names are errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np

from ..errors import InputError
from ..hf_names import Fixed, HFNames, Ignored, accepts, translate, unknown_name
from ..tokenizer.arguments import check_count
from ..tokenizer.encoding.limits import check_limits
from ..tokenizer.encoding.truncation import STRATEGIES

Chosen = TypeVar("Chosen", bound="Options")


SPEED: HFNames = {
    "batch_size": Ignored("batch_tokens= of pipeline() sets the size of batches, and results do not depend on it"),
    "num_workers": Ignored("num_threads= of pipeline() sets the number of threads"),
}
_BUILDING = (
    "batch_tokens", "quiet", "dtype", "torch_dtype", "backend", "num_threads", "model", "config", "tokenizer",
    "revision", "token", "device", "device_map", "framework", "model_kwargs",
)  # fmt: skip
# HF gives the tokenizer's arguments in these; here they stand by themselves.
_PACKED = ("tokenizer_kwargs", "tokenize_kwargs")


@accepts()
@dataclass(frozen=True)
class Options:
    """The options of every task. Names are those of HF's pipelines, where HF has such an option.

    Args:
        truncation: cut a text that is too long, at the tokenizer's truncation_side: True, or a strategy of HF's. By
            default only where max_length is given, as in HF; else it is an error if the model does not take it.
        max_length: the longest input in tokens, special tokens included. By default the smaller one of the tokenizer's
            model_max_length and the limit of the model.
        padding: as in HF. Results do not depend on it, but with padding max_length alone cuts nothing.
        on_error: "stop" raises the InputError of an input that does not fit; "record" returns it in place of the
            result, and goes on.

    Raises:
        InputError: an option has a value that makes no sense.
    """

    truncation: bool | str | None = None
    max_length: int | None = None
    padding: bool | str = False
    on_error: str = "stop"

    # HF's other names, options for which None is not just the default, the option for the overlap of windows, and the
    # strategies of truncation, of which the first is what True means.
    hf_names: ClassVar[HFNames] = {
        **SPEED,
        **{
            name: Fixed((), f"pass it when building the pipeline, pipeline(task, model, {name}=...)")
            for name in _BUILDING
        },
        "add_special_tokens": Fixed((True,), "the model needs them"),
        "pad_to_multiple_of": Fixed((None,), "nothing has to be padded to the window"),
    }
    none_counts: ClassVar[tuple[str, ...]] = ("truncation", "max_length")
    stride_option: ClassVar[str] = "stride"
    strategies: ClassVar[tuple[str, ...]] = STRATEGIES
    is_cut_by_hf: ClassVar[bool] = False  # whether HF truncates by default

    def __post_init__(self) -> None:
        cut = self.cut
        if isinstance(self.truncation, str) and cut and cut not in self.strategies:
            raise InputError(
                f"truncation must be True or one of {', '.join(self.strategies)} for this task, got {cut!r}"
            )
        self._set("on_error", check_choice("on_error", self.on_error, ("stop", "record")))

    @property
    def cut(self) -> str | None:
        """The strategy that truncates a text that is too long, one of `strategies`; None for an error."""
        # The length is of no interest yet, but there must be one.
        cut = check_limits(self.padding, self.truncation, self.max_length, None, model_max_length=1).truncation
        return cut if cut is None or isinstance(self.truncation, str) else self.strategies[0]

    @property
    def size_option(self) -> str:
        """The name of the option for the length of a truncated row, and of a window."""
        return "max_length"

    def _set(self, name: str, value: Any) -> None:
        """Replace a field by its checked value."""
        object.__setattr__(self, name, value)


@accepts()
@dataclass(frozen=True)
class StrideOptions(Options):
    """The options of a task that can read a long text in windows, besides those of every task.

    Args:
        stride: read the whole text, in windows of max_length tokens; each repeats the last `stride` tokens of the one
            before it. By default (None) there are no windows, and a text that is too long is an error, or truncated.
    """

    stride: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride is None:
            return
        check_count("stride", self.stride, least=0)
        if self.truncation:
            raise InputError("give either stride=, to read the whole text, or truncation=True, to cut it off; not both")


def read(kind: type[Options], call: str, given: Mapping[str, Any], others: Iterable[str] = ()) -> dict[str, Any]:
    """Options by the names of this package, as plain Python values, without those left at their default.

    call: names the call in messages; others: the other arguments of that call.

    Raises:
        InputError: a name is unknown, and the message has the nearest one; or a name of HF's has an invalid value.
    """
    known = [field.name for field in fields(kind)]
    arguments = _unpacked(call, given)
    for name in arguments:
        if name not in known and name not in kind.hf_names:
            raise unknown_name(call, name, {*known, *kind.hf_names, *others})
    arguments = translate(call, arguments, arguments, kind.hf_names, known)
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in arguments.items()
        if value is not None or name in kind.none_counts
    }


def _unpacked(call: str, given: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {name: value for name, value in given.items() if name not in _PACKED}
    for name in _PACKED:
        packed = given.get(name)
        if packed is None:
            continue
        if not isinstance(packed, Mapping):
            raise InputError(f"{name} must be a dict of options, got {type(packed).__name__}")
        for twice in arguments.keys() & packed.keys():
            raise InputError(f"{call}: {twice} is given by itself and in {name}; give it once")
        arguments |= packed
    return arguments


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> str:
    """The one of these words that the value is, in upper or lower case; other values are errors."""
    word = value.lower() if isinstance(value, str) else None
    if word not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    return word
