"""The byte alphabet: one printable character for each of the 256 bytes, in which vocabularies write their tokens.

Source: GPT-2 (Radford et al. 2019).
"""

from __future__ import annotations


def _byte_alphabet() -> str:
    """Map each byte to its Latin-1 character if that is printable, else to the next one from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(others)) for byte in range(256))


BYTE_ALPHABET = _byte_alphabet()  # BYTE_ALPHABET[byte] is the character that stands for it
BYTE_OF_CHARACTER = {character: byte for byte, character in enumerate(BYTE_ALPHABET)}
