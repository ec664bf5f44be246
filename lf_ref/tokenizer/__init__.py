"""Text to token ids and back: `LongformerTokenizer`, byte-level BPE with HF's names and results."""

from .added import AddedToken
from .encoding import BatchEncoding, CharSpan, Encoding, TokenSpan
from .tokenizer import LongformerTokenizer, LongformerTokenizerFast

__all__ = [
    "AddedToken",
    "BatchEncoding",
    "CharSpan",
    "Encoding",
    "LongformerTokenizer",
    "LongformerTokenizerFast",
    "TokenSpan",
]
