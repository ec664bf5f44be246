"""Every intermediate of a forward, by name."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..config import LongformerConfig
from ..errors import CheckpointError, InputError
from ..files import replacing
from ..hf_names import accepts, accepts_names, check_path, unknown_key
from ..model.base import LongformerPreTrainedModel
from ..reference.ops import Array
from .names import OUTPUTS, aliases, order, primary
from .placing import Index, Placer, chooser, nothing_in, outputs_of
from .run import Run
from .tensor_file import TensorFile, read_tensors

# Where an output's values have a place, so that they need not be kept twice.
_OUTPUT_PLACES = {
    "pooler_output": ("pooler.activation",),
    "logits": ("lm_head.decoder", "classifier.out_proj", "classifier"),
}
_FORMAT = "lf_ref.trace 1"
_INPUT, _VISIBLE, _GLOBAL = "input:", "visible", "is_global"


@accepts()
class Trace(Mapping[str, Array]):
    """The intermediates and outputs of one forward, in order of computation, by the names of `lf_ref.testing.names`.

    A place may have several names, HF's modules that pass on the same values: `encoder.layer.3` is
    `encoder.layer.3.output.LayerNorm`. All of them are keys; `places` are the first ones alone.

    tensors: float, by name, in the shapes of HF's modules. run: what it is of. model: what computed it, if that
    is known; `compare` measures tolerances with it.
    """

    def __init__(self, tensors: Mapping[str, Array], run: Run, model: LongformerPreTrainedModel | None = None) -> None:
        self.run, self.model = run, model
        self._tensors = dict(sorted(tensors.items(), key=lambda item: order(item[0])))
        self._same = _same_outputs(self._tensors, run)
        self.calibrations: dict[Any, Any] = {}  # kept by `compare`

    @property
    def places(self) -> tuple[str, ...]:
        """The names without aliases, outputs last."""
        return (*(name for name in self._tensors if name not in OUTPUTS), *self.run.outputs)

    @property
    def names(self) -> tuple[str, ...]:
        """All names, aliases behind what they stand for, outputs last."""
        found: dict[str, None] = {}
        for name in self._tensors:
            if name not in OUTPUTS:
                found |= dict.fromkeys([name, *(other for other in aliases(name) if other not in self._tensors)])
        return (*found, *self.run.outputs)

    def place(self, name: str) -> str:
        """The first name of what `name` stands for."""
        name = self._same.get(name, name)
        return name if name in self._tensors else primary(name)

    def __getitem__(self, name: str) -> Array:
        try:
            return self._tensors[self.place(name)]
        except (KeyError, TypeError):
            raise unknown_key(self, name, self.places) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        rows, seq = self.run.visible.shape
        return (
            f"<Trace of {self.run.class_name}, {self.run.dtype} by {self.run.backend}: "
            f"{len(self.places)} tensors ({len(self)} names) of {rows} x {seq} tokens>"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace to the safetensors file `path`, each place once, with what it is of in the metadata."""
        with replacing(Path(path)) as temporary, _writing(temporary, self.run.config) as file:
            _begin(file, self.run.inputs)
            for name, array in self._tensors.items():
                file.create(name, array.shape, array.dtype)[...] = array
            _finish(file, self.run)

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: LongformerPreTrainedModel | None = None) -> Trace:
        """Open a file that `save` or `trace(..., stream=...)` wrote; tensors are read when they are asked for.

        path: the file. model: what computed it, so that `compare` can measure tolerances.

        Raises:
            CheckpointError: the file is damaged. InputError: it is no trace. ConfigError: its config breaks a rule.
        """
        tensors, metadata = read_tensors(Path(path))
        if metadata.get("format") != _FORMAT:
            raise InputError(f"{path} is not a trace: its metadata has no format {_FORMAT!r}; write it with trace()")
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
    """Run a model and keep every intermediate.

    Args:
        model: any of the model classes; its dtype, float64 for an oracle, is that of the run.
        names: patterns of the names to keep, such as `"encoder.layer.0.*"` or `["*.probabilities", "logits"]`; all if
            None.
        backend: "numpy" runs the definition, whatever the model's own backend is, which forms everything; "numba" runs
            the fast kernels, which fuse much of it: what they never form is not there. Probabilities they form where
            `output_attentions=True` asks for them.
        stream: a safetensors file to write to as it goes; no more than one layer's tensors is in memory then, and the
            result reads from the file.
        inputs: the arguments of the model, by name. Nothing that is given is changed.

    Raises:
        InputError: the arguments do not fit the model; no name is like the patterns; "numpy" for reduced weights; there
            is no folder for the stream.
    """
    if not isinstance(model, LongformerPreTrainedModel):
        raise InputError(f"model must be one of lf_ref's models, got {type(model).__name__}; see capture_torch")
    if stream is None:
        kept: dict[str, Array] = {}

        def create(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
            return kept.setdefault(name, np.zeros(shape, dtype))

        return Trace(kept, _run(model, create, names, backend, inputs), model)
    check_path("stream", stream)
    path = Path(stream)
    if not path.parent.is_dir():
        raise InputError(f"stream: there is no folder {path.parent} to write {path.name} to")
    with replacing(path) as temporary, _writing(temporary, model.config) as file:
        _begin(file, given_arrays(inputs))
        _finish(file, _run(model, file.create, names, backend, inputs))
    return Trace.load(path, model)


Create = Callable[[str, tuple[int, ...], "np.dtype[Any]"], Array]


class _Collector(Placer):
    """Copies pieces into tensors, which `create` makes."""

    def __init__(self, config: LongformerConfig, names: Sequence[str] | str | None, create: Create) -> None:
        super().__init__(config, chooser(names))
        self._create = create
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._open: dict[str, Array] = {}
        self._layer: object = None

    def put(self, name: str, shape: tuple[int, ...], index: Index, piece: Array) -> None:
        """As in `Placer`. All rows have left a layer when the first enters the next: its tensors are then let go."""
        layer = order(name)[:2]
        if layer != self._layer:
            self._open, self._layer = {}, layer
        if name not in self._open:
            self._open[name], self.shapes[name] = self._create(name, shape, piece.dtype), shape
            if nothing_in(name):
                self._open[name][...] = nothing_in(name)  # rows without global tokens may bring no piece
        self._open[name][index] = piece


def _run(
    model: LongformerPreTrainedModel,
    create: Create,
    names: Sequence[str] | str | None,
    backend: str,
    inputs: Mapping[str, Any],
) -> Run:
    collector = _Collector(model.config, names, create)
    observed: Any = model.observed(collector, backend)
    record = observed(**{**inputs, "return_dict": True})
    outputs = {name: value for name, value in outputs_of(record).items() if collector.chosen(name)}
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
        raise InputError(f"no name of this trace is like {names!r}; the names are those of lf_ref.testing.names")
    return run


def given_arrays(inputs: Mapping[str, Any]) -> dict[str, Array]:
    """The arguments of a call that are arrays, as NumPy arrays of their own."""
    left_out = ("output_attentions", "output_hidden_states", "return_dict")
    return {
        name: np.asarray(value).copy() for name, value in inputs.items() if value is not None and name not in left_out
    }


def _same_outputs(tensors: Mapping[str, Array], run: Run) -> dict[str, str]:
    """The outputs that are kept as the place they come from."""
    last = f"encoder.layer.{run.config.num_hidden_layers - 1}.output.LayerNorm"
    places = {**_OUTPUT_PLACES, "last_hidden_state": (last,)}
    found = {name: next((place for place in places.get(name, ()) if place in tensors), "") for name in run.outputs}
    return {name: place for name, place in found.items() if place and name not in tensors}


def _writing(path: Path, config: LongformerConfig) -> TensorFile:
    return TensorFile(path, tensors=64 + 32 * config.num_hidden_layers, metadata=len(config.to_json_string()) + 1024)


def _begin(file: TensorFile, inputs: Mapping[str, Array]) -> None:
    """The inputs, widened to eight bytes, so that all that follows is aligned."""
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
