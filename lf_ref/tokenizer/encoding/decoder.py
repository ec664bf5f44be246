"""Decode ids into text."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

from ...errors import InputError
from ..arguments import as_strings, shown
from ..bpe.byte_alphabet import BYTE_OF_CHARACTER
from .sequence import TextEncoder


def check_errors(errors: str) -> str:
    """Return the name of an error handler of `bytes.decode(errors=...)`; refuse others."""
    try:
        codecs.lookup_error(errors)
    except (LookupError, TypeError):
        raise InputError(
            f'errors must name an error handler such as "replace" or "strict", got {shown(errors)}'
        ) from None
    return errors


def token_bytes(token: str) -> bytes:
    """Return the bytes of a token: those of the byte alphabet, or its UTF-8 if a character is not in the alphabet."""
    try:
        return bytes([BYTE_OF_CHARACTER[character] for character in token])
    except KeyError:
        return token.encode()


def join_tokens(tokens: Iterable[str], errors: str) -> str:
    """Return the text of tokens of the vocabulary."""
    return _text(b"".join(map(token_bytes, as_strings("tokens", tokens))), errors)


class Decoder:
    """Ids to text; the bytes of every id are cached on first use.

    Added tokens are decoded as they are. (HF's fast tokenizer decodes them with the byte alphabet, and so turns an
    added token such as "café" into "caf" and an invalid byte.)
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self._known: dict[int, bytes] = {}
        added = encoder.added
        self._special = {token_id for content, token_id in added.id_of.items() if content in added.special}

    def text(self, ids: list[int], errors: str, *, skip_special_tokens: bool) -> str:
        """Return the text of ids.

        Raises:
            KeyError: an id that no token has.
            InputError: invalid UTF-8, where `errors` is "strict".
        """
        if skip_special_tokens:
            ids = [token_id for token_id in ids if token_id not in self._special]
        known = self._known
        for token_id in set(ids) - known.keys():
            known[token_id] = self._bytes(token_id)
        return _text(b"".join(map(known.__getitem__, ids)), errors)

    def _bytes(self, token_id: int) -> bytes:
        if token_id in self.encoder.added.by_id:
            return self.encoder.added.by_id[token_id].content.encode()
        return token_bytes(self.encoder.pairs.token_of[token_id])


def _text(content: bytes, errors: str) -> str:
    try:
        return content.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        raise InputError(
            f"the {len(content)} bytes of the tokens are not UTF-8 from byte {error.start} on ({error.reason}), for "
            'instance since the ids end within a character; use a tokenizer with errors="replace"'
        ) from None


def clean_up(text: str) -> str:
    """Remove the spaces that some tokenizations put before English punctuation and contractions."""
    for spaced in (" .", " ?", " !", " ,"):
        text = text.replace(spaced, spaced[1])
    text = text.replace(" ' ", "'")
    for spaced in (" n't", " 'm", " 's", " 've", " 're"):
        text = text.replace(spaced, spaced[1:])
    return text
