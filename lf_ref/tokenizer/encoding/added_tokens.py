"""Find added tokens in a text, before it is split into words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache

from ..added_token import AddedToken
from ..bpe.split_pattern import WHITE_SPACE

Piece = tuple[int, int, int | None]  # start, end, and the id of an added token, or None for plain text


class AddedTokens:
    """The added tokens of a tokenizer. Immutable, so that earlier results keep theirs.

    Args:
        by_id: the tokens by id.
        special: strings that are special whatever the option of their token. As in HF, a special token stays special.
    """

    def __init__(self, by_id: Mapping[int, AddedToken] | None = None, special: Iterable[str] = ()) -> None:
        self.by_id: dict[int, AddedToken] = dict(sorted((by_id or {}).items()))
        self.id_of = {token.content: token_id for token_id, token in self.by_id.items()}
        self.special = {*special, *(token.content for token in self.by_id.values() if token.special)}

    def __reduce__(self) -> tuple[type[AddedTokens], tuple[dict[int, AddedToken], set[str]]]:
        return type(self), (self.by_id, self.special)

    @cached_property
    def _finders(self) -> list[re.Pattern[str]]:
        """Two patterns: one for the tokens that are not `normalized`, one for the rest. The longest match wins."""
        finders = []
        for normalized in (False, True):
            contents = [token.content for token in self.by_id.values() if token.normalized == normalized]
            if contents:
                finders.append(re.compile("|".join(map(re.escape, sorted(contents, key=len, reverse=True)))))
        return finders

    def split(self, text: str, *, split_special_tokens: bool) -> list[Piece]:
        """Split a text at its added tokens, without empty pieces.

        `split_special_tokens` treats special tokens as plain text.
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
        """Split text[start:end], regardless of the text around it."""
        pieces: list[Piece] = []
        done = start
        for match in finder.finditer(text, start, end):
            token_id = self.id_of[match[0]]
            token = self.by_id[token_id]
            first, last = match.span()
            # The token before may have taken the white space that this one begins with. (tokenizers counts it twice.)
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
    import regex  # imported late: hardly any token is single_word

    return regex.compile(r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]").search
