"""Text to token ids and back: `LongformerTokenizer`, byte-level BPE with HF's names and results.

Each room imports those before it only: `arguments` and `added_token`; `bpe`; `files` and `encoding`, which do not know
each other; and the classes that make up the tokenizer, `vocabulary`, `id_rows`, `hf_methods` and `tokenizer`.
"""

from .added_token import AddedToken
from .encoding.batch_encoding import BatchEncoding
from .encoding.encoding import CharSpan, Encoding, TokenSpan
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
