"""The arguments `padding`, `truncation`, `max_length` and `pad_to_multiple_of`, checked and made plain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index

from ..errors import InputError
from .inputs import shown
from .truncation import STRATEGIES

UNLIMITED = int(1e30)  # HF's model_max_length where none is known
_NO_LIMIT_ABOVE = int(1e20)  # HF takes anything larger for "none"

SIDES = ("right", "left")


@dataclass(frozen=True)
class Limits:
    """How long rows may and must be.

    Args:
        max_length: the longest row where `truncation` is on, and the target of padding to "max_length".
        truncation: one of HF's strategies, or None.
        padding: "longest", "max_length" or None.
        multiple: padded rows get a length that this divides.
    """

    max_length: int | None
    truncation: str | None
    padding: str | None
    multiple: int | None

    def padded_length(self, lengths: Sequence[int]) -> int:
        """The length that all rows are padded to; longer rows stay as they are."""
        length = self.max_length if self.padding == "max_length" else max(lengths, default=0)
        assert length is not None, "check_limits leaves no padding to max_length without one"
        if self.multiple:
            length = -(-length // self.multiple) * self.multiple
        return length


def check_limits(
    padding: bool | str,
    truncation: bool | str | None,
    max_length: int | None,
    multiple: int | None,
    model_max_length: int | float | None,
) -> Limits:
    """Read the four arguments as HF reads them.

    `max_length` alone turns truncation on ("longest_first"), unless truncation=False says otherwise. Without
    `max_length` the model's is used; where that is unknown too, there is no truncation and no padding to it.

    Raises:
        InputError: a value that is none of HF's, or a max_length that the padding would go beyond.
    """
    model_max_length = check_length("model_max_length", model_max_length)
    max_length = check_count("max_length", max_length) if max_length is not None else None
    multiple = check_count("pad_to_multiple_of", multiple) if multiple is not None else None
    if truncation is None and padding is False and max_length is not None:
        truncation = True
    cut = _choice("truncation", truncation, {True: "longest_first", **{name: name for name in STRATEGIES}})
    pad = _choice("padding", padding, {True: "longest", "longest": "longest", "max_length": "max_length"})
    if max_length is None and model_max_length > _NO_LIMIT_ABOVE:
        cut = None
        pad = None if pad == "max_length" else pad
    elif max_length is None and (cut or pad == "max_length"):
        max_length = model_max_length
    if cut and pad and multiple and max_length is not None and max_length % multiple:
        raise InputError(
            f"max_length={max_length} is no multiple of pad_to_multiple_of={multiple}, so that truncated rows would be "
            f"padded beyond it; use max_length={max_length // multiple * multiple or multiple}"
        )
    return Limits(max_length, cut, pad, multiple)


def check_count(name: str, value: object, least: int = 1) -> int:
    """Let integers through, NumPy's too, that are at least `least`."""
    try:
        number = index(value)  # type: ignore[arg-type]  # what has no index is the error
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise InputError(f"{name} must be an integer of at least {least}, got {shown(value)}")
    return number


def check_length(name: str, value: object) -> int:
    """Let a length through: an integer, or as in HF a whole float such as 1e30, or None for no limit."""
    if value is None:
        return UNLIMITED
    return check_count(name, int(value) if isinstance(value, float) and value.is_integer() else value)


def check_side(name: str, side: str) -> str:
    """Let "right" and "left" through."""
    if side not in SIDES:
        raise InputError(f'{name} must be "right" or "left", got {shown(side)}')
    return side


def _choice(name: str, value: bool | str | None, choices: dict[bool | str, str]) -> str | None:
    if isinstance(value, str):
        value = str.__str__(value)  # of HF's PaddingStrategy and TruncationStrategy, which are strings too
    elif hasattr(value, "dtype") and getattr(value, "ndim", None) == 0:
        value = bool(value)  # of NumPy
    if value is None or value is False or (isinstance(value, str) and value in ("do_not_pad", "do_not_truncate")):
        return None
    if not isinstance(value, (bool, str)) or value not in choices:
        allowed = ", ".join(repr(choice) for choice in [*choices, False])
        raise InputError(f"{name} must be one of {allowed}, got {shown(value)}")
    return choices[value]
