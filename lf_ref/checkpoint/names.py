"""The one table from stored names to parameters, and what each class needs of it.

A parameter's name here is HF's without the `longformer.` prefix, such as `encoder.layer.0.attention.self.query.weight`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from ..config import LongformerConfig
from ..errors import CheckpointError, ConfigError

Shapes = dict[str, tuple[int, ...]]

# What a model consists of, to HF's class of it. "encoder" is LongformerModel without its pooler.
HEADS = {
    "encoder": "LongformerModel",
    "model": "LongformerModel",
    "masked_lm": "LongformerForMaskedLM",
    "sequence_classification": "LongformerForSequenceClassification",
    "token_classification": "LongformerForTokenClassification",
    "multiple_choice": "LongformerForMultipleChoice",
    "question_answering": "LongformerForQuestionAnswering",
}

WORDS = "embeddings.word_embeddings.weight"
DECODER = "lm_head.decoder.weight"
DECODER_BIAS = "lm_head.bias"
POOLER = "pooler.dense.weight"

# `longformer.` before the encoder in HF's classes with a head, `roberta.` in AllenAI's; none in the bare encoder.
PREFIXES = ("longformer.", "roberta.")
ENCODER_PARTS = ("embeddings.", "encoder.", "pooler.")
# What a trainer's wrappers leave before them: DataParallel and DeepSpeed, torch.compile, Lightning, FSDP.
_WRAPPERS = r"(?:(?:module|_orig_mod|model|_forward_module|_fsdp_wrapped_module)\.)*"
_ENCODER = re.compile(rf"({_WRAPPERS})(longformer\.|roberta\.)?(?:embeddings|encoder|pooler)\.")
NOTHING = ""  # the parameter of a name that means none
# Layers of a decoder beside an encoder, as in BART, T5 and LED; a masked-LM head has but `decoder.weight`.
_DECODER_LAYERS = re.compile(r"(?:^|\.)decoder\.(?:[a-z_]{1,30}\.){1,4}\d")
_DEEPEST = 6  # dots of a prefix that a message names
# What another class than the chosen one would use; it may be left over.
_OTHER_PARTS = re.compile(
    r"pooler\.dense\.(weight|bias)|lm_head\.(bias|decoder\.weight|(dense|layer_norm)\.(weight|bias))"
    r"|classifier\.((dense|out_proj)\.)?(weight|bias)|qa_outputs\.(weight|bias)"
)
# Which field of the config an axis comes from, for messages.
_FIELDS = {
    WORDS: "vocab_size",
    DECODER: "vocab_size",
    DECODER_BIAS: "vocab_size",
    "embeddings.position_embeddings.weight": "max_position_embeddings",
    "embeddings.token_type_embeddings.weight": "type_vocab_size",
    "classifier.out_proj.weight": "num_labels (id2label)",
    "classifier.out_proj.bias": "num_labels (id2label)",
    "classifier.weight": "num_labels (id2label)",
    "classifier.bias": "num_labels (id2label)",
}


def expected_shapes(config: LongformerConfig, head: str) -> Shapes:
    """The parameters of a model, by name, with their shapes; weights of linear maps are (out, in).

    Raises:
        ConfigError: `head` is not a key of `HEADS`.
    """
    if head not in HEADS:
        raise ConfigError(f"head must be one of {', '.join(HEADS)}, got {head!r}")
    hidden, labels = config.hidden_size, config.num_labels
    shapes: Shapes = {
        WORDS: (config.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, hidden),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, hidden),
        **_norm("embeddings.LayerNorm", hidden),
    }
    for index in range(config.num_hidden_layers):
        shapes |= _layer(f"encoder.layer.{index}", hidden, config.intermediate_size)
    if head in ("model", "multiple_choice"):
        shapes |= _linear("pooler.dense", hidden, hidden)
    if head == "masked_lm":
        shapes |= _linear("lm_head.dense", hidden, hidden)
        shapes |= _norm("lm_head.layer_norm", hidden)
        shapes |= {DECODER: (config.vocab_size, hidden), DECODER_BIAS: (config.vocab_size,)}
    elif head == "sequence_classification":
        shapes |= _linear("classifier.dense", hidden, hidden)
        shapes |= _linear("classifier.out_proj", hidden, labels)
    elif head == "token_classification":
        shapes |= _linear("classifier", hidden, labels)
    elif head == "multiple_choice":
        shapes |= _linear("classifier", hidden, 1)
    elif head == "question_answering":
        shapes |= _linear("qa_outputs", hidden, 2)
    return shapes


def untied_shapes(config: LongformerConfig, head: str) -> Shapes:
    """As `expected_shapes`, without a decoder that is the word embeddings, which HF's files leave out.

    Raises:
        ConfigError: `head` is not a key of `HEADS`.
    """
    shapes = expected_shapes(config, head)
    if config.tie_word_embeddings:
        shapes.pop(DECODER, None)
    return shapes


def parameters_of(stored: Iterable[str]) -> dict[str, str | None]:
    """The parameter that each stored name means, or None if it is not a parameter: see `parameter_name`.

    Prefixes that wrappers left are taken off where all names of the encoder have them; names of other things, such as
    losses, need not. Without them they mean `NOTHING`.

    Raises:
        CheckpointError: a name is no string.
    """
    plain = without_wrappers(stored)
    return {name: parameter_name(bare) if bare is not None else NOTHING for name, bare in plain.items()}


def without_wrappers(stored: Iterable[str]) -> dict[str, str | None]:
    """The stored names without the prefix of wrappers; None for one that lacks it.

    Raises:
        CheckpointError: a name is no string.
    """
    found = list(stored)
    for name in found:
        if not isinstance(name, str):
            raise CheckpointError(f"names of weights are strings, got {type(name).__name__}")
    wrappers = {match[1] for match in map(_ENCODER.match, found) if match}
    prefix = wrappers.pop() if len(wrappers) == 1 else ""
    return {name: name[len(prefix) :] if name.startswith(prefix) else None for name in found}


def is_under_roberta(stored: Iterable[str]) -> bool:
    """Whether the encoder is stored under `roberta.`, as by AllenAI's own code."""
    return any(match[2] == "roberta." for match in map(_ENCODER.match, stored) if match)


