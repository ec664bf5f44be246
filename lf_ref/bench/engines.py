"""OpenVINO and ONNX Runtime as the other side: a model of torch, converted for one shape of input, saved, loaded again.

The model is HF's, or the encoder as `sdpa` rewrites it.

A converted model runs without torch, as in deployment. A conversion takes minutes and
much memory, so a subprocess does it, and also runs the result once, so that failures occur there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError
from ..files import write_beside
from ..reference.ops import Array
from .cells import cell
from .kinds import KINDS, Setup, SideError
from .peer import Folder, peer_modules
from .sdpa import SdpaEncoder
from .size import first_token

_INPUTS = ("input_ids", "attention_mask", "global_attention_mask")
_CLASSES = {
    "encoder": ("LongformerModel", {"add_pooling_layer": False}),
    "classifier": ("LongformerForSequenceClassification", {}),
    "masked_lm": ("LongformerForMaskedLM", {}),
}
_WORD = 5  # any word will do for an example

Run = Callable[[list[Array]], Array]


@dataclass(frozen=True)
class Graph:
    """A model to convert: a head for one shape of input, with the first token global or none.

    HF's model branches on the length of its input and on global attention, and a conversion fixes these branches.
    """

    head: str
    rows: int
    tokens: int
    some_global: bool

    @property
    def name(self) -> str:
        """As in the name of its file."""
        return f"{self.head}-{self.rows}x{self.tokens}-{'first' if self.some_global else 'none'}-global"

    def example(self) -> list[Array]:
        """Its inputs by their order, int64 [rows, tokens] each."""
        ids = np.full((self.rows, self.tokens), _WORD, np.int64)
        return [ids, np.ones_like(ids), first_token(ids) * int(self.some_global)]


class Engine:
    """An engine that runs converted models, as `lf_ref.bench.sides.Side` for texts of one length at a time."""

    name: ClassVar[str]
    suffix: ClassVar[str]

    def __init__(self, folder: Folder, num_threads: int, dtype: str) -> None:
        self._setup = Setup(self.name, Path(folder), num_threads, dtype)
        needed = KINDS[self.name].packages
        missing = [name for name in needed if find_spec(name) is None]
        if missing:
            raise InputError(
                f"comparing with {self.name} needs {', '.join(needed)}: pip install 'lf-ref[engines]' "
                f"(missing: {', '.join(missing)})"
            )
        self._package: Any = import_module(needed[0])
        self._opened: tuple[Graph, Run] | None = None

    def encoder(self, ids: Array, is_global: Array, visible: Array | None = None) -> Array:
        """As in `Side`, for texts of one length."""
        return self._answer("encoder", ids, is_global)

    def classifier(self, ids: Array) -> Array:
        """As in `Side`."""
        return self._answer("classifier", ids, first_token(ids))

    def masked_lm(self, ids: Array, is_global: Array, position: int) -> Array:
        """As in `Side`; the graph gives the scores of every token."""
        return self._answer("masked_lm", ids, is_global)[0, position]

    def attention(self, query: Array, key: Array, value: Array, heads: int, window: int) -> Callable[[], Array]:
        """Not supported: see `kinds`."""
        raise NotImplementedError

    def load(self, ids: Array, is_global: Array) -> None:
        """As in `Side`."""
        self._ready(_graph("encoder", ids, is_global))

    def convert(self, **fields: Any) -> dict[str, Any]:
        """Convert the graph with these fields, in this process, and run it once; returns the seconds and the bytes.

        Raises:
            SideError: it cannot be converted, or the result does not run.
        """
        graph = Graph(**fields)
        path = self._path(graph)
        path.parent.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        try:
            self._save(self._model(graph.head), graph.example(), path)
        except Exception as error:  # whatever the engine raises is the answer
            raise SideError(f"the conversion fails: {type(error).__name__}: {error}") from error
        facts = {
            "conversion_seconds": time.perf_counter() - start,
            "bytes": sum(file.stat().st_size for file in path.parent.iterdir()),
        }
        try:
            self._open(path)(graph.example())
        except Exception as error:
            raise SideError(f"it converts but does not run: {type(error).__name__}: {error}") from error
        return facts

    def _answer(self, head: str, ids: Array, is_global: Array) -> Array:
        return self._ready(_graph(head, ids, is_global))([ids, np.ones_like(ids), is_global])

    def _ready(self, graph: Graph) -> Run:
        """The session of a graph; only the last one stays open, to save memory."""
        if self._opened is None or self._opened[0] != graph:
            self._opened = None
            record = self._record(graph)
            if "failure" in record:
                raise SideError(record["failure"])
            self._opened = graph, self._open(self._path(graph))
        return self._opened[1]

    def _record(self, graph: Graph) -> dict[str, Any]:
        """The result of the conversion of a graph, which is done on first use."""
        path = self._path(graph).parent.with_suffix(".json")
        if not path.exists():
            record: dict[str, Any] = asdict(graph)
            try:
                record |= cell(self._setup, "convert", asdict(graph))
            except SideError as failure:
                record |= {"failure": str(failure)}
            path.parent.mkdir(parents=True, exist_ok=True)
            write_beside(path, json.dumps(record).encode())
        return json.loads(path.read_text(encoding="utf-8"))

    def _path(self, graph: Graph) -> Path:
        return self._setup.folder / self.name / graph.name / f"model{self.suffix}"

    def _model(self, head: str) -> Any:
        """What is converted."""
        return _exportable(self._setup.folder, head)

    def _save(self, model: Any, example: list[Array], path: Path) -> None:
        """Convert the model for inputs like the example, and save it."""
        raise NotImplementedError

    def _open(self, path: Path) -> Run:
        """Load a saved model."""
        raise NotImplementedError


class OpenVino(Engine):
    """OpenVINO, converted by its own front end for torch."""

    name, suffix = "openvino", ".xml"

    def _save(self, model: Any, example: list[Array], path: Path) -> None:
        tensors = tuple(map(import_module("torch").from_numpy, example))
        converted = self._package.convert_model(model, example_input=tensors, input=[a.shape for a in example])
        self._package.save_model(converted, path, compress_to_fp16=False)

    def _open(self, path: Path) -> Run:
        # By default it computes in bfloat16 if the processor can.
        precision = {"float32": "f32", "bfloat16": "bf16"}[self._setup.dtype]
        options = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self._setup.num_threads,
            "CACHE_DIR": str(path.parent / "compiled"),  # as lf_ref caches its kernels: compiled once, then loaded
        }
        compiled = self._package.Core().compile_model(path, "CPU", options)
        return lambda inputs: compiled(inputs, share_inputs=True, share_outputs=True)[0]


class OpenVinoSdpa(OpenVino):
    """OpenVINO, with the encoder as `sdpa` rewrites it."""

    name = "openvino-sdpa"

    def _model(self, head: str) -> Any:
        encoder = SdpaEncoder(self._setup.folder, "float32", eager=False)
        module = import_module("torch").nn.Module()
        module.forward = lambda input_ids, attention_mask, global_attention_mask: encoder(input_ids)
        return module

    def _save(self, model: Any, example: list[Array], path: Path) -> None:
        torch = import_module("torch")
        tensors = tuple(map(torch.from_numpy, example))
        model(*tensors)  # makes the masks, so that they are constants of the graph
        super()._save(torch.jit.trace(model, tensors, check_trace=False), example, path)


class OnnxRuntime(Engine):
    """ONNX Runtime, converted by torch's own exporter."""

    name, suffix = "onnxruntime", ".onnx"

    def _save(self, model: Any, example: list[Array], path: Path) -> None:
        torch = import_module("torch")
        tensors = tuple(map(torch.from_numpy, example))
        # The newer exporter (dynamo=True) stops at the model's `if is_global_attn`.
        torch.onnx.export(model, tensors, path, input_names=_INPUTS, dynamo=False)

    def _open(self, path: Path) -> Run:
        options = self._package.SessionOptions()
        options.intra_op_num_threads = self._setup.num_threads
        session = self._package.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        kept = {given.name for given in session.get_inputs()}  # a conversion drops unused inputs
        return lambda inputs: session.run(None, {n: a for n, a in zip(_INPUTS, inputs, strict=True) if n in kept})[0]


def conversions(setup: Setup) -> list[dict[str, Any]]:
    """The conversions for a side: the fields of each graph, with seconds and bytes, or the failure."""
    records = sorted((setup.folder / setup.name).glob("*.json"))
    return [json.loads(record.read_text(encoding="utf-8")) for record in records]


def _graph(head: str, ids: Array, is_global: Array) -> Graph:
    rows, tokens = ids.shape
    return Graph(head, rows, tokens, bool(is_global.any()))


def _exportable(folder: Path, head: str) -> Any:
    """HF's model, ready to be converted."""
    torch, transformers = peer_modules()
    class_name, options = _CLASSES[head]
    # `onnx_export` is HF's own switch for this; without it an ONNX graph computes wrong values.
    model = getattr(transformers, class_name).from_pretrained(folder, dtype=torch.float32, onnx_export=True, **options)
    return model.eval().requires_grad_(False)
