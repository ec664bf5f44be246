"""Attention maps: the attention weights of one layer over a text, reduced to cells that fit a page.

The attention pattern is that of Beltagy et al. 2020, section 3.1.

>>> from lf_ref import LongformerModel
>>> from lf_ref.attention_map import attention_map
>>> attention_map(LongformerModel.from_pretrained(), [0, 250, 251, 2])
<AttentionMap: layer 3, mean of 4 heads, window 128, 4 tokens>
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .bench.roofline import drawing
from .errors import InputError
from .hf_names import accepts, accepts_names
from .model.attentions import dense_attentions
from .model.base import LongformerPreTrainedModel
from .model.global_attention import on_positions
from .reference.ops import Array
from .testing import trace
from .tokenizer.arguments import as_index

__all__ = ["AttentionMap", "attention_map"]

# Cells along an axis: more would be smaller than a pixel, and some would be left out in drawing.
_MOST_CELLS = 512
# Tokens that are written along an axis: more would run into each other.
_MOST_LABELS = 64
# The last of the letters that matplotlib's own font has without a gap; those of the tokenizer for bytes are among them.
_LAST_LETTER = "\u017f"
# Metadata that would make a file differ from day to day.
_UNDATED = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}


@accepts()
@dataclass(frozen=True, repr=False)
class AttentionMap:
    """The attention weights of one layer, cell by cell, as `attention_map` returns them; a picture in a notebook.

    weights: float [cells, cells]; summed over the keys of a cell, averaged over its queries, so that each row sums to
        1. reached: bool [cells, cells]: whether the window or a global token lets attention reach the cell. length: of
        the text, in tokens. per_cell: tokens along the side of a cell. globals: positions of the global tokens. title:
        layer, head, window and length.
    """

    weights: Array
    reached: Array
    length: int
    per_cell: int
    globals: list[int]
    title: str

    def __repr__(self) -> str:
        return f"<AttentionMap: {self.title}>"

    def _repr_html_(self) -> str | None:
        """The picture, for notebooks; None without matplotlib."""
        picture = BytesIO()
        try:
            draw(self, [], picture, "png")
        except InputError:
            return None
        data = b64encode(picture.getvalue()).decode()
        return f"<img alt='{escape(repr(self), quote=True)}' style='max-width:100%' src='data:image/png;base64,{data}'>"


@accepts_names()
def attention_map(
    model: LongformerPreTrainedModel,
    input_ids: Sequence[int],
    global_positions: Sequence[int] = (0,),
    layer: int = -1,
    head: int | None = None,
) -> AttentionMap:
    """Run a model on one text, and reduce the attention weights of one layer to cells.

    model: of any class. input_ids: of one text, with special tokens. global_positions: of the tokens with global
    attention, from 0, or from -1 backwards. layer: from 0, or from -1 backwards. head: from 0; None for the mean of all
    heads.

    Raises:
        InputError: the model has no such layer or head, or a position lies outside the text.
    """
    config, layers = model.config, model.config.num_hidden_layers
    layer = layer_or_head("layer", layer, layers, least=-layers) % layers
    head = None if head is None else layer_or_head("head", head, config.num_attention_heads)
    mask = on_positions([input_ids], np.array(global_positions, np.int64))
    name = f"encoder.layer.{layer}.attention.self.probabilities"
    # Record these tensors alone: those of all layers take a gigabyte for a long text.
    traced = trace(
        model,
        names=[name, f"{name}_global"],
        backend=model.backend,
        input_ids=[input_ids],
        global_attention_mask=mask,
        output_attentions=True,
    )
    window, dilations, chosen = config.windows[layer], config.dilations[layer], range(config.num_attention_heads)
    if head is not None:
        dilations, chosen = dilations[head : head + 1], range(head, head + 1)
    per_cell = -(-len(input_ids) // _MOST_CELLS)
    weights = np.zeros(())
    for dilation in sorted(set(dilations)):  # heads of one dilation have the same keys in a column
        some = [number for number, of in zip(chosen, dilations, strict=True) if of == dilation]
        local, global_ = (
            traced[found][:, some].mean(axis=1, keepdims=True) if found in traced else None
            for found in (name, f"{name}_global")
        )
        assert local is not None  # only global attention may be absent
        dense = dense_attentions(local, global_, mask, dilation=dilation)[0, 0]
        weights = weights + together(dense, per_cell) * dense.dtype.type(len(some) / len(dilations))
    heads = f"head {head}" if head is not None else f"mean of {config.num_attention_heads} heads"
    cells = f", {per_cell} x {per_cell} tokens in a cell" if per_cell > 1 else ""
    return AttentionMap(
        weights,
        reach(mask[0] == 1, window // 2, per_cell, dilations, config.autoregressive),
        len(input_ids),
        per_cell,
        np.flatnonzero(mask[0]).tolist(),
        f"layer {layer}, {heads}, window {window}{_kind(dilations, config.autoregressive)}, {len(input_ids)} "
        f"tokens{cells}",
    )


def _kind(dilations: Sequence[int], causal: bool) -> str:
    """What a title says of a window that is not plain."""
    found = sorted(set(dilations))
    dilated = f", dilation {', '.join(map(str, found))}" if found != [1] else ""
    return dilated + (", causal" if causal else "")


def layer_or_head(what: str, given: object, count: int, least: int = 0) -> int:
    """The number of a layer or head, checked."""
    number = as_index(what, given)
    if not least <= number < count:
        raise InputError(f"{what}={number} does not exist: this model has {count}, from 0 to {count - 1}")
    return number


def together(dense: Array, per_cell: int) -> Array:
    """Sum over the keys of a cell, mean over its queries: rows still add up to 1.  # float [S, S] -> [cells, cells]"""
    starts = np.arange(0, len(dense), per_cell)
    queries = np.minimum(per_cell, len(dense) - starts).astype(dense.dtype)
    summed = np.add.reduceat(np.add.reduceat(dense, starts, axis=0), starts, axis=1)
    return summed / queries[:, None]


