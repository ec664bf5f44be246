"""The sides that can be compared, and the facts about each that need no import."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LfRefError

if TYPE_CHECKING:
    from .sides import Side

DTYPES = ("float32", "bfloat16", "int8")
OURS = "lf_ref"

_ATTENTION = ("attention", "attention-half", "attention-quarter")
_ENCODER_ONLY = dict.fromkeys(
    ("batch", "classification", "masked-lm", "masked-lm-near", *_ATTENTION),
    "only the encoder of one text with its first token global is rewritten",
)
_ONE_SHAPE = "a converted model has one shape: every other length is another conversion"
_CONVERTED = {
    "batch": _ONE_SHAPE,
    "one-by-one": _ONE_SHAPE,
    **dict.fromkeys((*_ATTENTION, "matmul"), "only whole models are converted"),
}


class SideError(LfRefError):
    """A side cannot run a workload; the message is the reason in one line."""


@dataclass(frozen=True)
class Kind:
    """A side: the module of its class, its dtypes, the packages that its speed depends on, and what it cannot run.

    cannot: the reason by the name of a piece of work.
    """

    module: str
    class_name: str
    dtypes: tuple[str, ...]
    packages: tuple[str, ...] = ()
    cannot: dict[str, str] = field(default_factory=dict)


KINDS = {
    OURS: Kind("sides", "Ours", DTYPES),
    "float32": Kind("sides", "Ours", ("float32",)),
    "bfloat16": Kind("sides", "Ours", ("bfloat16",)),
    "transformers": Kind(
        "peer",
        "Transformers",
        ("float32", "bfloat16"),
        ("torch", "transformers"),
        {"matmul": "torch's own is measured beside torch-sdpa"},
    ),
    "torch-sdpa": Kind("sdpa", "TorchSdpa", ("float32", "bfloat16"), ("torch",), _ENCODER_ONLY),
    "openvino-sdpa": Kind(
        "engines", "OpenVinoSdpa", ("float32", "bfloat16"), ("openvino", "torch"), {**_ENCODER_ONLY, **_CONVERTED}
    ),
    "openvino": Kind("engines", "OpenVino", ("float32", "bfloat16"), ("openvino", "torch", "transformers"), _CONVERTED),
    "onnxruntime": Kind(
        "engines", "OnnxRuntime", ("float32",), ("onnxruntime", "onnx", "torch", "transformers"), _CONVERTED
    ),
}
PEERS = tuple(name for name in KINDS if name != OURS)


@dataclass(frozen=True)
class Setup:
    """The settings of a side, in this process or a subprocess. folder: its checkpoint, in `dtype`."""

    name: str
    folder: Path
    num_threads: int
    dtype: str

    def open(self) -> Side:
        """The side; packages are loaded now, the checkpoint on first use.

        Raises:
            InputError: a package is missing.
        """
        kind = KINDS[self.name]
        return getattr(import_module(f".{kind.module}", __package__), kind.class_name)(
            self.folder, self.num_threads, self.dtype
        )


def setup(name: str, folder: Path, num_threads: int, dtype: str) -> Setup:
    """A side in a dtype, or in its first if it does not have it; checkpoints lie in `folder`, one for each dtype."""
    chosen = dtype if dtype in KINDS[name].dtypes else KINDS[name].dtypes[0]
    return Setup(name, folder / chosen, num_threads, chosen)


def left_out(dtype: str, peer: str | None) -> dict[str, str]:
    """The workloads that are not measured in a dtype or with a peer: reasons by name."""
    reasons = {} if peer is None else dict(KINDS[peer].cannot)
    if dtype != "float32":
        reasons |= dict.fromkeys(_ATTENTION, "the band attention alone is measured in float32 only")
    return reasons
