"""HF's methods and attributes of models that have a meaning here, and the alternatives to the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..checkpoint.names import DECODER_BIAS, stored_name
from ..config import LongformerConfig
from ..errors import InputError
from ..hf_names import LOCATING, Alias, Fixed, HFNamed, HFNames, Ignored, accepts
from ..reference.ops import Array
from .inputs import integers

Self = TypeVar("Self", bound="HFMethods")

_INT8 = 'dtype="int8" quantizes while it loads, and `lf-ref quantize` makes a checkpoint of it'
_DTYPE = "give dtype= to from_pretrained()"
_TRAIN = "lf_ref computes no gradients; train with HF transformers, save_pretrained() there and load the folder here"
_CPU = "lf_ref runs on the CPU; leave it out, or give num_threads= to from_pretrained()"
_UPLOAD = "save_pretrained() writes a folder; huggingface_hub.upload_folder uploads it"

# HF's arguments of the methods of a model, by method.
FROM_PRETRAINED: HFNames = {
    **LOCATING,
    "torch_dtype": Alias("dtype"),
    "attn_implementation": Fixed(("eager", "sdpa", None), "there is one attention, the paper's, computed by kernels"),
    "device_map": Fixed((None, "cpu", "auto", "{'': 'cpu'}"), _CPU),
    "weights_only": Fixed((True,), "no other objects than weights are read from a file"),
    "ignore_mismatched_sizes": Fixed((False,), "nothing is made up: choose the class, or num_labels=, that fits"),
    "from_tf": Fixed((False,), "leave it out; a tf_model.h5 is read where there are no other weights"),
    "from_flax": Fixed((False,), "convert it with HF transformers to safetensors"),
    "gguf_file": Fixed((None,), "load the checkpoint that the GGUF file was made from"),
    "quantization_config": Fixed((None,), _INT8),
    "load_in_8bit": Fixed((False, None), _INT8),
    "load_in_4bit": Fixed((False, None), _INT8),
    "output_loading_info": Fixed((False,), "a loaded model has no missing weights; a warning names unused ones"),
    "low_cpu_mem_usage": Ignored("weights are mapped into memory, and read when they are used"),
    "_fast_init": Ignored("nothing is initialized"),
    "use_flash_attention_2": Fixed((False, None), "there is one attention, the paper's, computed by kernels"),
    "key_mapping": Fixed((None,), "rename the weights yourself, and give them as state_dict="),
    "adapter_kwargs": Fixed((None,), "merge adapters with peft, and load the result"),
    "generation_config": Fixed((None,), "a Longformer generates no text"),
    **dict.fromkeys(("max_memory", "offload_folder", "tp_plan", "tp_size", "device_mesh"), Fixed((None,), _CPU)),
    **dict.fromkeys(("offload_state_dict", "offload_buffers"), Fixed((False, None), _CPU)),
}
SAVE_PRETRAINED: HFNames = {
    "safe_serialization": Fixed((True,), "model.safetensors is written; HF reads it"),
    "push_to_hub": Fixed((False,), _UPLOAD),
    "is_main_process": Fixed((True,), "call it in the main process only"),
    "variant": Fixed((None,), "rename model.safetensors afterwards"),
    "save_function": Fixed((None,), "model.safetensors is written; save state_dict() with it"),
    "token": Ignored("nothing is uploaded"),
    "save_peft_format": Ignored("there are no adapters"),
    "max_shard_size": Ignored("one file is written, mapped into memory when it is read"),
}
_ALL = Fixed((True,), "a model here has no submodules")
PARAMETERS: HFNames = {"recurse": _ALL}
NAMED_PARAMETERS: HFNames = {
    "prefix": Fixed(("",), "put it before the names yourself"),
    "recurse": _ALL,
    "remove_duplicate": Fixed((True,), "state_dict() has tied weights under each of their names"),
}
STATE_DICT: HFNames = {
    "prefix": Fixed(("",), "put it before the names yourself"),
    "destination": Fixed((None,), "update your dict with the result"),
    "keep_vars": Ignored("there are no gradients to keep"),
}
CALL: HFNames = {
    "head_mask": Fixed((None,), "attention heads cannot be masked; zero their columns of the output weight")
}

# Attributes of HF's models, and of the torch modules that these are, with what to do here.
_HINTS = {
    **dict.fromkeys(
        (
            "requires_grad_",
            "zero_grad",
            "gradient_checkpointing_enable",
            "gradient_checkpointing_disable",
            "init_weights",
        ),
        _TRAIN,
    ),
    **dict.fromkeys(
        ("add_adapter", "load_adapter", "set_adapter", "delete_adapter", "enable_adapters", "disable_adapters"),
        "merge adapters with peft, and load the result",
    ),
    **dict.fromkeys(
        ("enable_input_require_grads", "disable_input_require_grads", "backward", "apply", "post_init"), _TRAIN
    ),
    **dict.fromkeys(("cuda", "xpu", "ipu", "mps", "npu", "tpu", "hpu", "mtia"), _CPU),
    **dict.fromkeys(("half", "bfloat16", "double", "type", "to_empty", "dequantize"), _DTYPE),
    **dict.fromkeys(
        ("modules", "named_modules", "children", "named_children"), "the weights by name are in state_dict()"
    ),
    **dict.fromkeys(
        ("register_forward_hook", "register_forward_pre_hook"), "lf_ref.testing.trace() gives each intermediate"
    ),
    **dict.fromkeys(("buffers", "named_buffers"), "there are none: the weights by name are in state_dict()"),
    **dict.fromkeys(
        ("encoder", "embeddings", "pooler", "lm_head", "classifier", "qa_outputs"), "state_dict() has its weights"
    ),
    **dict.fromkeys(
        ("get_output_embeddings", "get_position_embeddings", "get_parameter", "get_submodule", "get_buffer"),
        "the weights by name are in state_dict()",
    ),
    **dict.fromkeys(
        ("set_output_embeddings", "resize_position_embeddings", "register_buffer", "register_parameter"),
        "change the weights: type(model)(model.config, state_dict)",
    ),
    "generation_config": "a Longformer generates no text",
    "get_decoder": "a Longformer is an encoder",
    "hf_device_map": "there is one device, model.device",
    "load_state_dict": "make a model of the weights: type(model)(model.config, state_dict)",
    "resize_token_embeddings": "resize them in state_dict(), set config.vocab_size: type(model)(config, weights)",
    "set_input_embeddings": "change the weights: type(model)(model.config, state_dict)",
    "prune_heads": "prune with HF transformers, and load the result",
    "generate": "a Longformer predicts masked tokens: pipeline('fill-mask')",
    "compile": "the kernels are compiled already; `lf-ref warmup` does it ahead of the first call",
    "push_to_hub": _UPLOAD,
    "to_bettertransformer": "leave it out: the kernels are the fast path",
    "set_attn_implementation": "leave it out: there is one attention",
    "share_memory": "leave it out: processes that load one checkpoint share the mapped file",
    "tie_weights": "tie_word_embeddings of the config ties them",
}


@accepts()
@dataclass(frozen=True)
class Embedding:
    """The word embeddings, as `get_input_embeddings()` gives them: HF's, for reading.

    weight: float (vocab, hidden).
    """

    weight: Any

    @property
    def num_embeddings(self) -> int:
        """The number of words."""
        return int(self.weight.shape[0])

    @property
    def embedding_dim(self) -> int:
        """The width of a vector."""
        return int(self.weight.shape[1])

    def __call__(self, input_ids: ArrayLike) -> Array:
        """The vectors of words, for `inputs_embeds` of a HF model's call.  # int (...) -> float (..., hidden)

        Raises:
            InputError: an id is not in the vocabulary.
        """
        rows: Array = self.weight[integers("input_ids", input_ids, self.num_embeddings, "vocab_size")]
        return rows


class Device(str):
    """A device by its name, as NumPy calls it, which also has torch's attribute `type`."""

    type = "cpu"


