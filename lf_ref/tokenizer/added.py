"""Added tokens: strings that are cut out of a text whole, before any word is split."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import Any

from ..errors import InputError
from ..hf_names import accepts
from .inputs import shown
from .words import WHITE_SPACE


@accepts()
@dataclass(frozen=True)
class AddedToken:
    """A string that becomes one token wherever it stands in a text.

    Args:
        content: the string; as `str(token)` too.
        single_word: only where no letter, mark, digit or connector touches it.
        lstrip: takes the white space on its left along, as `<mask>` does.
        rstrip: takes the white space on its right along.
        normalized: looked for only in what the tokens that are not `normalized` left over. (A Longformer
            normalizes nothing; what is left of HF's option is this order.) None: not `special`.
        special: left out by `decode(..., skip_special_tokens=True)` and, with `split_special_tokens`, not looked
            for in texts.

    Raises:
        InputError: the content is empty, no string or no text, or an option is not true or false.
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
            raise InputError(
                f"the added token {shown(self.content)} holds a lone surrogate, which no text has"
            ) from None
        if self.normalized is None:
            object.__setattr__(self, "normalized", not self.special)
        for option in ("single_word", "lstrip", "rstrip", "normalized", "special"):
            value = getattr(self, option)
            if not isinstance(value, bool):
                raise InputError(
                    f"{option} of the added token {shown(self.content)} must be true or false, got {shown(value)}"
                )

    def __str__(self) -> str:
        return self.content


def ours(token: Any) -> Any:
    """An `AddedToken` of HF's as one of this package; all else as it is."""
    if type(token).__name__ != "AddedToken" or isinstance(token, AddedToken):
        return token
    return AddedToken(*(getattr(token, option.name) for option in fields(AddedToken)))


def check_decoder(decoder: object) -> dict[int, AddedToken]:
    """Added tokens by their ids; None for none.

    Raises:
        InputError: it is no mapping of ids to added tokens.
    """
    tokens = decoder or {}
    if not isinstance(tokens, Mapping) or not all(
        isinstance(token_id, int) and isinstance(ours(token), AddedToken) for token_id, token in tokens.items()
    ):
        raise InputError(f"added_tokens_decoder must map ids to AddedToken, got {shown(decoder)}")
    return {token_id: ours(token) for token_id, token in tokens.items()}


def as_special(token: Any) -> AddedToken:
    """A token, or that of a string, as a special one."""
    token = ours(token)
    return replace(token, special=True) if isinstance(token, AddedToken) else AddedToken(token, special=True)


# A stretch of text: start, end, and the id of the added token that it is, or None for plain text.
Piece = tuple[int, int, int | None]


class AddedTokens:
    """The added tokens of a tokenizer; adding some makes a new one, so that what was encoded keeps its own.

    Args:
        by_id: the tokens.
        special: strings that are special whatever their token says: as in HF, once special is always special.
    """

    def __init__(self, by_id: Mapping[int, AddedToken] | None = None, special: Iterable[str] = ()) -> None:
        self.by_id: dict[int, AddedToken] = dict(sorted((by_id or {}).items()))
        self.id_of = {token.content: token_id for token_id, token in self.by_id.items()}
        self.special = {*special, *(token.content for token in self.by_id.values() if token.special)}

    def __reduce__(self) -> tuple[type[AddedTokens], tuple[dict[int, AddedToken], set[str]]]:
        return type(self), (self.by_id, self.special)

    @cached_property
    def _finders(self) -> list[re.Pattern[str]]:
        """One pattern for the tokens that go first, one for the rest; the longest match at a place wins."""
        finders = []
        for normalized in (False, True):
            contents = [token.content for token in self.by_id.values() if token.normalized == normalized]
            if contents:
                finders.append(re.compile("|".join(map(re.escape, sorted(contents, key=len, reverse=True)))))
        return finders

    def split(self, text: str, *, split_special_tokens: bool) -> list[Piece]:
        """Cut a text at its added tokens; pieces without text are left out.

        With `split_special_tokens` the special ones among them are text like any other.
        """
        pieces: list[Piece] = [(0, len(text), None)]
        for finder in self._finders:
            if finder.search(text) is not None:
                pieces = [
                    part
                    for start, end, token_id in pieces
                    for part in (
                        self._cut(text, start, end, finder, split_special_tokens)
                        if token_id is None
                        else [(start, end, token_id)]
                    )
                ]
        return [piece for piece in pieces if piece[0] < piece[1]]

    def _cut(self, text: str, start: int, end: int, finder: re.Pattern[str], literal: bool) -> list[Piece]:
        """Cut text[start:end], which knows nothing of the text around it."""
        pieces: list[Piece] = []
        done = start
        for match in finder.finditer(text, start, end):
            token_id = self.id_of[match[0]]
            token = self.by_id[token_id]
            first, last = match.span()
            # A token that begins with white space may have lost it to the token before. (tokenizers counts it twice.)
            if first < done or (literal and token.content in self.special):
                continue
            if token.single_word and _touches_word(
                text[max(first - 1, start) : first] + text[last : min(last + 1, end)]
            ):
                continue
            if token.lstrip:
                first = max(_strip_left(text, first, start), done)
            if token.rstrip:
                last = _strip_right(text, last, end)
            pieces += (done, first, None), (first, last, token_id)
            done = last
        return [*pieces, (done, end, None)]


def _strip_left(text: str, at: int, start: int) -> int:
    while at > start and text[at - 1] in WHITE_SPACE:
        at -= 1
    return at


def _strip_right(text: str, at: int, end: int) -> int:
    while at < end and text[at] in WHITE_SPACE:
        at += 1
    return at


def _touches_word(neighbours: str) -> bool:
    return _find_word_character()(neighbours) is not None


@lru_cache(maxsize=1)
def _find_word_character() -> Callable[[str], object]:
    import regex  # here, since hardly any token is single_word

    return regex.compile(r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]").search
