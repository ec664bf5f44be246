"""The losses of calls with labels, selected and averaged as in HF."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..config import LongformerConfig
from ..errors import InputError
from ..reference.ops import Array
from .inputs import as_array

# Labels are checked when the loss is made, before the model runs; it is then called with the logits.
Loss = Callable[[Any], Array | None]

IGNORED = -100  # torch's ignore_index


def cross_entropy(logits: Array, labels: Array, ignored: int = IGNORED) -> Array:
    """Mean of -log softmax(logits)[label] over the labels that are not ignored; NaN if all are, as in torch.

    logits: float (n, classes); labels: int (n,). Returns a scalar of the dtype of logits.
    """
    used = labels != ignored
    if not used.any():
        return np.asarray(np.nan, logits.dtype)
    chosen, labels = logits[used], labels[used]
    shifted = chosen - chosen.max(axis=1, keepdims=True)
    log_total = np.log(np.exp(shifted).sum(axis=1))
    return np.asarray((log_total - shifted[np.arange(len(labels)), labels]).mean(), logits.dtype)


def no_loss(logits: Any) -> None:
    """No loss: there are no labels."""


def token_loss(labels: ArrayLike | None, shape: tuple[int, ...], classes: int) -> Loss:
    """Mean cross-entropy, ignoring the label -100; of tokens, or of the choices of a question.

    labels: int of this shape. The loss takes logits: float (*shape, classes).
    """
    if labels is None:
        return no_loss
    checked = _class_labels(labels, shape, classes)
    return lambda logits: cross_entropy(logits.reshape(-1, classes), checked.ravel())


def classification_loss(labels: ArrayLike | None, shape: tuple[int, ...], config: LongformerConfig) -> Loss:
    """The loss of `config.problem_type`.

    Where that is unset: one label is regression, integer labels name one class each, float labels judge every class.

    labels: (batch,), or (batch, num_labels) where every class has its own; shape: (batch,). The loss takes logits:
    float (batch, num_labels).
    """
    if labels is None:
        return no_loss
    array = as_array("labels", labels)
    problem = config.problem_type
    if problem is None:
        if config.num_labels == 1:
            problem = "regression"
        else:
            problem = "single_label_classification" if array.dtype.kind in "iu" else "multi_label_classification"
    if problem == "single_label_classification":
        return token_loss(array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array, shape, config.num_labels)
    if array.dtype.kind not in "fiub":
        raise InputError(f"labels must be numeric for {problem}, got dtype {array.dtype}")
    wanted = (*shape, config.num_labels)
    if problem == "regression" and config.num_labels == 1 and array.size == shape[0]:
        array = array.reshape(wanted)
    if array.shape != wanted:
        raise InputError(f"labels must have the shape of the logits, {wanted}, for {problem}, got {array.shape}")
    error = _squared_error if problem == "regression" else _binary_cross_entropy
    return lambda logits: np.asarray(error(logits, array.astype(logits.dtype)).mean(), logits.dtype)


def answer_loss(start_positions: ArrayLike | None, end_positions: ArrayLike | None, shape: tuple[int, ...]) -> Loss:
    """Mean of the cross-entropies of start and end; positions are clamped to 0 ... seq, and seq itself is ignored.

    positions: int (batch,) or (batch, 1); shape: (batch, seq). The loss takes the pair of logits, float (batch, seq).
    """
    if start_positions is None or end_positions is None:
        return no_loss
    batch, length = shape

    def clamped(name: str, positions: ArrayLike) -> Array:
        array = as_array(name, positions)
        if array.dtype.kind not in "iu" or array.shape not in ((batch,), (batch, 1)):
            raise InputError(f"{name} must be {batch} integers, one a row, got {array.dtype} of shape {array.shape}")
        return np.clip(array.reshape(batch), 0, length)

    start, end = clamped("start_positions", start_positions), clamped("end_positions", end_positions)

    def loss(logits: tuple[Array, Array]) -> Array:
        of_start, of_end = cross_entropy(logits[0], start, length), cross_entropy(logits[1], end, length)
        return np.asarray((of_start + of_end) / 2, logits[0].dtype)

    return loss


def _squared_error(logits: Array, target: Array) -> Array:
    return (logits - target) ** 2


def _binary_cross_entropy(logits: Array, target: Array) -> Array:
    """The binary cross-entropy of logits, in a form that cannot overflow."""
    return np.maximum(logits, 0) - logits * target + np.log1p(np.exp(-np.abs(logits)))


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