def reach(
    is_global: Array, one_sided: int, per_cell: int, dilations: Sequence[int] = (1,), causal: bool = False
) -> Array:
    """Whether any query of a cell may see any key of another, in any head.  # bool [S] -> bool [cells, cells]"""
    length = len(is_global)
    starts = np.arange(0, length, per_cell)
    holds_global = np.logical_or.reduceat(is_global, starts)
    seen = holds_global[:, None] | holds_global
    if causal:
        seen = np.tril(seen)
    most = min(one_sided, length)
    for offset in np.unique(np.multiply.outer(dilations, np.arange(-most, 1 if causal else most + 1))):
        query = np.arange(max(0, -offset), min(length, length - offset))
        seen[query // per_cell, (query + offset) // per_cell] = True
    return seen


def draw(found: AttentionMap, tokens: Sequence[str], path: Path | BinaryIO, kind: str) -> None:
    """Draw a map into a file.

    tokens: their texts, or nothing to show positions alone; path: of the file, or an open one; kind: "png", "svg" or
    "pdf".
    """
    figure = drawing().Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    edge = len(found.weights) * found.per_cell - 0.5
    image = axes.imshow(
        np.ma.masked_array(found.weights, ~found.reached),
        cmap="cividis_r",  # its lightness tells the order, in print and to every eye
        norm=import_module("matplotlib.colors").PowerNorm(0.5, 0),  # most weights are small
        extent=(-0.5, edge, edge, -0.5),
        interpolation="nearest",
    )
    axes.set(xlim=(-0.5, found.length - 0.5), ylim=(found.length - 0.5, -0.5))
    axes.spines[:].set_position(("outward", 3))  # points; on the edge they would hide a global <s>
    axes.set_title(found.title, pad=16, fontsize="medium")
    _mark_globals(figure, axes, found.globals)
    _name_tokens(axes, tokens)
    weights = "attention weight" if found.per_cell == 1 else "attention weight, summed over keys, averaged over queries"
    figure.colorbar(image, label=f"{weights} (square root scale)", shrink=0.8)
    with import_module("matplotlib").rc_context({"svg.hashsalt": "lf-ref"}):  # the same picture is the same file
        figure.savefig(path, format=kind, dpi=150, metadata=_UNDATED[kind])


def _mark_globals(figure: Any, axes: Any, positions: Sequence[int]) -> None:
    """Triangles that point along the columns and rows of global tokens."""
    if not positions:
        return
    look = {"color": "black", "linestyle": "none", "clip_on": False}
    axes.plot(positions, [1.025] * len(positions), "v", transform=axes.get_xaxis_transform(), **look)
    axes.plot(
        [1.025] * len(positions), positions, "<", transform=axes.get_yaxis_transform(), **look, label="global token"
    )
    figure.legend(loc="outside lower right", frameon=False)


def _name_tokens(axes: Any, tokens: Sequence[str]) -> None:
    """The tokens along both axes if they fit, else their positions."""
    axes.set(xlabel="key", ylabel="query")
    if not tokens or len(tokens) > _MOST_LABELS:
        axes.set(xlabel="key (position in tokens)", ylabel="query (position in tokens)")
        return
    names = [_drawable(token) for token in tokens]
    size = min(10, 480 / len(tokens) / 1.2)  # points, of about 480 that an axis has
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(range(len(names)), names, fontsize=size, parse_math=False)


def _drawable(token: str) -> str:
    """A token in letters that the font has, others as escapes; its space, the vocabulary's "Ġ", as a dot."""
    drawable = (letter <= _LAST_LETTER and letter.isprintable() for letter in token)
    shown = "".join(letter if ok else ascii(letter)[1:-1] for letter, ok in zip(token, drawable, strict=True))
    return shown.replace("Ġ", "·")
