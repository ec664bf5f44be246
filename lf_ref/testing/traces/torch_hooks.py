"""The intermediates of a torch model, by forward hooks, in the layouts of a trace. torch is imported inside alone."""

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
from .interchange import to_host
from .named_tensors import NamedTensors
from .recorder import chooser
from .tensor_names import BAND, COLUMNS, ONLY, OUTPUTS, TOKENS, bare, place_of, primary, split

Rename = Callable[[str], "str | None"] | Mapping[str, str] | None

# HF's attention finds its softmax in torch.nn.functional, where one capture at a time may stand before it. A mode of
# torch.overrides would leave that alone, but sees only what a softmax that users put there passes on.
_SOFTMAX = threading.Lock()


class Capture(NamedTensors):
    """What a torch model computed: NumPy arrays by name, bfloat16 widened to float32.

    dtypes: the dtype that torch had each in.
    """

    def __init__(self, tensors: Mapping[str, tuple[Array, str]], title: str) -> None:
        super().__init__({name: array for name, (array, _) in tensors.items()}, title)
        self.dtypes = {bare(name): dtype for name, (_, dtype) in tensors.items()}

    def host(self, name: str) -> tuple[Array, str]:
        """As in `NamedTensors`, with torch's dtype."""
        return super().host(name)[0], self.dtypes[name]