def has_decoder_layers(stored: Iterable[str]) -> bool:
    """Whether the names are those of an encoder-decoder."""
    return any(map(_DECODER_LAYERS.search, stored))


def likely_prefix(stored: Iterable[str], missing: Iterable[str]) -> tuple[str, int]:
    """The prefix without which most names mean a missing parameter, and how many names have it; ("", 0) for none."""
    wanted, prefixes = set(missing), Counter[str]()
    names = list(stored)
    for name in names:
        start = 0
        for part in name.split(".", _DEEPEST)[:-1]:
            start += len(part) + 1
            if parameter_name(name[start:]) in wanted:
                prefixes[name[:start]] += 1
                break
    if not prefixes:
        return "", 0
    prefix = max(prefixes, key=prefixes.__getitem__)
    return prefix, sum(name.startswith(prefix) for name in names)


def parameter_name(stored: str) -> str | None:
    """The parameter that a stored name means, or None if it is not a parameter.

    The result is a name of the tables, or the stored name itself where it means nothing to any Longformer.
    """
    if stored == "position_ids" or stored.endswith(".position_ids"):
        return None  # a counter 0, 1, 2, ... that old versions of HF saved along
    name = stored
    for prefix in PREFIXES:
        if name.startswith(prefix) and name[len(prefix) :].startswith(ENCODER_PARTS):
            name = name[len(prefix) :]
            break
    if name.endswith("LayerNorm.gamma"):  # TensorFlow's names, in checkpoints of before 2019
        name = name[: -len("gamma")] + "weight"
    elif name.endswith("LayerNorm.beta"):
        name = name[: -len("beta")] + "bias"
    return DECODER_BIAS if name == "lm_head.decoder.bias" else name


def stored_name(parameter: str, head: str) -> str:
    """The name that HF stores a parameter of a model under."""
    bare = head in ("encoder", "model") or not parameter.startswith(ENCODER_PARTS)
    return parameter if bare else PREFIXES[0] + parameter


def is_other_part(parameter: str) -> bool:
    """Whether a parameter belongs to a part that some class does without: pooler, lm_head, a classifier."""
    return _OTHER_PARTS.fullmatch(parameter) is not None


def is_reducible(parameter: str, shape: tuple[int, ...]) -> bool:
    """Whether a parameter may have a reduced precision: weights of linear maps and word embeddings."""
    return len(shape) == 2 and (parameter == WORDS or not parameter.startswith("embeddings."))


def config_field(parameter: str) -> str | None:
    """The field of the config that the first axis of a parameter comes from, where it has one of its own."""
    return _FIELDS.get(parameter)


def layer_of(parameter: str) -> int | None:
    """The number of the layer that a parameter belongs to."""
    match = re.match(r"encoder\.layer\.(\d{1,9})\.", parameter)
    return int(match[1]) if match else None


def _layer(name: str, hidden: int, intermediate: int) -> Shapes:
    shapes: Shapes = {}
    for projection in ("query", "key", "value", "query_global", "key_global", "value_global"):
        shapes |= _linear(f"{name}.attention.self.{projection}", hidden, hidden)
    shapes |= _linear(f"{name}.attention.output.dense", hidden, hidden)
    shapes |= _norm(f"{name}.attention.output.LayerNorm", hidden)
    shapes |= _linear(f"{name}.intermediate.dense", hidden, intermediate)
    shapes |= _linear(f"{name}.output.dense", intermediate, hidden)
    return shapes | _norm(f"{name}.output.LayerNorm", hidden)


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
