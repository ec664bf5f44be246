"""Check the arguments that determine the lengths of rows: padding, truncation, max_length, pad_to_multiple_of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InputError
from ..arguments import check_count, shown
from .truncation import STRATEGIES

UNLIMITED = int(1e30)  # HF's model_max_length if none is known
_NO_LIMIT_ABOVE = int(1e20)  # HF treats anything larger as no limit

SIDES = ("right", "left")


@dataclass(frozen=True)
class Limits:
    """The lengths of rows.

    Args:
        max_length: the longest row if `truncation` is on, and the target of padding to "max_length".
        truncation: one of HF's strategies, or None.
        padding: "longest", "max_length" or None.
        multiple: padded rows get a multiple of this length.
    """

    max_length: int | None
    truncation: str | None
    padding: str | None
    multiple: int | None

    def padded_length(self, lengths: Sequence[int]) -> int:
        """Return the length that rows are padded to; longer rows do not change."""
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
    """Return the four arguments as HF reads them.

    `max_length` alone turns truncation on ("longest_first"), unless truncation=False. Without `max_length` the model's
    is used; if that is unknown too, there is no truncation and no padding to it.

    Raises:
        InputError: a value that HF does not know, or a max_length that padding would exceed.
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
            f"max_length must be a multiple of pad_to_multiple_of={multiple} to limit padded rows, got {max_length}; "
            f"use max_length={max_length // multiple * multiple or multiple}"
        )
    return Limits(max_length, cut, pad, multiple)


def check_length(name: str, value: object) -> int:
    """Return a length: an integer, or as in HF a float without a fraction such as 1e30, or None for no limit."""
    if value is None:
        return UNLIMITED
    return check_count(name, int(value) if isinstance(value, float) and value.is_integer() else value)


def check_side(name: str, side: str) -> str:
    """Return a side, "right" or "left"; refuse others."""
    if side not in SIDES:
        raise InputError(f'{name} must be "right" or "left", got {shown(side)}')
    return side


def _choice(name: str, value: bool | str | None, choices: dict[bool | str, str]) -> str | None:
    if isinstance(value, str):
        value = str.__str__(value)  # HF's PaddingStrategy and TruncationStrategy are strings
    elif hasattr(value, "dtype") and getattr(value, "ndim", None) == 0:
        value = bool(value)  # a bool of NumPy
    if value is None or value is False or (isinstance(value, str) and value in ("do_not_pad", "do_not_truncate")):
        return None
    if not isinstance(value, (bool, str)) or value not in choices:
        allowed = ", ".join(repr(choice) for choice in [*choices, False])
        raise InputError(f"{name} must be one of {allowed}, got {shown(value)}")
    return choices[value]