@accepts_names()
def capture_torch(
    module: Any, *, names: Sequence[str] | str | None = None, rename: Rename = None, **inputs: Any
) -> Capture:
    r"""Run a torch model and keep what its modules give, by the names of a trace.

    Args:
        module: HF's LongformerModel or LongformerFor*, or a port of your own. It runs as it is: call `.eval()` before.
        names: patterns of the names to keep, as in `trace`.
        rename: from the module's names to those of a trace, where they differ: a function that gives None for what is
            to be left out, or a mapping of regular expressions to replacements, applied in turn
            (`{r"^blocks\.(\d+)\.q$": r"encoder.layer.\1.attention.self.query"}`).
        inputs: the arguments of its forward; NumPy arrays become tensors on the module's device.

    Of HF's self-attention, whose projections run on [seq, batch, hidden], the axes are turned and the padding to the
    window is cut off; its scores and probabilities, which no module gives, are those of its softmax. What the model
    returns is kept under HF's names, a single tensor under `output`.

    Raises:
        InputError: torch is not installed, or `module` is none of its modules.
    """
    try:
        import torch
    except ImportError as error:
        raise InputError(f"capture_torch needs torch: {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"module must be a torch.nn.Module, got {type(module).__name__}")
    recorder = _Recorder(torch, chooser(names))
    with ExitStack() as stack:
        for part, known in _named_parts(module, _renamer(rename)):
            for handle in recorder.hooks(known, part):
                stack.callback(handle.remove)
        stack.enter_context(recorder.watch_softmax())
        stack.enter_context(torch.no_grad())
        output = module(**{name: _tensor(torch, module, value) for name, value in inputs.items()})
    recorder.outputs(output)
    return Capture(recorder.laid_out(_shape_of(inputs)), f"torch {type(module).__name__}")


class _Recorder:
    """Takes copies of tensors as they come: HF goes on to change some in place."""

    def __init__(self, torch: Any, chosen: Callable[[str], bool]) -> None:
        self._torch, self._chosen = torch, chosen
        self._tensors: dict[str, tuple[Array, str]] = {}
        self._turned: set[str] = set()
        self._attention: tuple[str, Any] | None = None  # HF's self-attention that is running, and its name

    def hooks(self, names: Sequence[str], part: Any) -> list[Any]:
        """Hook a module; returns the handles. One that has several names is called under each of them in turn."""
        name, calls = names[0], count()
        if _is_hf_attention(part):
            projections = [f"{name}.{which}{kind}" for which in ("query", "key", "value") for kind in ("", "_global")]
            self._turned.update(projections)
            return [
                part.register_forward_pre_hook(lambda part, *given: self._enter(name, part, *given), with_kwargs=True),
                part.register_forward_hook(lambda part, given, output: self._leave(name, output)),
            ]

        def take(part: Any, given: Any, output: Any) -> None:
            name = names[min(next(calls), len(names) - 1)]
            self.take(name, output[0] if isinstance(output, tuple | list) and output else output)

        return [part.register_forward_hook(take)]

    def _enter(self, name: str, part: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Have HF's self-attention return its probabilities; `_leave` takes them off again."""
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
        """Take the scores that HF's self-attention gives to its softmax, on this thread."""
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
        """[batch, seq, heads, columns] of local queries, [batch * heads, slots, seq] of global ones."""
        if scores.ndim == 4:
            self.take(f"{name}.scores", scores.transpose(1, 2))
        elif scores.ndim == 3:
            by_head = scores.reshape(-1, part.num_heads, *scores.shape[1:])
            self.take(f"{name}.scores_global", by_head.transpose(2, 3))

    def take(self, name: str, value: Any) -> None:
        """Keep a copy of a tensor; what is no tensor is left out."""
        if not isinstance(value, self._torch.Tensor) or not self._chosen(name):
            return
        array, dtype = to_host(name, value.detach().clone())
        if name in self._tensors and split(name)[1].startswith(("intermediate", "output")):
            # HF's chunk_size_feed_forward: some tokens at a time.
            array = np.concatenate([self._tensors[name][0], array], axis=1)
        self._tensors[name] = array, dtype

    def outputs(self, output: Any) -> None:
        """Keep what the model returned."""
        fields = output if isinstance(output, Mapping) else {ONLY: output}
        for name in (ONLY, *OUTPUTS):
            self.take(name, fields.get(name))

    def laid_out(self, shape: tuple[int, int] | None) -> dict[str, tuple[Array, str]]:
        """The tensors batch first, and as long as the input, whose shape (rows, seq) is given where it is known."""
        return {
            name: (_laid_out(name, array, shape, name in self._turned), dtype)
            for name, (array, dtype) in self._tensors.items()
        }


def _named_parts(module: Any, named: Callable[[str], str | None]) -> list[tuple[Any, list[str]]]:
    """The modules and the names of each, in order; weights that layers share are one module of several names."""
    parts: dict[int, tuple[Any, list[str]]] = {}
    for name, part in module.named_modules(remove_duplicate=False):
        known = named(name) if name else None
        if known is not None:
            parts.setdefault(id(part), (part, []))[1].append(known)
    return list(parts.values())


def _laid_out(name: str, array: Array, shape: tuple[int, int] | None, turned: bool) -> Array:
    if turned and array.ndim == 3:
        array = array.swapaxes(0, 1)
    place = place_of(primary(name))
    if place is None or shape is None or array.shape[0] != shape[0]:
        return array
    axis = {TOKENS: 1, BAND: 2, COLUMNS: 2}.get(place.layout, 0)
    if axis and array.ndim == axis + 2 and array.shape[axis] > shape[1]:
        array = array.take(range(shape[1]), axis=axis)
    return array


def _is_hf_attention(part: Any) -> bool:
    """Whether a module is HF's, or a subclass of it: only there it is known what the softmax is given."""
    return any(
        kind.__name__ == "LongformerSelfAttention" and kind.__module__.startswith("transformers.")
        for kind in type(part).__mro__
    )


def _renamer(rename: Rename) -> Callable[[str], str | None]:
    if rename is None:
        return bare
    if callable(rename):
        return lambda name: None if (new := rename(name)) is None else bare(new)
    rules = dict(rename)

    def apply(name: str) -> str:
        for pattern, replacement in rules.items():
            name = re.sub(pattern, replacement, name)
        return bare(name)

    return apply


def _shape_of(inputs: Mapping[str, Any]) -> tuple[int, int] | None:
    """Rows and tokens of the batch; choices count as rows."""
    for name, axes in (("input_ids", 1), ("inputs_embeds", 2)):
        if inputs.get(name) is not None:
            *rows, length = np.shape(inputs[name])[: np.ndim(inputs[name]) - axes + 1]
            return int(np.prod(rows)), length
    return None


def _tensor(torch: Any, module: Any, value: Any) -> Any:
    """An argument for the module: arrays and lists become tensors where its weights are; floats get their dtype."""
    if not isinstance(value, np.ndarray | list | torch.Tensor):
        return value
    weights = next(module.parameters(), torch.empty(0))
    tensor = torch.as_tensor(np.array(value) if isinstance(value, np.ndarray) else value, device=weights.device)
    return tensor.to(weights.dtype) if tensor.is_floating_point() else tensor
