"""Random adversarial cases: from the generator for the conformance suite, from hypothesis for property tests.

Every choice calls one function, `choose(what, options)`. The first option is the simplest: hypothesis shrinks towards
it, to a small model and a short batch of local tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...checkpoint.names import HEADS
from ...config import LongformerConfig
from ...hf_names import accepts_names
from ...reference.ops import Array
from ...tokenizer.arguments import check_count
from .. import generator
from .batches import GLOBAL, LOCAL, MASKED, MASKED_GLOBAL, PADDING, VISIBLE_PADDING, batch
from .case import HEAD_OF, Case
from .special_weights import larger_scores, scores_far_below_zero

Choose = Callable[[str, Sequence[Any]], Any]

CLASSES = tuple(dict.fromkeys(HEADS.values()))
_SEEDS = range(2**16)

# The letters of tokens in each kind of row; repeated letters are more likely.
_MOSTLY_LOCAL = LOCAL * 6 + GLOBAL + MASKED
_MIXED = LOCAL + GLOBAL + MASKED + PADDING + MASKED_GLOBAL + VISIBLE_PADDING
_IN_TEXTS = LOCAL + GLOBAL + MASKED + MASKED_GLOBAL


@dataclass(frozen=True)
class Bounds:
    """The range of random cases.

    class_names: HF's. divides: only windows of at least 4, each of which divides the largest, as HF's implementation
    requires; else any even windows, some wider than the sequence. extreme: sometimes weights that make scores large, or
    far below zero. activations: HF's names. sizes: pairs (heads, head size): one head, heads of size 1, sizes that are
    no multiple of a vector register. shortest, longest: tokens. most_rows, most_layers: the largest batch and model.
    leeway: of the cases.
    """

    class_names: Sequence[str] = CLASSES
    divides: bool = False
    extreme: bool = True
    activations: Sequence[str] = ("gelu", "gelu_new", "relu", "silu", "tanh", "gelu_fast")
    sizes: Sequence[tuple[int, int]] = ((1, 5), (2, 3), (3, 7), (5, 2), (3, 1), (2, 16))
    shortest: int = 1
    longest: int = 29
    most_rows: int = 3
    most_layers: int = 3
    leeway: float = 10.0


# Cases that every correct implementation supports, and passes in every precision: the encoder with gelu; windows that
# HF supports; no extreme scores, since rounding changes their softmax; no layer norm over few values, which amplifies
# rounding errors.
SUPPORTED_BY_ALL = Bounds(
    class_names=("LongformerModel",),
    activations=("gelu",),
    divides=True,
    extreme=False,
    sizes=((2, 8), (1, 19), (3, 7), (5, 6), (2, 16)),
    longest=41,
    leeway=3.0,
)

# Every so many draws, one of a length at which positions in reduced precision go wrong; one head, to be cheap.
LONG = replace(SUPPORTED_BY_ALL, sizes=((1, 16), (1, 19)), shortest=257, longest=2100, most_rows=1, most_layers=1)
_EVERY = 10


def by_generator(seed: int, stream: str) -> Choose:
    """A function `choose` that takes its choices from the words of a stream of the generator."""
    taken = 0

    def choose(what: str, options: Sequence[Any]) -> Any:
        nonlocal taken
        [word] = generator.words(seed, stream, 1, taken)
        taken += 1
        return options[int(word) * len(options) >> 64]

    return choose


def draw_config(choose: Choose, bounds: Bounds) -> LongformerConfig:
    """A small config for sequences of `bounds.longest` tokens at least."""
    layers = choose("layers", range(1, bounds.most_layers + 1))
    heads, head_dim = choose("heads, size of a head", bounds.sizes)
    if bounds.divides:
        largest = choose("largest window", [4, 6, 8, 12, 16])
        windows = [window for window in range(4, largest + 1, 2) if largest % window == 0]
    else:
        windows = [2, 4, 6, 10, 14, 64]
    window: Any = [choose(f"window of layer {layer}", windows) for layer in range(layers)]
    if bounds.divides:
        window[choose("layer of the largest window", range(layers))] = largest
    if len(set(window)) == 1 and choose("one window for all layers", [True, False]):
        window = window[0]
    pad = choose("padding id", [1, 0, 3])
    return LongformerConfig(
        vocab_size=choose("vocabulary", [13, 53, 257]),
        hidden_size=heads * head_dim,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        intermediate_size=choose("intermediate size", [11, 29]),
        attention_window=window,
        max_position_embeddings=bounds.longest + pad + 1 + choose("positions to spare", [0, 7]),
        type_vocab_size=choose("token types", [1, 2, 3]),
        layer_norm_eps=choose("epsilon", [1e-5, 1e-12, 0.1]),
        hidden_act=choose("activation", bounds.activations),
        pad_token_id=pad,
    )


def draw_changes(choose: Choose, config: LongformerConfig, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Weights that make scores large, or far below zero; usually none."""
    kind = choose("scores", ["usual", "usual", "large", "far below zero"])
    if kind == "large":
        return larger_scores(config, weights)
    return scores_far_below_zero(config, weights) if kind == "far below zero" else {}


