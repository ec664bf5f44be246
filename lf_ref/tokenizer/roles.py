"""Attributes of a tokenizer that can be set: special tokens such as `mask_token`, their ids, and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol, SupportsIndex, overload

from ..errors import InputError
from ..hf_names import check_flag
from .added_token import AddedToken, as_role
from .arguments import as_sequence, shown
from .encoding.sequence import TextEncoder


class Tokens(Protocol):
    """The interface that the attributes need from their class."""

    roles: dict[str, AddedToken | None]
    _encoder: TextEncoder

    def id_of(self, token: str) -> int | None:
        """Return the id of a token, None if it has none."""

    def convert_ids_to_tokens(self, ids: SupportsIndex) -> str:
        """Return the token of an id."""

    def _known(self, name: str, token: AddedToken | None) -> AddedToken | None:
        """Return a token of the vocabulary, or None; refuse others."""


class Role:
    """The token of a role as a string, or None if no token has the role."""

    def __set_name__(self, owner: type[Tokens], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, tokens: None, owner: type[Tokens]) -> Role: ...

    @overload
    def __get__(self, tokens: Tokens, owner: type[Tokens]) -> str | None: ...

    def __get__(self, tokens: Tokens | None, owner: type[Tokens]) -> Role | str | None:
        if tokens is None:
            return self
        token = tokens.roles[self._name]
        return None if token is None else token.content

    def __set__(self, tokens: Tokens, value: str | AddedToken | None) -> None:
        token = None if value is None else as_role(self._name, value)
        tokens.roles[self._name] = tokens._known(self._name, token)


class Option:
    """An option of the `TextEncoder`. Setting it makes a new encoder, so that earlier results keep theirs."""

    def __set_name__(self, owner: type[Tokens], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, tokens: None, owner: type[Tokens]) -> Option: ...

    @overload
    def __get__(self, tokens: Tokens, owner: type[Tokens]) -> bool: ...

    def __get__(self, tokens: Tokens | None, owner: type[Tokens]) -> Option | bool:
        return self if tokens is None else bool(getattr(tokens._encoder, self._name))

    def __set__(self, tokens: Tokens, value: bool) -> None:
        check_flag(self._name, value)
        tokens._encoder = replace(tokens._encoder, **{self._name: bool(value)})  # type: ignore[arg-type]


class Names:
    """The names of the values that a call returns by default; on the class, HF's default."""

    def __get__(self, tokens: Tokens | None, owner: type[Tokens]) -> list[str]:
        names: list[str] = [] if tokens is None else vars(tokens).get("model_input_names", [])
        return names or ["input_ids", "attention_mask"]

    def __set__(self, tokens: Tokens, value: Sequence[str]) -> None:
        names = as_sequence("model_input_names", value)
        if names is None:
            raise InputError(f"model_input_names must be a list of names, got {shown(value)}")
        vars(tokens)["model_input_names"] = names


class RoleId:
    """The id of the token of a role, or None if no token has the role."""

    def __set_name__(self, owner: type[Tokens], name: str) -> None:
        self._name = name.removesuffix("_id")

    @overload
    def __get__(self, tokens: None, owner: type[Tokens]) -> RoleId: ...

    @overload
    def __get__(self, tokens: Tokens, owner: type[Tokens]) -> int | None: ...

    def __get__(self, tokens: Tokens | None, owner: type[Tokens]) -> RoleId | int | None:
        if tokens is None:
            return self
        token = tokens.roles[self._name]
        return None if token is None else tokens.id_of(token.content)

    def __set__(self, tokens: Tokens, value: int | None) -> None:
        setattr(tokens, self._name, None if value is None else tokens.convert_ids_to_tokens(value))
