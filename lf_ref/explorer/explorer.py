"""The explorer of a text: run the model, keep what its page shows, and write the page.

The attention pattern is that of Beltagy et al. 2020, section 3.1.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ..attention_map import layer_or_head
from ..errors import InputError
from ..files import write_beside
from ..hf_names import accepts, accepts_names
from ..model.base import LongformerPreTrainedModel
from ..model.global_attention import on_positions
from ..model.heads import LongformerForMaskedLM
from ..pipelines import FeatureExtractionPipeline, Options
from ..pipelines.scores import best, softmax
from ..pipelines.texts import check_text
from ..reference.ops import Array
from ..tokenizer import LongformerTokenizer
from ..tokenizer.arguments import as_sequence
from .page import layer_data, page, token_data
from .weights import Shape, WeightRecorder

# What browsers open with ease.
_MOST_MEGABYTES = 40
_BASE64 = 4 / 3  # characters of a byte
_WORDS = 5  # predicted for each mask
_HEIGHT = 760  # pixels, in a notebook


@accepts()
@dataclass(frozen=True, repr=False)
class AttentionExplorer:
    """The attention of a model over a text as a page to walk through, as `attention_explorer` returns it.

    In a notebook it shows itself, in a frame of its own. The page needs JavaScript, but no network and no other files.

    html: the page, one file. title: model, layers, heads and length.
    """

    html: str
    title: str

    def __repr__(self) -> str:
        return f"<AttentionExplorer: {self.title}>"

    def _repr_html_(self) -> str:
        """The page for notebooks: nothing of it reaches the notebook's own page, nor another explorer's."""
        look = f"width:100%;height:{_HEIGHT}px;border:1px solid #8888;resize:vertical"
        return (
            f'<iframe title="{escape(repr(self)[1:-1])}" sandbox="allow-scripts" style="{look}" '
            f'srcdoc="{escape(self.html)}"></iframe>'
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page into a file; an existing one is replaced.

        path: of the file, whose name ends in .html by custom.

        Raises:
            OSError: the file cannot be written.
        """
        write_beside(Path(path), self.html.encode())


@accepts_names()
def attention_explorer(
    model: LongformerPreTrainedModel,
    tokenizer: LongformerTokenizer,
    text: str,
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    global_positions: Sequence[int] = (0,),
    truncation: bool | str | None = None,
    max_length: int | None = None,
) -> AttentionExplorer:
    """Run a model on one text, and make a page of its attention weights.

    Weights are stored in 8 bits, in steps of 1/255 of the largest weight of their query. The words for each mask are
    predicted with the global attention that the page shows, where `pipeline("fill-mask")` has none.

    Args:
        model: of any class; with LongformerForMaskedLM the page has the predicted words of each mask.
        tokenizer: the one the model was trained with.
        text: one text, as long as the model takes.
        layers: those to keep, from 0, or from -1 backwards; all by default.
        heads: those to keep, from 0, beside the mean of all heads; all by default, none in an empty list.
        global_positions: of the tokens with global attention, from 0, or from -1 backwards.
        truncation: cut a text that is too long, as pipelines do; by default only where max_length is given, else it is
            an error.
        max_length: the longest text in tokens, special tokens included; by default that of tokenizer and model.

    Raises:
        InputError: model and tokenizer do not fit, its windows are dilated or causal, the text is too long, there is no
            such layer, head or position, or the page would be larger than 40 MB.
        CheckpointError: the model gives NaN.
    """
    pipe = FeatureExtractionPipeline(_encoder(model), tokenizer)
    if model.config.autoregressive or set(chain(*model.config.dilations)) != {1}:
        raise InputError("the page shows plain windows, and this model has dilated or causal ones: use attention_map")
    text = check_text("text", text)
    ids = pipe.encode("the text", Options(truncation, max_length), text)
    mask = on_positions(ids[None], global_positions)
    globals_, config = np.flatnonzero(mask).tolist(), model.config
    numbers = _chosen("layers", layers, config.num_hidden_layers)
    kept = _chosen("heads", heads, config.num_attention_heads)
    shapes = [Shape(n, config.windows[n], len(ids), len(globals_), 1 + len(kept)) for n in numbers]
    _check_size(shapes)
    recorder = WeightRecorder(config, shapes, kept)
    masks = _masks(model, tokenizer, ids)
    observed: Any = (model if masks else pipe.model).observed(recorder, model.backend)
    at = {"logits_at": [(0, place) for place in masks]} if masks else {}
    output = observed(input_ids=ids[None], global_attention_mask=mask, output_attentions=True, return_dict=True, **at)
    title = _title(model, len(ids), numbers, kept)
    data = {
        "title": title,
        **token_data(tokenizer, text, ids),
        "globals": globals_,
        "allHeads": config.num_attention_heads,
        "heads": kept,
        "layers": [layer_data(shape, recorder) for shape in shapes],
        "predictions": _predictions(tokenizer, masks, output.logits) if masks else [],
    }
    return AttentionExplorer(page(data), title)


