"""The losses that a call computes where labels are given, chosen and averaged as HF does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..config import LongformerConfig
from ..errors import InputError
from ..reference.ops import Array
from .inputs import as_array

IGNORED = -100  # torch's ignore_index


def cross_entropy(logits: Array, labels: Array, ignored: int = IGNORED) -> Array:
    """Mean of -log softmax(logits)[label] over the labels that are not ignored; NaN where all are, as in torch.

    logits: float (n, classes); labels: int (n,). Returns a scalar of the dtype of logits.
    """
    kept = labels != ignored
    if not kept.any():
        return np.asarray(np.nan, logits.dtype)
    chosen, labels = logits[kept], labels[kept]
    shifted = chosen - chosen.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=1))
    return np.asarray((log_total - shifted[np.arange(len(labels)), labels]).mean(), logits.dtype)


def token_loss(logits: Array, labels: ArrayLike) -> Array:
    """Cross-entropy of every token, ignoring the label -100.

    logits: float (..., classes); labels: int (...).
    """
    checked = _class_labels(labels, logits.shape[:-1], logits.shape[-1])
    return cross_entropy(logits.reshape(-1, logits.shape[-1]), checked.ravel())


def choice_loss(logits: Array, labels: ArrayLike) -> Array:
    """Cross-entropy over the choices, ignoring the label -100.

    logits: float (batch, choices); labels: int (batch,).
    """
    return cross_entropy(logits, _class_labels(labels, logits.shape[:1], logits.shape[1]))


def classification_loss(logits: Array, labels: ArrayLike, config: LongformerConfig) -> Array:
    """The loss of `config.problem_type`.

    Where that is unset: one label is regression, integer labels name one class each, float labels judge every class.

    logits: float (batch, num_labels); labels: (batch,), or (batch, num_labels) where every class has its own.
    """
    array = as_array("labels", labels)
    problem = config.problem_type
    if problem is None:
        if config.num_labels == 1:
            problem = "regression"
        else:
            problem = "single_label_classification" if array.dtype.kind in "iu" else "multi_label_classification"
    if problem == "single_label_classification":
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        return cross_entropy(logits, _class_labels(array, logits.shape[:1], logits.shape[1]))
    if array.dtype.kind not in "fiub":
        raise InputError(f"labels must hold numbers for {problem}, got dtype {array.dtype}")
    if problem == "regression" and config.num_labels == 1:
        array = array.reshape(-1, 1) if array.size == len(logits) else array
    if array.shape != logits.shape:
        raise InputError(f"labels must have the shape of the logits, {logits.shape}, for {problem}, got {array.shape}")
    target = array.astype(logits.dtype)
    if problem == "regression":
        return np.asarray(((logits - target) ** 2).mean(), logits.dtype)
    # Binary cross-entropy of a logit, in the form that cannot overflow.
    terms = np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-np.abs(logits)))
    return np.asarray(terms.mean(), logits.dtype)


def answer_loss(start_logits: Array, end_logits: Array, start_positions: ArrayLike, end_positions: ArrayLike) -> Array:
    """Mean of the cross-entropies of start and end; positions are clamped to 0 ... seq, and seq itself is ignored.

    logits: float (batch, seq); positions: int (batch,) or (batch, 1).
    """
    batch, length = start_logits.shape

    def one(name: str, logits: Array, positions: Any) -> Array:
        array = as_array(name, positions)
        if array.dtype.kind not in "iu" or array.shape not in ((batch,), (batch, 1)):
            raise InputError(f"{name} must be {batch} integers, one a row, got {array.dtype} of shape {array.shape}")
        return cross_entropy(logits, np.clip(array.reshape(batch), 0, length), ignored=length)

    start = one("start_positions", start_logits, start_positions)
    end = one("end_positions", end_logits, end_positions)
    return np.asarray((start + end) / 2, start_logits.dtype)


def _class_labels(labels: Any, shape: tuple[int, ...], classes: int) -> Array:
    """Integer labels of the wanted shape, each -100 or a class; the first that is neither is named in an InputError."""
    array = as_array("labels", labels)
    if array.dtype.kind not in "iu":
        raise InputError(f"labels must hold integers, got dtype {array.dtype}")
    if array.shape != shape:
        raise InputError(f"labels must have the shape {shape}, got {array.shape}")
    wrong = (array != IGNORED) & ((array < 0) | (array >= classes))
    if wrong.any():
        position = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = ", ".join(map(str, position))
        raise InputError(f"labels[{where}] is {array[position]}, must be {IGNORED} (ignored) or 0 ... {classes - 1}")
    return array.astype(np.int64, copy=False)
