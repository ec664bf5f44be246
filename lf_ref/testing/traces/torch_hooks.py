"""The intermediates of a torch model, recorded by forward hooks, in the layouts of a trace. Imports torch on use."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

import numpy as np

from ...errors import InputError
from ...hf_names import accepts_names
from ...reference.ops import Array
from .interchange import to_numpy
from .named_tensors import NamedTensors
from .recorder import name_filter
from .tensor_names import (
    BAND,
    COLUMNS,
    OUTPUTS,
    SINGLE_OUTPUT,
    TOKENS,
    canonical_name,
    lookup,
    split_layer,
    strip_prefix,
)

Rename = Callable[[str], "str | None"] | Mapping[str, str] | None

# HF's attention calls torch.nn.functional.softmax, which one capture at a time may replace. A mode of torch.overrides
# would not replace it, but would not see the arguments of a softmax that the user has put there.
_SOFTMAX = threading.Lock()


class Capture(NamedTensors):
    """The tensors that a torch model computed: NumPy arrays by name, bfloat16 converted to float32.

    dtypes: the torch dtype of each, by name.
    """

    def __init__(self, tensors: Mapping[str, tuple[Array, str]], title: str) -> None:
        super().__init__({name: array for name, (array, _) in tensors.items()}, title)
        self.dtypes = {strip_prefix(name): dtype for name, (_, dtype) in tensors.items()}

    def convert(self, name: str) -> tuple[Array, str]:
        """As in `NamedTensors`, with torch's dtype."""
        return super().convert(name)[0], self.dtypes[name]


@accepts_names()
def capture_torch(
    module: Any, *, names: Sequence[str] | str | None = None, rename: Rename = None, **inputs: Any
) -> Capture:
    r"""Run a torch model and record the outputs of its modules, by the names of a trace.

    Args:
        module: HF's LongformerModel or LongformerFor*, or a port of your own. Its mode stays: call `.eval()`.
        names: patterns of the names to record, as in `trace`.
        rename: maps the module's names to those of a trace, where they differ: a function that returns None for modules
            to leave out, or a mapping of regular expressions to replacements, applied in turn
            (`{r"^blocks\.(\d+)\.q$": r"encoder.layer.\1.attention.self.query"}`).
        inputs: the arguments of its forward; NumPy arrays become tensors on the module's device.

    HF's self-attention projects [seq, batch, hidden] and pads to a multiple of the window: such tensors are transposed,
    and the padding is removed. Its scores and probabilities, which no module outputs, are those of its softmax. The
    outputs of the model are recorded under HF's names, a single tensor under `output`.

    Raises:
        InputError: torch is not installed, or `module` is not a torch module.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError(f"capture_torch needs torch: {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    recorder = _HookRecorder(torch, name_filter(names))
    with ExitStack() as stack:
        for part, known in _named_parts(module, _renamer(rename)):
            for handle in recorder.hooks(known, part):
                stack.callback(handle.remove)
        stack.enter_context(recorder.watch_softmax())
        stack.enter_context(torch.no_grad())
        output = module(**{name: _tensor(torch, module, value) for name, value in inputs.items()})
    recorder.outputs(output)
    return Capture(recorder.tensors(_shape_of(inputs)), f"torch {type(module).__name__}")


class _HookRecorder:
    """Copies the outputs of modules during the forward pass: HF later changes some of them in place."""

    def __init__(self, torch: Any, chosen: Callable[[str], bool]) -> None:
        self._torch, self._chosen = torch, chosen
        self._tensors: dict[str, tuple[Array, str]] = {}
        self._sequence_first: set[str] = set()
        self._attention: tuple[str, Any] | None = None  # name and module of the self-attention that is running

    def hooks(self, names: Sequence[str], part: Any) -> list[Any]:
        """Hook a module; returns the handles. Repeated calls of a module are recorded under its names in turn."""
        name, calls = names[0], count()
        if _is_hf_attention(part):
            projections = [f"{name}.{which}{kind}" for which in ("query", "key", "value") for kind in ("", "_global")]
            self._sequence_first.update(projections)
            return [
                part.register_forward_pre_hook(lambda part, *given: self._enter(name, part, *given), with_kwargs=True),
                part.register_forward_hook(lambda part, given, output: self._leave(name, output)),
            ]

        def take(part: Any, given: Any, output: Any) -> None:
            name = names[min(next(calls), len(names) - 1)]
            self.take(name, output[0] if isinstance(output, tuple | list) and output else output)

        return [part.register_forward_hook(take)]

    def _enter(self, name: str, part: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Make HF's self-attention return its probabilities; `_leave` removes them from its output."""
        self._attention = name, part
        bound = inspect.signature(part.forward).bind(*args, **kwargs)
        self._asked = bool(bound.arguments.get("output_attentions"))
        bound.arguments["output_attentions"] = True
        return bound.args, bound.kwargs

    def _leave(self, name: str, output: Any) -> Any:
        self._attention = None
        self.take(name, output[0])
        for kind, maps in zip(("", "_global"), output[1:], strict=False):
            axes = (2, 3) if kind else (1, 2)
            self.take(f"{name}.probabilities{kind}", maps.transpose(*axes))
        return output if self._asked else output[:1]

    @contextmanager
    def watch_softmax(self) -> Iterator[None]:
        """Record the scores that HF's self-attention passes to softmax, on this thread."""
        functional, thread = self._torch.nn.functional, threading.get_ident()
        with _SOFTMAX:
            original = functional.softmax

            def softmax(scores: Any, *args: Any, **options: Any) -> Any:
                if self._attention is not None and threading.get_ident() == thread:
                    self.scores(*self._attention, scores)
                return original(scores, *args, **options)

            functional.softmax = softmax
            try:
                yield
            finally:
                functional.softmax = original

    def scores(self, name: str, part: Any, scores: Any) -> None:
        """Record scores: [batch, seq, heads, columns] of local queries, [batch * heads, slots, seq] of global ones."""
        if scores.ndim == 4:
            self.take(f"{name}.scores", scores.transpose(1, 2))
        elif scores.ndim == 3:
            by_head = scores.reshape(-1, part.num_heads, *scores.shape[1:])
            self.take(f"{name}.scores_global", by_head.transpose(2, 3))

    def take(self, name: str, value: Any) -> None:
        """Record a copy of a tensor; other values are ignored."""
        if not isinstance(value, self._torch.Tensor) or not self._chosen(name):
            return
        array, dtype = to_numpy(name, value.detach().clone())
        if name in self._tensors and split_layer(name)[1].startswith(("intermediate", "output")):
            # With HF's chunk_size_feed_forward the layer runs on some tokens at a time.
            array = np.concatenate([self._tensors[name][0], array], axis=1)
        self._tensors[name] = array, dtype

    def outputs(self, output: Any) -> None:
        """Record the outputs of the model."""
        fields = output if isinstance(output, Mapping) else {SINGLE_OUTPUT: output}
        for name in (SINGLE_OUTPUT, *OUTPUTS):
            self.take(name, fields.get(name))

    def tensors(self, shape: tuple[int, int] | None) -> dict[str, tuple[Array, str]]:
        """The tensors, batch first and without padding to the window. shape: (rows, seq) of the input, if known."""
        return {
            name: (_batch_first(name, array, shape, name in self._sequence_first), dtype)
            for name, (array, dtype) in self._tensors.items()
        }


