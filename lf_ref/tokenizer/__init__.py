"""Text to token ids and back: `LongformerTokenizer`, byte-level BPE with HF's names and results."""

from .added import AddedToken
from .batch_encoding import BatchEncoding
from .encoding import CharSpan, Encoding, TokenSpan
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
