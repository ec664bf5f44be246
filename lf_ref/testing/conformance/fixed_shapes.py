"""Fixed shapes: inputs padded to a number of tokens, and outputs cut back, for graphs that are exported with one shape.

Padding stands at the end, where Longformer's tokenizers add it: the padding id, masked, not global. Embeddings, token
types and the labels of tokens are padded with 0, 0 and -100. Labels of question answering are left out: their loss is
over all tokens, padding too, and so another number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...checkpoint.stored import StoredTensor
from ...config import LongformerConfig
from ...errors import InputError
from ...reference.ops import Array
from ...tokenizer.arguments import check_count
from ..cases.case import Case
from ..comparison.report import Report
from ..traces.interchange import to_numpy
from ..traces.recorder import output_arrays

_PER_TOKEN = ("LongformerForMaskedLM", "LongformerForTokenClassification")
_LEFT_OUT = ("start_positions", "end_positions")
_LONGEST = 1024  # tokens of a forward pass that holds all pairs of them, for each case that fails
_CLOSER = 0.1  # the error against the mistaken model, relative to that against the right one


def misfit(case: Case, length: int | None) -> str:
    """Why a case does not fit a number of tokens; "" if it does, or if there is none."""
    if length is None:
        return ""
    if tokens_of(case.inputs) > length:
        return f"more than {length} tokens"
    counted = case.inputs.keys().isdisjoint(("input_ids", "position_ids"))
    if counted and length > LongformerConfig.from_dict(case.config).max_tokens:
        return f"fewer than {length} positions in the model, for embeddings, whose padding takes positions"
    return ""


def check_pad_to(pad_to: Any) -> int | None:
    """The number of tokens as an int; None stands for none.

    Raises:
        InputError: it is not an integer of at least 1.
    """
    return None if pad_to is None else check_count("pad_to", pad_to)


def check_fitting(cases: Sequence[Case], length: int | None) -> Sequence[Case]:
    """The cases, of which one at least fits a number of tokens.

    Raises:
        InputError: none does.
    """
    why = [misfit(case, length) for case in cases]
    if all(why):
        raise InputError(f"no case fits {length} tokens: {cases[0].name} has {why[0]}")
    return cases


def padded_case(case: Case, length: int | None) -> Case:
    """The case with inputs of this number of tokens, which it must fit; None for its own."""
    config = LongformerConfig.from_dict(case.config)
    return replace(case, inputs=padded_inputs(case.inputs, case.class_name, config, length))


def padded_inputs(
    inputs: Mapping[str, Any], class_name: str, config: LongformerConfig, length: int | None
) -> dict[str, Any]:
    """The inputs of a class, padded to `length` tokens, with an attention mask; None for their own length.

    Raises:
        InputError: they have more tokens.
    """
    if length is None:
        return dict(inputs)
    added = length - tokens_of(inputs)
    if added < 0:
        raise InputError(f"the inputs have {tokens_of(inputs)} tokens, more than {length}")
    values = dict.fromkeys(("input_ids", "position_ids"), config.pad_token_id)
    values |= dict.fromkeys(("attention_mask", "global_attention_mask", "token_type_ids", "inputs_embeds"), 0)
    if class_name in _PER_TOKEN:
        values["labels"] = -100
    given = {name: value for name, value in inputs.items() if name not in _LEFT_OUT}
    if "attention_mask" not in given:
        shape = np.shape(given["input_ids"]) if "input_ids" in given else np.shape(given["inputs_embeds"])[:-1]
        given["attention_mask"] = np.ones(shape, np.int64)
    return {name: _padded(name, given[name], added, values[name]) if name in values else given[name] for name in given}


def tokens_of(inputs: Mapping[str, Any]) -> int:
    """The number of tokens in each row of the inputs."""
    return np.shape(inputs["input_ids"])[-1] if "input_ids" in inputs else np.shape(inputs["inputs_embeds"])[-2]


def _padded(name: str, value: Any, added: int, padding: int) -> Array:
    array = np.asarray(value)
    widths = [(0, 0)] * array.ndim
    widths[-2 if name == "inputs_embeds" else -1] = (0, added)
    return np.pad(array, widths, constant_values=padding)


def cut_outputs(
    outputs: Mapping[str, Any], inputs: Mapping[str, Any], class_name: str, length: int | None
) -> Mapping[str, Any]:
    """The outputs of a class for inputs that were padded to `length` tokens, without the padding.

    Intermediates need no cut: padding at their end is one of the layouts of `lf_ref.testing.comparison.layouts`.

    inputs: those before they were padded. length: None if they were not.
    """
    if length is None:
        return outputs
    by_token = {"last_hidden_state", "start_logits", "end_logits"} | ({"logits"} if class_name in _PER_TOKEN else set())
    tokens = tokens_of(inputs)
    return {name: _cut(value, tokens, length) if name in by_token else value for name, value in outputs.items()}


def _cut(value: Any, tokens: int, length: int) -> Any:
    if isinstance(value, StoredTensor):
        return replace(value, data=_cut(value.data, tokens, length))
    if not hasattr(value, "shape"):
        value = np.asarray(value)
    shape = tuple(value.shape)
    return value[:, :tokens] if len(shape) > 1 and shape[1] == length else value


def sees_padding(case: Case, given: Mapping[str, Any], report: Report, length: int | None) -> bool:
    """Whether wrong outputs for inputs of `length` tokens are those of a model that ignores the attention mask.

    given: the outputs, without padding; report: on them.
    """
    if length is None or length > _LONGEST:
        return False
    inputs = dict(padded_case(case, length).inputs)
    inputs["attention_mask"] = np.ones_like(inputs["attention_mask"])
    mistaken = cut_outputs(output_arrays(case.model()(**inputs)), case.inputs, case.class_name, length)
    diverging = {name for name, tensor in report.tensors.items() if not tensor.passed}
    wrong = [name for name in mistaken if name in given and name in diverging]
    return bool(wrong) and all(
        report.tensors[name].count > 0
        and np.sqrt(np.square(to_numpy(name, given[name])[0] - mistaken[name]).mean())
        < _CLOSER * report.tensors[name].rmse
        for name in wrong
    )
