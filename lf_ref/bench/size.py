"""The model and the texts of the benchmarks: random, from a seed, of any size."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..checkpoint import REDUCED, StoredTensor, expected_shapes, reduce
from ..checkpoint.names import DECODER, Shapes, is_reducible, parameter_name, stored_name
from ..checkpoint.saving import stored_form, write_checkpoint
from ..config import LongformerConfig
from ..reference.ops import Array

_SEED = 2004_05150
_HEAD_DIM = 64
_LABELS = 3
# Lengths of the texts in a batch, in tokens, if the longest text has 4096.
_BATCH = (50, 140, 300, 512, 800, 1100, 1500, 2000)
_SHORT, _OF = 140, 4096


@dataclass(frozen=True)
class Size:
    """The sizes of the model and of the texts; the defaults are those of the published base checkpoints.

    heads are 64 wide; window is two-sided, in tokens; tokens is the length of the long text.
    """

    layers: int = 12
    heads: int = 12
    window: int = 512
    tokens: int = 4096
    vocabulary: int = 50265

    @property
    def middle(self) -> int:
        """Length of the middle text, in tokens: 512 of 4096."""
        return max(1, self.tokens // 8)

    @property
    def short(self) -> int:
        """Length of the short text, in tokens: 140 of 4096."""
        return max(1, self.tokens * _SHORT // _OF)

    @property
    def batch(self) -> list[int]:
        """Lengths of the texts of a batch, in tokens: 50 to 2000 where the long text has 4096."""
        return [max(2, length * self.tokens // _OF) for length in _BATCH]

    @property
    def config(self) -> LongformerConfig:
        """Positions for four times the long text, so that longer texts can be measured too."""
        hidden = self.heads * _HEAD_DIM
        return LongformerConfig(
            vocab_size=self.vocabulary,
            hidden_size=hidden,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            intermediate_size=4 * hidden,
            attention_window=self.window,
            max_position_embeddings=4 * self.tokens + 2,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            num_labels=_LABELS,
        )

    @property
    def linear_flop_per_token(self) -> int:
        """Floating-point operations of the linear layers for each token; a multiply-add counts as two."""
        hidden, inner = self.config.hidden_size, self.config.intermediate_size
        return 2 * (4 * hidden * hidden + 2 * hidden * inner) * self.layers

    def text(self, length: int, salt: int = 0) -> Array:
        """Random words between `<s>` and `</s>`.  # -> int64 (1, length)"""
        rng = np.random.default_rng((_SEED, length, salt))
        ids = rng.integers(4, self.vocabulary - 1, (1, length))
        ids[0, 0], ids[0, -1] = self.config.bos_token_id, self.config.eos_token_id
        return ids

    def write_checkpoint(self, folder: Path, dtype: str = "float32") -> None:
        """Save a model with the masked-LM and the sequence-classification head, which both sides can load.

        dtype: of the stored weights; int8 as by `lf-ref quantize`. Else the model is the same.

        The scale of the weights keeps the values of every layer near 1, so that mistakes show.
        """
        config, rng = self.config, np.random.default_rng(_SEED)
        shapes: Shapes = {}
        for head in ("sequence_classification", "masked_lm"):
            shapes |= {stored_name(name, head): shape for name, shape in expected_shapes(config, head).items()}
        del shapes[DECODER]  # tied to the word embeddings
        stored: dict[str, StoredTensor] = {}
        for name, shape in shapes.items():
            tensor = rng.standard_normal(shape, np.float32)
            if name.endswith("bias"):
                tensor *= np.float32(0.1)
            elif len(shape) == 1:  # weights of a norm
                tensor = np.float32(1.0) + np.float32(0.1) * tensor
            elif "embeddings" not in name:
                tensor *= np.float32(shape[1] ** -0.5)
            whole = StoredTensor("float32", tensor)
            short = dtype in REDUCED and is_reducible(parameter_name(name) or "", shape)
            stored |= stored_form(name, reduce(whole, dtype)) if short else {name: whole}
        folder.mkdir(parents=True, exist_ok=True)
        write_checkpoint(folder, stored, config.to_dict())


def first_token(ids: Array) -> Array:
    """Global attention on the first token alone.  # int (rows, seq) -> int64 (rows, seq)"""
    mask = np.zeros(ids.shape, np.int64)
    mask[:, 0] = 1
    return mask
