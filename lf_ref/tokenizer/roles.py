"""Attributes that can be set: the special tokens with a role, such as `mask_token`, and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, overload

from ..errors import InputError
from ..hf_names import check_flag
from .added import AddedToken, ours
from .inputs import as_sequence, shown

if TYPE_CHECKING:
    from .vocabulary import Vocabulary

# HF's order, which is also the order in which tokens that a vocabulary lacks are added to it.
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class Role:
    """The token of a role, as a string, or None where the role is not filled."""

    def __set_name__(self, owner: type[Vocabulary], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, vocabulary: None, owner: type[Vocabulary]) -> Role: ...

    @overload
    def __get__(self, vocabulary: Vocabulary, owner: type[Vocabulary]) -> str | None: ...

    def __get__(self, vocabulary: Vocabulary | None, owner: type[Vocabulary]) -> Role | str | None:
        if vocabulary is None:
            return self
        token = vocabulary.roles[self._name]
        return None if token is None else token.content

    def __set__(self, vocabulary: Vocabulary, value: str | AddedToken | None) -> None:
        token = None if value is None else as_role(self._name, value)
        vocabulary.roles[self._name] = vocabulary._known(self._name, token)


class Option:
    """An option of the `TextEncoder`; setting it makes another encoder, so that what was encoded keeps its own."""

    def __set_name__(self, owner: type[Vocabulary], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, vocabulary: None, owner: type[Vocabulary]) -> Option: ...

    @overload
    def __get__(self, vocabulary: Vocabulary, owner: type[Vocabulary]) -> bool: ...

    def __get__(self, vocabulary: Vocabulary | None, owner: type[Vocabulary]) -> Option | bool:
        return self if vocabulary is None else bool(getattr(vocabulary._encoder, self._name))

    def __set__(self, vocabulary: Vocabulary, value: bool) -> None:
        check_flag(self._name, value)
        vocabulary._encoder = replace(vocabulary._encoder, **{self._name: bool(value)})  # type: ignore[arg-type]


class Names:
    """The names of the values that a call returns when it is not told; of the class, the usual ones."""

    def __get__(self, vocabulary: Vocabulary | None, owner: type[Vocabulary]) -> list[str]:
        names: list[str] = [] if vocabulary is None else vocabulary.__dict__.get("model_input_names", [])
        return names or ["input_ids", "attention_mask"]

    def __set__(self, vocabulary: Vocabulary, value: Sequence[str]) -> None:
        names = as_sequence("model_input_names", value)
        if names is None:
            raise InputError(f"model_input_names must be a list of names, got {shown(value)}")
        vocabulary.__dict__["model_input_names"] = names


class RoleId:
    """The id of the token of a role, or None where the role is not filled."""

    def __set_name__(self, owner: type[Vocabulary], name: str) -> None:
        self._name = name.removesuffix("_id")

    @overload
    def __get__(self, vocabulary: None, owner: type[Vocabulary]) -> RoleId: ...

    @overload
    def __get__(self, vocabulary: Vocabulary, owner: type[Vocabulary]) -> int | None: ...

    def __get__(self, vocabulary: Vocabulary | None, owner: type[Vocabulary]) -> RoleId | int | None:
        if vocabulary is None:
            return self
        token = vocabulary.roles[self._name]
        return None if token is None else vocabulary.id_of(token.content)

    def __set__(self, vocabulary: Vocabulary, value: int | None) -> None:
        setattr(vocabulary, self._name, None if value is None else vocabulary.convert_ids_to_tokens(value))


def as_role(name: str, value: str | AddedToken) -> AddedToken:
    """The token that a string means for a role: `<mask>` takes the space before it along, the others do not."""
    value = ours(value)
    if isinstance(value, AddedToken):
        return replace(value, special=True)
    if not isinstance(value, str):
        raise InputError(f"{name} must be a string, an AddedToken or None, got {shown(value)}")
    # The tokens but <mask> are `normalized` as in HF, where that decides nothing but which is looked for first.
    is_mask = name == "mask_token"
    return AddedToken(value, lstrip=is_mask, normalized=not is_mask, special=True)
