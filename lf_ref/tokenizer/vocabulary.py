"""The tokens of a tokenizer: ids and strings both ways, added tokens, and the tokens with a role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import index
from typing import Any, SupportsIndex, overload

from ..errors import InputError
from .added import AddedToken, AddedTokens
from .sequence import TextEncoder

# HF's order, which is also the order in which tokens that a vocabulary lacks are added to it.
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class _Role:
    """The token of a role, as a string, or None where the role is not filled."""

    def __set_name__(self, owner: type[Vocabulary], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, vocabulary: None, owner: type[Vocabulary]) -> _Role: ...

    @overload
    def __get__(self, vocabulary: Vocabulary, owner: type[Vocabulary]) -> str | None: ...

    def __get__(self, vocabulary: Vocabulary | None, owner: type[Vocabulary]) -> _Role | str | None:
        if vocabulary is None:
            return self
        token = vocabulary.roles[self._name]
        return None if token is None else token.content

    def __set__(self, vocabulary: Vocabulary, value: str | AddedToken | None) -> None:
        if value is None:
            vocabulary.roles[self._name] = None
            return
        token = as_role(self._name, value)
        if vocabulary.id_of(token.content) is None:
            raise InputError(
                f"{self._name} cannot be {token.content!r}, which is not in the vocabulary; add it with "
                f"add_special_tokens({{{self._name!r}: {token.content!r}}}), and give the model an embedding for it"
            )
        vocabulary.roles[self._name] = token


class _RoleId:
    """The id of the token of a role, or None where the role is not filled."""

    def __set_name__(self, owner: type[Vocabulary], name: str) -> None:
        self._name = name.removesuffix("_id")

    @overload
    def __get__(self, vocabulary: None, owner: type[Vocabulary]) -> _RoleId: ...

    @overload
    def __get__(self, vocabulary: Vocabulary, owner: type[Vocabulary]) -> int | None: ...

    def __get__(self, vocabulary: Vocabulary | None, owner: type[Vocabulary]) -> _RoleId | int | None:
        if vocabulary is None:
            return self
        token = vocabulary.roles[self._name]
        return None if token is None else vocabulary.id_of(token.content)

    def __set__(self, vocabulary: Vocabulary, value: int | None) -> None:
        setattr(vocabulary, self._name, None if value is None else vocabulary.convert_ids_to_tokens(value))


def as_role(name: str, value: str | AddedToken) -> AddedToken:
    """The token that a string means for a role: `<mask>` takes the space before it along, the others do not."""
    if isinstance(value, AddedToken):
        return replace(value, special=True)
    if not isinstance(value, str):
        raise InputError(f"{name} must be a string, an AddedToken or None, got {value!r}")
    # The tokens but <mask> are `normalized` as in HF, where that decides nothing but which is looked for first.
    is_mask = name == "mask_token"
    return AddedToken(value, lstrip=is_mask, normalized=not is_mask, special=True)


class Vocabulary:
    """Tokens and ids. A base of `LongformerTokenizer`, with HF's names.

    Args:
        encoder: the vocabulary and its options.
        roles: the token of every role of `ROLES`, None for a role that is not filled.
        additional: further special tokens.
    """

    bos_token, eos_token, unk_token, sep_token = _Role(), _Role(), _Role(), _Role()
    pad_token, cls_token, mask_token = _Role(), _Role(), _Role()
    bos_token_id, eos_token_id, unk_token_id, sep_token_id = _RoleId(), _RoleId(), _RoleId(), _RoleId()
    pad_token_id, cls_token_id, mask_token_id = _RoleId(), _RoleId(), _RoleId()

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self.roles: dict[str, AddedToken | None] = dict.fromkeys(ROLES)
        self._additional: list[AddedToken] = []

    @property
    def vocab_size(self) -> int:
        """Tokens of the vocabulary file, without those added to it."""
        return len(self._encoder.pairs.vocab)

    def __len__(self) -> int:
        """Return the number of all tokens."""
        vocab = self._encoder.pairs.vocab
        return len(vocab) + sum(content not in vocab for content in self._encoder.added.id_of)

    def __bool__(self) -> bool:
        """A tokenizer is true, whatever its vocabulary."""
        return True

    def get_vocab(self) -> dict[str, int]:
        """All tokens, written in the byte alphabet, with their ids."""
        return {**self._encoder.pairs.vocab, **self._encoder.added.id_of}

    def get_added_vocab(self) -> dict[str, int]:
        """The added tokens with their ids."""
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
        """The id of `token`, None where there is none."""
        token_id = self._encoder.added.id_of.get(token)
        return self._encoder.pairs.vocab.get(token) if token_id is None else token_id

    @overload
    def convert_tokens_to_ids(self, tokens: str) -> int | None: ...  # type: ignore[overload-overlap]

    @overload
    def convert_tokens_to_ids(self, tokens: Iterable[str]) -> list[int | None]: ...

    def convert_tokens_to_ids(self, tokens: str | Iterable[str]) -> int | list[int | None] | None:
        """The id of a token, or of each of several tokens; of an unknown one that of `unk_token`."""
        if isinstance(tokens, str):
            token_id = self.id_of(tokens)
            return self.unk_token_id if token_id is None else token_id
        return [self.convert_tokens_to_ids(token) for token in tokens]

    @overload
    def convert_ids_to_tokens(self, ids: SupportsIndex, skip_special_tokens: bool = False) -> str: ...

    @overload
    def convert_ids_to_tokens(self, ids: Iterable[SupportsIndex], skip_special_tokens: bool = False) -> list[str]: ...

    def convert_ids_to_tokens(
        self, ids: SupportsIndex | Iterable[SupportsIndex], skip_special_tokens: bool = False
    ) -> str | list[str]:
        """The token of an id, or of each of several ids; skip_special_tokens leaves special ones of several out.

        Raises:
            InputError: an id that no token has (HF gives None).
        """
        if not isinstance(ids, Iterable):
            return self._tokens(as_ids([ids]))[0]
        numbers = as_ids(ids)
        if skip_special_tokens:
            left_out = set(self.all_special_ids)
            numbers = [number for number in numbers if number not in left_out]
        return self._tokens(numbers)

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
        """Special tokens without a role."""
        return [token.content for token in self._additional]

    @property
    def additional_special_tokens_ids(self) -> list[int | None]:
        """The ids of the special tokens without a role."""
        return self.convert_tokens_to_ids(self.additional_special_tokens)

    @property
    def all_special_tokens(self) -> list[str]:
        """The tokens with a role and the additional special tokens, each once."""
        with_role = [token.content for token in self.roles.values() if token is not None]
        return list(dict.fromkeys(with_role + self.additional_special_tokens))

    @property
    def all_special_ids(self) -> list[int | None]:
        """The ids of `all_special_tokens`."""
        return self.convert_tokens_to_ids(self.all_special_tokens)

    @property
    def special_tokens_map(self) -> dict[str, str | list[str]]:
        """The token of every role that is filled, and the additional ones."""
        tokens: dict[str, str | list[str]] = {
            name: token.content for name, token in self.roles.items() if token is not None
        }
        if self._additional:
            tokens["additional_special_tokens"] = self.additional_special_tokens
        return tokens

    def add_tokens(
        self, new_tokens: str | AddedToken | Sequence[str | AddedToken], special_tokens: bool = False
    ) -> int:
        """Cut these strings out of every text from now on, each as a token of its own.

        A string that the vocabulary has keeps its id; others get ids from the end of the vocabulary on, for which
        the model needs embeddings.

        Args:
            new_tokens: one, or several.
            special_tokens: whether strings among them are special, which decoding can leave out.

        Returns:
            How many of them were not added tokens before, with the same options.

        Raises:
            InputError: a token is empty or no text.
        """
        if isinstance(new_tokens, (str, AddedToken)):
            new_tokens = [new_tokens]
        return self._register(
            replace(token, special=token.special or special_tokens)
            if isinstance(token, AddedToken)
            else AddedToken(token, special=special_tokens)
            for token in new_tokens
        )

    def add_special_tokens(
        self,
        special_tokens_dict: Mapping[str, str | AddedToken | Sequence[str | AddedToken]],
        replace_additional_special_tokens: bool = True,
    ) -> int:
        """Give tokens a role, or make them additional special tokens, adding those that are new.

        Args:
            special_tokens_dict: a token for each of some roles ("mask_token", ...), or several for
                "additional_special_tokens". As in HF, a string given here does not take white space along.
            replace_additional_special_tokens: False keeps the additional special tokens that there are; those
                that are replaced stay added tokens.

        Returns:
            What `add_tokens` returns.

        Raises:
            InputError: tokens without a role, a role that there is not, several tokens for one role, or a token that
                is empty or no text.
        """
        if not isinstance(special_tokens_dict, Mapping):
            raise InputError(
                "special tokens are given with their roles, such as {'additional_special_tokens': ['<q>']}, got "
                f"{special_tokens_dict!r:.80}"
            )
        found: list[AddedToken] = []
        roles: dict[str, AddedToken] = {}
        additional = self._additional
        for name, value in special_tokens_dict.items():
            several = [value] if isinstance(value, (str, AddedToken)) else list(value)
            tokens = [
                replace(v, special=True) if isinstance(v, AddedToken) else AddedToken(v, special=True) for v in several
            ]
            if name == "additional_special_tokens":
                kept = [] if replace_additional_special_tokens else self._additional
                additional = [*kept, *(token for token in tokens if token not in kept)]
            elif name in ROLES and len(tokens) == 1:
                roles[name] = tokens[0]
            else:
                raise InputError(
                    f"special tokens are given by role, one token for each of {', '.join(ROLES)} and any number for "
                    f"additional_special_tokens; got {name!r}: {value!r}"
                )
            found += tokens
        added = self._register(found)
        self.roles.update(roles)
        self._additional = additional
        return added

    def _fill_roles(self, roles: Mapping[str, str | AddedToken | None], additional: Sequence[str | AddedToken]) -> None:
        """Give tokens their roles, adding those that the vocabulary does not have."""
        for name, value in roles.items():
            token = None if value is None else as_role(name, value)
            if isinstance(value, str) and name != "mask_token" and value in self._encoder.added.id_of:
                token = self._encoder.added.by_id[self._encoder.added.id_of[value]]
            self.roles[name] = token
        self._additional = [
            replace(token, special=True) if isinstance(token, AddedToken) else AddedToken(token, special=True)
            for token in additional
        ]
        self._register([*(token for token in self.roles.values() if token is not None), *self._additional])

    def _register(self, tokens: Iterable[AddedToken]) -> int:
        """Make these added tokens, in order; of one that came before, with the same options, nothing is made."""
        pairs, added = self._encoder.pairs, self._encoder.added
        by_id, id_of, seen = dict(added.by_id), dict(added.id_of), set(added.by_id.values())
        free = max(len(pairs.vocab), max(by_id, default=-1) + 1)
        fresh = [token for token in dict.fromkeys(tokens) if token not in seen]
        for token in fresh:
            token_id = id_of.get(token.content, pairs.vocab.get(token.content))
            if token_id is None:
                while free in pairs.token_of:  # only where the ids of the vocabulary have gaps
                    free += 1
                token_id, free = free, free + 1
            by_id[token_id] = token
            id_of[token.content] = token_id
        special = added.special.union(token.content for token in fresh if token.special)
        self._encoder = replace(self._encoder, added=AddedTokens(by_id, special))
        return len(fresh)


def as_ids(ids: Any) -> list[int]:
    """A list of ids from anything that yields integers, arrays too."""
    try:
        return [index(token_id) for token_id in ids]
    except TypeError:
        raise InputError(f"ids must be integers in one sequence, got {ids!r:.80}") from None