def _named_parts(module: Any, named: Callable[[str], str | None]) -> list[tuple[Any, list[str]]]:
    """The modules with their names, in order; a module that layers share has several names."""
    parts: dict[int, tuple[Any, list[str]]] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        known = named(name) if name else None
        if known is not None:
            parts.setdefault(id(part), (part, []))[1].append(known)
    return list(parts.values())


def _batch_first(name: str, array: Array, shape: tuple[int, int] | None, sequence_first: bool) -> Array:
    if sequence_first and array.ndim == 3:
        array = array.swapaxes(0, 1)
    entry = lookup(canonical_name(name))
    if entry is None or shape is None or array.shape[0] != shape[0]:
        return array
    axis = {TOKENS: 1, BAND: 2, COLUMNS: 2}.get(entry.layout, 0)
    if axis and array.ndim == axis + 2 and array.shape[axis] > shape[1]:
        array = array.take(range(shape[1]), axis=axis)
    return array


def _is_hf_attention(part: Any) -> bool:
    """Whether a module is HF's self-attention or a subclass: only then its softmax is known to take the scores."""
    return any(
        kind.__name__ == "LongformerSelfAttention" and kind.__module__.startswith("transformers.")
        for kind in type(part).__mro__
    )


def _renamer(rename: Rename) -> Callable[[str], str | None]:
    if rename is None:
        return strip_prefix
    if callable(rename):
        return lambda name: None if (new := rename(name)) is None else strip_prefix(new)
    rules = dict(rename)

    def apply(name: str) -> str:
        for pattern, replacement in rules.items():
            name = re.sub(pattern, replacement, name)
        return strip_prefix(name)

    return apply


def _shape_of(inputs: Mapping[str, Any]) -> tuple[int, int] | None:
    """(rows, seq) of the batch; choices count as rows."""
    for name, axes in (("input_ids", 1), ("inputs_embeds", 2)):
        if inputs.get(name) is not None:
            *rows, length = np.shape(inputs[name])[: np.ndim(inputs[name]) - axes + 1]
            return int(np.prod(rows)), length
    return None


def _tensor(torch: Any, module: Any, value: Any) -> Any:
    """An argument of the module: arrays and lists become tensors on its device, floats in the dtype of its weights."""
    if not isinstance(value, np.ndarray | list | torch.Tensor):
        return value
    weights = next(module.parameters(), torch.empty(0))
    tensor = torch.as_tensor(np.array(value) if isinstance(value, np.ndarray) else value, device=weights.device)
    return tensor.to(weights.dtype) if tensor.is_floating_point() else tensor