@accepts(parameters=PARAMETERS, named_parameters=NAMED_PARAMETERS, state_dict=STATE_DICT)
class HFMethods(metaclass=HFNamed):
    """The methods and attributes of HF's models that mean something here. A base of `LongformerPreTrainedModel`."""

    _hf_hints = _HINTS
    config_class = LongformerConfig
    base_model_prefix = "longformer"
    main_input_name = "input_ids"
    framework = "np"
    training = False
    is_gradient_checkpointing = False

    head: str
    config: LongformerConfig
    weights: dict[str, Any]
    dtype: np.dtype[Any]
    weight_dtype: str

    @classmethod
    def from_config(cls, config: LongformerConfig) -> Any:
        """Raise an error: HF would make random weights; config: of the model that is wanted.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"{cls.__name__}.from_config() would make weights up; use from_pretrained(), or pass a state_dict"
        )

    @property
    def device(self) -> Device:
        """The device of the model: "cpu"."""
        return Device("cpu")

    @property
    def name_or_path(self) -> str:
        """The folder or repository that the model was loaded from, or ""."""
        return self.config.name_or_path

    @name_or_path.setter
    def name_or_path(self, name: str) -> None:
        self.config.name_or_path = name

    @classmethod
    def can_generate(cls) -> bool:
        """Whether the model generates text: no, as in HF."""
        return False

    def eval(self: Self) -> Self:
        """The model itself: there is no dropout to turn off. As in HF."""
        return self

    def train(self: Self, mode: bool = True) -> Self:
        """The model itself with mode False, as in HF.

        Raises:
            InputError: mode is True; nothing is trained here.
        """
        if mode:
            raise InputError(f"train(): {_TRAIN}")
        return self

    def cpu(self: Self) -> Self:
        """The model itself, as in HF."""
        return self

    def float(self: Self) -> Self:
        """The model itself, if it is float32, as in HF.

        Raises:
            InputError: it is not.
        """
        return self.to(dtype="float32")

    def to(self: Self, device: Any = None, dtype: Any = None, non_blocking: bool = False, copy: bool = False) -> Self:
        """The model itself, if the argument matches it, as in HF.

        device: "cpu", or a dtype; dtype: that of the model; non_blocking, copy: change nothing.

        Raises:
            InputError: another device or dtype.
        """
        for wanted in (device, dtype):
            name = str(getattr(wanted, "__name__", wanted)).removeprefix("torch.")
            if name not in ("None", "cpu", "cpu:0", self.weight_dtype):
                what = _DTYPE if name.startswith(("float", "bfloat", "int")) else _CPU
                raise InputError(f"to({wanted!r}): this model is {self.weight_dtype} on the CPU: {what}")
        return self

    def parameters(self) -> Iterator[Any]:
        """The weights, each once; as `named_parameters`."""
        return (weight for _, weight in self.named_parameters())

    def named_parameters(self) -> Iterator[tuple[str, Any]]:
        """HF's name and the values of each weight, tied ones once.

        Weights of reduced dtypes are matrices of their own kind, which `numpy.asarray` turns into float32.
        """
        seen = set()
        for name, weight in self.weights.items():
            if id(weight) not in seen:
                seen.add(id(weight))
                yield stored_name(name, self.head), weight

    def num_parameters(self, only_trainable: bool = False, exclude_embeddings: bool = False) -> int:
        """The number of elements of all weights, tied ones counted once, as in HF.

        only_trainable: changes nothing, as in HF for a model that is not frozen; exclude_embeddings: without word,
        position and token-type embeddings.
        """
        return sum(
            int(np.prod(weight.shape))
            for name, weight in self.named_parameters()
            if not (exclude_embeddings and name.endswith("_embeddings.weight"))
        )

    def get_memory_footprint(self, return_buffers: bool = True) -> int:
        """Bytes of the weights, as in HF; return_buffers: changes nothing, as there are none."""
        return sum(int(weight.nbytes) for weight in self.parameters())

    def state_dict(self) -> dict[str, Any]:
        """The weights by the names that HF stores them under, tied ones under each of their names; read-only.

        Those of reduced dtypes come as new float32 arrays.
        """
        stored = {
            stored_name(name, self.head): weight if isinstance(weight, np.ndarray) else np.asarray(weight)
            for name, weight in self.weights.items()
        }
        return stored | ({"lm_head.decoder.bias": stored[DECODER_BIAS]} if DECODER_BIAS in stored else {})

    def get_input_embeddings(self) -> Embedding:
        """The word embeddings; its `weight` is float (vocab, hidden), as in HF."""
        return Embedding(self.weights["embeddings.word_embeddings.weight"])


def check_state_dict(state_dict: Mapping[str, Any] | None, class_name: str) -> Mapping[str, Any]:
    """Weights by name, which a model cannot be made without."""
    if state_dict is None:
        raise InputError(f"{class_name} needs weights: pass a state_dict, or use from_pretrained()")
    if not isinstance(state_dict, Mapping):
        raise InputError(f"state_dict must be a mapping of names to arrays, got {type(state_dict).__name__}")
    return state_dict