def draw_inputs(choose: Choose, config: LongformerConfig, class_name: str, bounds: Bounds) -> dict[str, Array]:
    """A batch of 1 to `most_rows` rows and 1 to `longest` tokens, with masked, padding and global tokens anywhere.

    Rows are mostly local, or mixed, or a text with padding on its sides. Some batches have position ids, token types,
    embeddings instead of ids, or no attention mask.
    """
    length = choose("length", range(bounds.shortest, min(bounds.longest, config.max_tokens) + 1))
    rows = [_draw_row(choose, length) for _ in range(choose("rows", range(1, bounds.most_rows + 1)))]
    fields, seed = config.to_dict(), choose("seed of the words", _SEEDS)
    inputs: dict[str, Array] = dict(batch(fields, rows, seed, ""))
    shape = inputs["input_ids"].shape

    def integers(name: str, below: int) -> Array:
        return generator.integers(seed, name, len(rows) * length, below).reshape(shape)

    if choose("token types given", [False, True]):
        inputs["token_type_ids"] = integers("token_type_ids", config.type_vocab_size)
    if choose("position ids given", [False, False, True]):
        inputs["position_ids"] = integers("position_ids", config.max_position_embeddings)
    if choose("embeddings instead of ids", [False, False, False, True]):
        del inputs["input_ids"]
        inputs["inputs_embeds"] = generator.values(seed, "inputs_embeds", (*shape, config.hidden_size))
    if choose("no attention mask", [False, False, False, True]):
        del inputs["attention_mask"]
    if class_name == "LongformerForMultipleChoice":
        inputs = {name: array[None] for name, array in inputs.items()}  # the rows are the choices of one question
    return inputs


def draw_case(choose: Choose, name: str, bounds: Bounds) -> Case:
    """A case: a config, weights and inputs that fit each other."""
    class_name = choose("class", bounds.class_names)
    config = draw_config(choose, bounds)
    seed = choose("seed of the weights", _SEEDS)
    made = generator.weights(config, HEAD_OF[class_name], seed)
    changes = draw_changes(choose, config, made) if bounds.extreme else {}
    inputs = draw_inputs(choose, config, class_name, bounds)
    fields = {**config.to_dict(), "architectures": [class_name]}
    return Case(name, "a random model and batch", class_name, fields, inputs, seed, changes, bounds.leeway)


@accepts_names()
def drawn_cases(seed: int, count: int) -> tuple[Case, ...]:
    """`count` random cases by the generator, the same for the same seed, which every correct implementation passes.

    Raises:
        InputError: the seed is not an integer from 0 to 2^64 - 1, or the count not one of at least 0.
    """
    names = [f"drawn-{seed}-{index}" for index in range(check_count("count", count, least=0))]
    return tuple(
        draw_case(by_generator(seed, name), name, LONG if index % _EVERY == _EVERY - 1 else SUPPORTED_BY_ALL)
        for index, name in enumerate(names)
    )


def _draw_row(choose: Choose, length: int) -> str:
    kind = choose("kind of row", ["mostly local", "mixed", "text"])
    if kind != "text":
        letters = _MOSTLY_LOCAL if kind == "mostly local" else _MIXED
        return "".join(choose("token", letters) for _ in range(length))
    left = choose("padding on the left", range(length))
    right = choose("padding on the right", range(length - left))
    text = [LOCAL] * (length - left - right)
    for _ in range(choose("special tokens", range(4))):
        text[choose("position", range(len(text)))] = choose("token", _IN_TEXTS)
    return PADDING * left + "".join(text) + PADDING * right
