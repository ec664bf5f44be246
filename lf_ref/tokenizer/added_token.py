"""Added tokens, and the roles that special tokens have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..errors import InputError
from ..hf_names import accepts
from .arguments import shown

# HF's order, in which tokens that a vocabulary lacks are added to it, too.
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@accepts(checks_flags=False)  # its own check names the token
@dataclass(frozen=True)
class AddedToken:
    """A string that becomes one token wherever a text contains it.

    Args:
        content: the string, also `str(token)`.
        single_word: match only if no letter, mark, digit or connector is next to it.
        lstrip: include the white space on its left, as `<mask>` does.
        rstrip: include the white space on its right.
        normalized: match after the tokens that are not `normalized`. (A Longformer normalizes nothing, so HF's option
            determines this order only.) None: the opposite of `special`.
        special: `decode(..., skip_special_tokens=True)` omits it, and `split_special_tokens` treats it as text.

    Raises:
        InputError: the content is not a string, is empty or holds a lone surrogate, or an option is not true or false.
    """

    content: str
    single_word: bool = False
    lstrip: bool = False
    rstrip: bool = False
    normalized: bool | None = None
    special: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.content, str) or not self.content:
            raise InputError(f"an added token must be a non-empty string, got {shown(self.content)}")
        try:
            self.content.encode()
        except UnicodeEncodeError:
            raise InputError(f"the added token {shown(self.content)} must not contain a lone surrogate") from None
        if self.normalized is None:
            object.__setattr__(self, "normalized", not self.special)
        for option in ("single_word", "lstrip", "rstrip", "normalized", "special"):
            value = getattr(self, option)
            if hasattr(value, "item"):  # a bool of NumPy, which JSON cannot hold
                value = value.item()
                object.__setattr__(self, option, value)
            if not isinstance(value, bool):
                raise InputError(
                    f"{option} of the added token {shown(self.content)} must be true or false, got {shown(value)}"
                )

    def __str__(self) -> str:
        return self.content


def ours(token: Any) -> Any:
    """Return an `AddedToken` of HF as one of this package, and anything else as it is."""
    if type(token).__name__ != "AddedToken" or isinstance(token, AddedToken):
        return token
    return AddedToken(*(getattr(token, option.name) for option in fields(AddedToken)))


def check_decoder(decoder: object) -> dict[int, AddedToken]:
    """Return added tokens by their ids; None for none.

    Raises:
        InputError: it is not a mapping of ids to added tokens.
    """
    tokens = decoder or {}
    if not isinstance(tokens, Mapping) or not all(
        isinstance(token_id, int) and isinstance(ours(token), AddedToken) for token_id, token in tokens.items()
    ):
        raise InputError(f"added_tokens_decoder must map ids to AddedToken, got {shown(decoder)}")
    return {token_id: ours(token) for token_id, token in tokens.items()}


def as_special(token: Any) -> AddedToken:
    """Return a token, or the token of a string, as a special token."""
    token = ours(token)
    return replace(token, special=True) if isinstance(token, AddedToken) else AddedToken(token, special=True)


def as_role(name: str, value: str | AddedToken) -> AddedToken:
    """Return the special token of a role. A string for `mask_token` also matches the space before it."""
    value = ours(value)
    if isinstance(value, AddedToken):
        return replace(value, special=True)
    if not isinstance(value, str):
        raise InputError(f"{name} must be a string, an AddedToken or None, got {shown(value)}")
    # As in HF all tokens but <mask> are `normalized`, which determines only the order of matching.
    is_mask = name == "mask_token"
    return AddedToken(value, lstrip=is_mask, normalized=not is_mask, special=True)