def _encoder(model: Any) -> Any:
    """The encoder of a model of any class."""
    return getattr(model, "base_model", model) if isinstance(model, LongformerPreTrainedModel) else model


def _chosen(what: str, given: Sequence[int] | None, count: int) -> list[int]:
    """The numbers of layers or heads, checked, each once; all by default. There must be a layer."""
    if given is None:
        return list(range(count))
    numbers = as_sequence(what, given)
    if numbers is None:
        raise InputError(f"{what} must be a list of numbers, such as {what}=[0], got {given!r:.80}")
    if not numbers and what == "layers":
        raise InputError("layers must name a layer at least, got none")
    least = -count if what == "layers" else 0
    return list(dict.fromkeys(layer_or_head(what, number, count, least) % count for number in numbers))


def _check_size(shapes: Sequence[Shape]) -> None:
    """Refuse a page that would be too large, before the work."""
    size = _megabytes(shapes)
    if size > _MOST_MEGABYTES:
        last, [*means] = shapes[-1], [replace(shape, kept=1) for shape in shapes]
        raise InputError(
            f"the page would take {size:.1f} MB, more than the {_MOST_MEGABYTES} MB that browsers open with ease: "
            f"choose with layers= and heads=; the last layer with these heads takes {_megabytes([last]):.1f} MB, "
            f"all these layers with the mean of the heads alone {_megabytes(means):.1f} MB"
        )


def _megabytes(shapes: Iterable[Shape]) -> float:
    return sum(shape.nbytes for shape in shapes) * _BASE64 / 1e6


def _masks(model: Any, tokenizer: LongformerTokenizer, ids: Array) -> list[int]:
    """Positions of the masks, if the model predicts their words.

    ids: int64 [S].
    """
    predicts = isinstance(model, LongformerForMaskedLM) and tokenizer.mask_token_id is not None
    return np.flatnonzero(ids == tokenizer.mask_token_id).tolist() if predicts else []


def _predictions(tokenizer: LongformerTokenizer, masks: Sequence[int], logits: Array) -> list[dict[str, Any]]:
    """The most likely words of each mask, with their probabilities; logits: float [masks, vocab]."""
    known = np.sort(np.fromiter(tokenizer.get_vocab().values(), np.int64))
    found = []
    for position, row in zip(masks, logits, strict=True):
        probabilities = softmax(row)[known]
        words = best(probabilities, _WORDS)
        texts = [tokenizer.decode([token]) for token in known[words].tolist()]
        found.append({"position": position, "words": list(zip(texts, probabilities[words].tolist(), strict=True))})
    return found


def _title(model: Any, length: int, layers: Sequence[int], heads: Sequence[int]) -> str:
    name = model.name_or_path or type(model).__name__
    name = name.encode("utf-8", "backslashreplace").decode()  # a folder's name may be no UTF-8
    which = f"layer{'s' * (len(layers) > 1)} {', '.join(map(str, layers))}"
    of = f"mean of {model.config.num_attention_heads} heads"
    also = f" and head{'s' * (len(heads) > 1)} {', '.join(map(str, heads))}" if heads else ""
    return f"{name}: {which}, {of}{also}, {length} tokens"
