"""Traces: every intermediate of a forward pass, by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...config import LongformerConfig
from ...errors import CheckpointError, InputError
from ...files import replacing
from ...hf_names import accepts, accepts_names, check_path, unknown_key
from ...model.base import LongformerPreTrainedModel
from ...model.observer import Observer
from ...reference.ops import Array
from .metadata import Run
from .recorder import Index, Recorder, masked_value, name_filter, output_arrays
from .tensor_file import TensorFile, read_tensors
from .tensor_names import OUTPUTS, aliases, canonical_name, computation_order

# The tensors that outputs are equal to, so that each is stored once.
_EQUAL_TENSORS = {
    "pooler_output": ("pooler.activation",),
    "logits": ("lm_head.decoder", "classifier.out_proj", "classifier"),
}
_FORMAT = "lf_ref.trace 1"
_INPUT, _VISIBLE, _GLOBAL = "input:", "visible", "is_global"


@accepts()
class Trace(Mapping[str, Array]):
    """The intermediates and outputs of one forward pass, in order of computation, by HF's module names.

    A tensor may have aliases, HF's modules that return the same values: `encoder.layer.3` is
    `encoder.layer.3.output.LayerNorm`. All names are keys; `canonical_names` are the canonical names alone.

    tensors: float, by name, in the shapes of HF's modules. run: metadata of the forward pass. model: the model that
    ran, if known; `compare` measures tolerances with it. sampled: the canonical names of tensors of which only some
    tokens, or some keys of an attention map, are there, so that positions in them mean nothing.
    """

    def __init__(
        self,
        tensors: Mapping[str, Array],
        run: Run,
        model: LongformerPreTrainedModel | None = None,
        sampled: Collection[str] = (),
    ) -> None:
        self.run, self.model, self.sampled = run, model, frozenset(sampled)
        self._tensors = dict(sorted(tensors.items(), key=lambda item: computation_order(item[0])))
        self._same = _same_outputs(self._tensors, run)
        self.calibrations: dict[Any, Any] = {}  # a cache of `compare`

    @property
    def canonical_names(self) -> tuple[str, ...]:
        """The canonical names, without aliases, outputs last."""
        return (*(name for name in self._tensors if name not in OUTPUTS), *self.run.outputs)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, each canonical name followed by its aliases, outputs last."""
        found: dict[str, None] = {}
        for name in self._tensors:
            if name not in OUTPUTS:
                found |= dict.fromkeys([name, *(other for other in aliases(name) if other not in self._tensors)])
        return (*found, *self.run.outputs)

    def canonical_name(self, name: str) -> str:
        """The canonical name of the tensor `name`."""
        name = self._same.get(name, name)
        return name if name in self._tensors else canonical_name(name)

    def __getitem__(self, name: str) -> Array:
        try:
            return self._tensors[self.canonical_name(name)]
        except (KeyError, TypeError):
            raise unknown_key(self, name, self.canonical_names) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        rows, seq = self.run.visible.shape
        return (
            f"<Trace of {self.run.class_name}, {self.run.dtype} by {self.run.backend}: "
            f"{len(self.canonical_names)} tensors ({len(self)} names) of {rows} x {seq} tokens>"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace to the safetensors file `path`: each tensor once, and the run in the metadata."""
        with replacing(Path(path)) as temporary, _writing(temporary, self.run.config) as file:
            _begin(file, self.run.inputs)
            for name, array in self._tensors.items():
                file.create(name, array.shape, array.dtype)[...] = array
            _finish(file, self.run)

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: LongformerPreTrainedModel | None = None) -> Trace:
        """Open a file that `save` or `trace(..., stream=...)` wrote; tensors are read on access.

        path: of the file. model: the model that ran, so that `compare` can measure tolerances.

        Raises:
            CheckpointError: the file is damaged. InputError: it is not a trace. ConfigError: its config is invalid.
        """
        tensors, metadata = read_tensors(Path(path))
        if metadata.get("format") != _FORMAT:
            raise InputError(f"{path} is not a trace: its metadata lacks the format {_FORMAT!r}; Trace.save writes it")
        inputs = {name[len(_INPUT) :]: tensors.pop(name) for name in list(tensors) if name.startswith(_INPUT)}
        try:
            run = Run(
                metadata["class"],
                LongformerConfig.from_dict(json.loads(metadata["config"])),
                metadata["dtype"],
                metadata["backend"],
                inputs,
                tensors.pop(_VISIBLE).astype(bool),
                tensors.pop(_GLOBAL).astype(bool),
                tuple(json.loads(metadata["outputs"])),
            )
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise CheckpointError(f"{path} is a damaged trace: {type(error).__name__}: {error}") from error
        return cls(tensors, run, model)


@accepts_names()
def trace(
    model: LongformerPreTrainedModel,
    *,
    names: Sequence[str] | str | None = None,
    backend: str = "numpy",
    stream: str | os.PathLike[str] | None = None,
    **inputs: Any,
) -> Trace:
    """Run a model and record every intermediate.

    Args:
        model: any of the model classes; the run uses its dtype, best float64.
        names: patterns of the names to record, such as `"encoder.layer.0.*"` or `["*.probabilities", "logits"]`; all if
            None.
        backend: "numpy" runs the reference implementation, whatever the model's backend is, and records every tensor;
            "numba" runs the fast kernels, which fuse operations: tensors that they never form are missing. They form
            probabilities only with `output_attentions=True`.
        stream: path of a safetensors file to write during the run; memory then holds one layer's tensors at most, and
            the result reads from the file.
        inputs: the arguments of the model, by name. None of them is changed.

    Raises:
        InputError: the arguments do not fit the model; no name matches the patterns; the backend is "numpy" and the
            weights are reduced; the folder of the stream does not exist.
    """
    if not isinstance(model, LongformerPreTrainedModel):
        raise InputError(
            f"model must be a model of lf_ref, got {type(model).__name__}; for a torch module use capture_torch"
        )
    if stream is None:
        tensors: dict[str, Array] = {}

        def create(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
            return tensors.setdefault(name, np.zeros(shape, dtype))

        return Trace(tensors, _run(model, create, names, backend, inputs), model)
    check_path("stream", stream)
    path = Path(stream)
    if not path.parent.is_dir():
        raise InputError(f"stream: the folder {path.parent} does not exist; create it to write {path.name} there")
    with replacing(path) as temporary, _writing(temporary, model.config) as file:
        _begin(file, given_arrays(inputs))
        _finish(file, _run(model, file.create, names, backend, inputs))
    return Trace.load(path, model)


def changed_trace(model: LongformerPreTrainedModel, change: Observer, inputs: Mapping[str, Any]) -> Trace:
    """The trace of a forward pass that continues with what `change` returns, by the reference implementation."""
    tensors: dict[str, Array] = {}

    def create(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return tensors.setdefault(name, np.zeros(shape, dtype))

    return Trace(tensors, _run(model, create, None, "numpy", inputs, change))


Create = Callable[[str, tuple[int, ...], "np.dtype[Any]"], Array]


class _Changed:
    """Records what another observer returns."""

    def __init__(self, recorder: Recorder, change: Observer) -> None:
        self._recorder, self._change = recorder, change

    def begin(self, inputs: Any) -> None:
        self._recorder.begin(inputs)
        self._change.begin(inputs)

    def __call__(self, name: str, array: Array, row: int | None = None, /) -> Array:
        return self._recorder(name, self._change(name, array, row), row)


class _Collector(Recorder):
    """Copies pieces into tensors that `create` allocates."""

    def __init__(self, config: LongformerConfig, names: Sequence[str] | str | None, create: Create) -> None:
        super().__init__(config, name_filter(names))
        self._create = create
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._open: dict[str, Array] = {}
        self._layer: object = None

    def put(self, name: str, shape: tuple[int, ...], index: Index, piece: Array) -> None:
        """As in `Recorder`. All rows finish a layer before one enters the next: its tensors are released then."""
        layer = computation_order(name)[:2]
        if layer != self._layer:
            self._open, self._layer = {}, layer
        if name not in self._open:
            self._open[name], self.shapes[name] = self._create(name, shape, piece.dtype), shape
            if masked_value(name):
                self._open[name][...] = masked_value(name)  # rows without global tokens may have no piece
        self._open[name][index] = piece


def _run(
    model: LongformerPreTrainedModel,
    create: Create,
    names: Sequence[str] | str | None,
    backend: str,
    inputs: Mapping[str, Any],
    change: Observer | None = None,
) -> Run:
    collector = _Collector(model.config, names, create)
    observed: Any = model.observed(collector if change is None else _Changed(collector, change), backend)
    record = observed(**{**inputs, "return_dict": True})
    outputs = {name: value for name, value in output_arrays(record).items() if collector.chosen(name)}
    run = Run(
        type(model).__name__,
        model.config.replaced(),
        model.dtype.name,
        backend,
        given_arrays(inputs),
        collector.inputs.visible,
        collector.inputs.is_global,
        tuple(outputs),
    )
    known = _same_outputs({name: np.empty(0) for name in collector.shapes}, run)
    for name, value in outputs.items():
        if collector.shapes.get(known.get(name, "")) != value.shape:
            create(name, value.shape, value.dtype)[...] = value
    if not collector.shapes and not outputs:
        raise InputError(f"no tensor of this trace matches names={names!r}; list(trace(model, ...)) gives all names")
    return run


def given_arrays(inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Copies of the arguments of a call that are arrays, as NumPy arrays."""
    left_out = ("output_attentions", "output_hidden_states", "return_dict")
    return {
        name: np.asarray(value).copy() for name, value in inputs.items() if value is not None and name not in left_out
    }


def _same_outputs(tensors: Mapping[str, Array], run: Run) -> dict[str, str]:
    """The outputs that are stored as an intermediate: its name, by that of the output."""
    last = f"encoder.layer.{run.config.num_hidden_layers - 1}.output.LayerNorm"
    equal = {**_EQUAL_TENSORS, "last_hidden_state": (last,)}
    found = {name: next((other for other in equal.get(name, ()) if other in tensors), "") for name in run.outputs}
    return {name: other for name, other in found.items() if other and name not in tensors}


def _writing(path: Path, config: LongformerConfig) -> TensorFile:
    return TensorFile(path, tensors=64 + 32 * config.num_hidden_layers, metadata=len(config.to_json_string()) + 1024)


def _begin(file: TensorFile, inputs: Mapping[str, Array]) -> None:
    """Write the inputs, converted to eight bytes per element, so that the tensors that follow are aligned."""
    for name, value in inputs.items():
        dtype = np.dtype(np.float64 if value.dtype.kind == "f" else np.int64)
        file.create(_INPUT + name, value.shape, dtype)[...] = value


def _finish(file: TensorFile, run: Run) -> None:
    for name, mask in ((_VISIBLE, run.visible), (_GLOBAL, run.is_global)):
        file.create(name, mask.shape, np.dtype(np.uint8))[...] = mask
    file.metadata = {
        "format": _FORMAT,
        "class": run.class_name,
        "config": json.dumps(run.config.to_dict()),
        "dtype": run.dtype,
        "backend": run.backend,
        "outputs": json.dumps(run.outputs),
    }
