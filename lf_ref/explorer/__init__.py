"""Explore the attention over a text in a browser: a page that answers to hover, tap, sliders and keys.

>>> from lf_ref import LongformerForMaskedLM, LongformerTokenizer, attention_explorer
>>> model, tokenizer = LongformerForMaskedLM.from_pretrained(), LongformerTokenizer.from_pretrained()
>>> attention_explorer(model, tokenizer, "The <mask> moved towards the light.", layers=[0])
<AttentionExplorer: demo: layer 0, mean of 4 heads and heads 0, 1, 2, 3, 9 tokens>
"""

from .explorer import AttentionExplorer, attention_explorer

__all__ = ["AttentionExplorer", "attention_explorer"]
