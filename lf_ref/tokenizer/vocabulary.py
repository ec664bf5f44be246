"""The vocabulary of a tokenizer: tokens and ids, added tokens and special tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from operator import index
from typing import Any, SupportsIndex, TypeVar, overload

from ..errors import InputError
from ..hf_names import accepts
from .added_token import ROLES, AddedToken, as_role, as_special, ours
from .arguments import as_sequence, as_strings, shown
from .encoding.added_tokens import AddedTokens
from .encoding.sequence import TextEncoder
from .roles import Option, Role, RoleId

_Token = TypeVar("_Token", AddedToken, AddedToken | None)


@accepts()
class Vocabulary:
    """Tokens and ids. A base of `LongformerTokenizer`, with HF's names.

    Args:
        encoder: the vocabulary and its options.
    """

    add_prefix_space, trim_offsets, split_special_tokens = Option(), Option(), Option()

    bos_token, eos_token, unk_token, sep_token = Role(), Role(), Role(), Role()
    pad_token, cls_token, mask_token = Role(), Role(), Role()
    bos_token_id, eos_token_id, unk_token_id, sep_token_id = RoleId(), RoleId(), RoleId(), RoleId()
    pad_token_id, cls_token_id, mask_token_id = RoleId(), RoleId(), RoleId()

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self.roles: dict[str, AddedToken | None] = dict.fromkeys(ROLES)
        self._additional: list[AddedToken] = []
        self._extra: dict[str, AddedToken] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute. The name of an extra special token, also with "_id", sets this token."""
        extra = self.__dict__.get("_extra", {})
        if name.removesuffix("_id") in extra:
            token = as_special(self.convert_ids_to_tokens(value) if name not in extra else value)
            extra[name.removesuffix("_id")] = self._known(name, token)
        else:
            super().__setattr__(name, value)

    @property
    def vocab_size(self) -> int:
        """The number of tokens in the vocabulary file, without added tokens."""
        return len(self._encoder.pairs.vocab)

    def __len__(self) -> int:
        """Return the number of all tokens."""
        vocab = self._encoder.pairs.vocab
        return len(vocab) + sum(content not in vocab for content in self._encoder.added.id_of)

    def __bool__(self) -> bool:
        """Return True, whatever the vocabulary."""
        return True

    def get_vocab(self) -> dict[str, int]:
        """Return all tokens, written in the byte alphabet, with their ids."""
        return {**self._encoder.pairs.vocab, **self._encoder.added.id_of}

    def get_added_vocab(self) -> dict[str, int]:
        """Return the added tokens with their ids."""
        return dict(self._encoder.added.id_of)

    @property
    def added_tokens_encoder(self) -> dict[str, int]:
        """The added tokens with their ids."""
        return self.get_added_vocab()

    @property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by their ids."""
        return dict(self._encoder.added.by_id)

    def id_of(self, token: str) -> int | None:
        """Return the id of `token`, None if it has none."""
        token_id = self._encoder.added.id_of.get(token)
        return self._encoder.pairs.vocab.get(token) if token_id is None else token_id

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int | None: ...  # type: ignore[overload-overlap]

    @overload
    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int | None]: ...

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int | None] | None:
        """Return the id of the token `tokens`, or those of several; an unknown token gets the id of `unk_token`.

        Raises:
            InputError: a token is not a string.
        """
        if isinstance(tokens, str):
            token_id = self.id_of(tokens)
            return self.unk_token_id if token_id is None else token_id
        ids = [self.id_of(token) for token in as_strings("tokens", tokens)]
        return [self.unk_token_id if token_id is None else token_id for token_id in ids]

    @overload
    def convert_ids_to_tokens(self, ids: SupportsIndex, skip_special_tokens: bool = False) -> str: ...

    @overload
    def convert_ids_to_tokens(self, ids: Iterable[SupportsIndex], skip_special_tokens: bool = False) -> list[str]: ...

    def convert_ids_to_tokens(
        self, ids: SupportsIndex | Iterable[SupportsIndex], skip_special_tokens: bool = False
    ) -> str | list[str]:
        """Return the token of the id `ids`, or those of several; skip_special_tokens omits the special ones of several.

        Raises:
            InputError: no token has the id (HF gives None).
        """
        if is_one(ids):
            return self._tokens(as_ids([ids]))[0]
        several = as_ids(ids)
        if skip_special_tokens:
            special = set(self.all_special_ids)
            several = [token_id for token_id in several if token_id not in special]
        return self._tokens(several)

    def _tokens(self, ids: list[int]) -> list[str]:
        tokens = [self._encoder.token(token_id) for token_id in ids]
        known = [token for token in tokens if token is not None]
        if len(known) < len(tokens):
            raise self._unknown_id(ids)
        return known

    def _unknown_id(self, ids: Sequence[int]) -> InputError:
        at, token_id = next((at, i) for at, i in enumerate(ids) if self._encoder.token(i) is None)
        return InputError(f"id {token_id} at position {at} is not in the vocabulary of {len(self)} tokens")

    @property
    def additional_special_tokens(self) -> list[str]:
        """Special tokens without a role. It can be set to tokens of the vocabulary."""
        return [token.content for token in self._additional]

    @additional_special_tokens.setter
    def additional_special_tokens(self, tokens: Sequence[str | AddedToken] | None) -> None:
        name = "additional_special_tokens"
        several = () if tokens is None else _several(name, tokens)
        self._additional = [self._known(name, as_special(token)) for token in several]

    @property
    def additional_special_tokens_ids(self) -> list[int | None]:
        """The ids of the special tokens without a role. It can be set."""
        return self.convert_tokens_to_ids(self.additional_special_tokens)

    @additional_special_tokens_ids.setter
    def additional_special_tokens_ids(self, ids: Iterable[SupportsIndex] | None) -> None:
        self.additional_special_tokens = self.convert_ids_to_tokens([] if ids is None else ids)

    @property
    def extra_special_tokens(self) -> dict[str, str]:
        """Special tokens by the name of their own role, which is also an attribute."""
        return {name: token.content for name, token in self._extra.items()}

    @property
    def special_tokens_map_extended(self) -> dict[str, AddedToken | list[AddedToken]]:
        """`special_tokens_map`, with `AddedToken` in place of strings."""
        tokens: dict[str, AddedToken | list[AddedToken]] = {
            name: token for name, token in self.roles.items() if token is not None
        }
        return tokens | ({"additional_special_tokens": [*self._additional]} if self._additional else {}) | self._extra

    @property
    def all_special_tokens_extended(self) -> list[AddedToken]:
        """`all_special_tokens`, with `AddedToken` in place of strings."""
        tokens: dict[str, AddedToken] = {}
        for token in [*self.roles.values(), *self._additional, *self._extra.values()]:
            if token is not None:
                tokens.setdefault(token.content, token)
        return list(tokens.values())

    @property
    def all_special_tokens(self) -> list[str]:
        """The tokens with a role, the additional and the extra special tokens, each once."""
        return [token.content for token in self.all_special_tokens_extended]

    @property
    def all_special_ids(self) -> list[int | None]:
        """The ids of `all_special_tokens`."""
        return self.convert_tokens_to_ids(self.all_special_tokens)

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """The token of every role that has one, and the additional and extra special tokens."""
        return {
            name: value.content if isinstance(value, AddedToken) else [token.content for token in value]
            for name, value in self.special_tokens_map_extended.items()
        }

    def add_tokens(
        self, new_tokens: str | AddedToken | Sequence[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Add tokens, each of which becomes one token wherever a text contains it.

        A string of the vocabulary keeps its id. Others get new ids after the vocabulary, for which the model needs
        embeddings.

        Args:
            new_tokens: a token, or a list of tokens.
            special_tokens: make strings special tokens, which decoding can omit.

        Returns:
            The number of tokens that are new, or have new options.

        Raises:
            InputError: a token is empty or not a string, or tokens have no order.
        """
        tokens = [new_tokens] if isinstance(new_tokens, str) else _several("new_tokens", new_tokens)
        return self._register(
            replace(token, special=token.special or special_tokens)
            if isinstance(token, AddedToken)
            else AddedToken(token, special=special_tokens)
            for token in tokens
        )

    def add_special_tokens(
        self,
        special_tokens_dict: Mapping[str, str | AddedToken | Sequence[str | AddedToken]],
        replace_additional_special_tokens: bool = True,
    ) -> int:
        """Give tokens a role, or make them additional special tokens, and add those that are new.

        Args:
            special_tokens_dict: a token by role ("mask_token", ...), or several for "additional_special_tokens". As in
                HF, a string given here does not include white space.
            replace_additional_special_tokens: False keeps the present additional special tokens. Replaced ones stay
                added tokens.

        Returns:
            The number of tokens that are new, or have new options.

        Raises:
            InputError: tokens without a role, an unknown role, several tokens for one role, or a token that is empty or
                not a string.
        """
        if not isinstance(special_tokens_dict, Mapping):
            raise InputError(
                "special_tokens_dict must map roles to tokens, such as {'additional_special_tokens': ['<q>']}, got "
                f"{special_tokens_dict!r:.80}"
            )
        found: list[AddedToken] = []
        roles: dict[str, AddedToken] = {}
        extra: dict[str, AddedToken] = {}
        additional = self._additional
        for name, value in special_tokens_dict.items():
            several = [value] if isinstance(value, str) else _several(name, value)
            tokens = [as_special(token) for token in several]
            if name == "additional_special_tokens":
                kept = [] if replace_additional_special_tokens else self._additional
                additional = [*kept, *(token for token in tokens if token not in kept)]
            elif (name in ROLES or name in self._extra) and len(tokens) == 1:
                (extra if name in self._extra else roles)[name] = tokens[0]
            else:
                raise InputError(
                    f"special_tokens_dict must have one token for a role, of {', '.join([*ROLES, *self._extra])}, or a "
                    f"list of tokens for additional_special_tokens; got {name!r}: {shown(value)}"
                )
            found += tokens
        added = self._register(found)
        self.roles.update(roles)
        self._extra.update(extra)
        self._additional = additional
        return added

    def _known(self, name: str, token: _Token) -> _Token:
        """Return a special token of the vocabulary, or None; refuse others."""
        if token is not None and self.id_of(token.content) is None:
            raise InputError(
                f"{name} must be a token of the vocabulary, got {token.content!r}; add it with "
                f"add_special_tokens({{{name!r}: {token.content!r}}}), and give the model an embedding for it"
            )
        return token

    def _fill_roles(
        self,
        roles: Mapping[str, str | AddedToken | None],
        additional: Sequence[str | AddedToken] | None,
        extra: Mapping[str, str | AddedToken],
    ) -> None:
        """Give tokens their roles, and add those that the vocabulary lacks. As in HF, `extra` may name roles."""
        if not isinstance(extra, Mapping):
            raise InputError(
                f"extra_special_tokens must be a mapping from role to token, got {shown(extra)}; give a list of tokens "
                "as additional_special_tokens"
            )
        roles = {name: extra.get(name, value) for name, value in roles.items()}
        for name, value in roles.items():
            token = None if value is None else as_role(name, value)
            if isinstance(value, str) and name != "mask_token" and value in self._encoder.added.id_of:
                token = self._encoder.added.by_id[self._encoder.added.id_of[value]]
            self.roles[name] = token
        by_content = {token.content: token for token in self._encoder.added.by_id.values()}

        def stored(token: str | AddedToken) -> AddedToken:
            return as_special(by_content.get(token, token) if isinstance(token, str) else token)

        several = () if additional is None else _several("additional_special_tokens", additional)
        self._additional = [stored(token) for token in several]
        self._extra = {name: stored(token) for name, token in extra.items() if name not in roles}
        tokens = [*self.roles.values(), *self._additional, *self._extra.values()]
        self._register(token for token in tokens if token is not None)

    def _register(self, tokens: Iterable[AddedToken]) -> int:
        """Add tokens in order, except those added before with the same options; return the number of the others."""
        pairs, added = self._encoder.pairs, self._encoder.added
        by_id, id_of, seen = dict(added.by_id), dict(added.id_of), set(added.by_id.values())
        free = max(len(pairs.vocab), max(by_id, default=-1) + 1)
        fresh = [token for token in dict.fromkeys(tokens) if token not in seen]
        for token in fresh:
            token_id = id_of.get(token.content, pairs.vocab.get(token.content))
            if token_id is None:
                while free in pairs.token_of:  # only if the ids of the vocabulary have gaps
                    free += 1
                token_id, free = free, free + 1
            by_id[token_id] = token
            id_of[token.content] = token_id
        special = added.special.union(token.content for token in fresh if token.special)
        self._encoder = replace(self._encoder, added=AddedTokens(by_id, special))
        return len(fresh)


def _several(name: str, tokens: object) -> list[Any]:
    """Return the tokens of a sequence, or the one token that this is."""
    token = ours(tokens)
    several = [token] if isinstance(token, AddedToken) else as_sequence(name, tokens)
    if several is None:
        raise InputError(f"{name} must be a list of tokens, strings or AddedToken, got {shown(tokens)}")
    return list(map(ours, several))


def is_one(ids: object) -> bool:
    """Return whether `ids` is a single id: an integer, or an array without dimensions."""
    return not isinstance(ids, Iterable) or (hasattr(ids, "shape") and not ids.shape)


def as_ids(ids: Any) -> list[int]:
    """Return a list of ids from an iterable of integers, arrays too."""
    try:
        if not isinstance(ids, Set):  # which has no order
            return [index(token_id) for token_id in ids]
    except TypeError:
        pass
    raise InputError(f"ids must be a list of integers, got {shown(ids)}")
