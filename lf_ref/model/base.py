"""The base of all model classes: config and weights, loading and saving, the choice of engine."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from ..checkpoint import REDUCED, bind, is_quantized, open_tensors, read_config, save, stored_dtype
from ..compilation import announce_compilation
from ..config import LongformerConfig
from ..config_rules import dtype_name
from ..errors import ConfigError, InputError
from ..files import locate
from ..hf_names import accepts, unknown_name
from ..kernels.threads import Threads, limit_blas
from ..reference import heads, ops
from ..reference.ops import Array, Note, ignore
from .encoder import Encoded, encode
from .hf_methods import FROM_PRETRAINED, SAVE_PRETRAINED, HFMethods, check_state_dict
from .inputs import TOKENS, Inputs, check_inputs
from .observer import Observer
from .outputs import ModelOutput
from .reference_encoder import encode_with_reference

if TYPE_CHECKING:
    from ..kernels.engine import Kernels

DTYPES = ("float32", "float64", *REDUCED)
BACKENDS = ("numba", "numpy")

Model = TypeVar("Model", bound="LongformerPreTrainedModel")
Output = TypeVar("Output", bound=ModelOutput)


@accepts(from_pretrained=FROM_PRETRAINED, save_pretrained=SAVE_PRETRAINED)
class LongformerPreTrainedModel(HFMethods):
    """A Longformer with the weights of a checkpoint, forward only.

    Args:
        config: the sizes and windows.
        state_dict: the weights by the names HF stores them under, with or without the `longformer.` prefix. Float
            arrays of the wanted dtype are used as they are, without a copy.
        dtype: "float32" or "float64", of all weights and results; or "bfloat16" or "int8", of the weights of linear
            maps and the word embeddings, which then take a half or a quarter of the memory of float32. The inputs of
            these matmuls are rounded to the same dtype, and queries, keys, values and attention probabilities of the
            band attention to bfloat16, on every CPU. All other operations, `attentions` and the results are float32.
        backend: "numba" for the fast kernels, "numpy" for the reference implementation in `lf_ref.reference`.
        strict: refuse weights that the class does not use. By default a warning names them, but for the heads of HF's
            other classes, which stand beside the encoder in most checkpoints.
        num_threads: threads of a call; None for the smallest of the CPUs that the process may run on, the CPU quota of
            its container (cgroup), rounded up, and the first number of OMP_NUM_THREADS. The results do not depend on
            it. With "numpy" it is the number of threads of NumPy's BLAS, which belongs to the process, during a call;
            None leaves BLAS alone, as "numba" does, which uses none.

    The classes, their names and those of their arguments are HF's.

    Raises:
        InputError: an unknown dtype, backend or number of threads; a reduced dtype with backend "numpy".
        ConfigError: the config was changed to what cannot be, or is in doubt as AllenAI's; the head of the class makes
            no sense in an autoregressive model.
        CheckpointError: weights are missing or of another shape, or strict refuses some; the error, a `WeightsError`,
            has all names.
    """

    head: str = "encoder"
    reads_first_token: bool = False  # whether the head is on the first token, which sees only itself in a causal model
    _observer: Observer | None = None
    own_options: ClassVar[tuple[str, ...]] = ()  # further arguments of a class

    def __init__(
        self,
        config: LongformerConfig,
        state_dict: Mapping[str, Any] | None = None,
        *,
        dtype: Any = "float32",
        backend: str = "numba",
        num_threads: int | None = None,
        strict: bool = False,
    ) -> None:
        _check_config(config)
        if config.autoregressive and self.reads_first_token:
            raise ConfigError(
                f"{type(self).__name__} reads the first token, which sees only itself in an autoregressive model, so "
                "that it would give every text the same answer; use LongformerModel (add_pooling_layer=False), and the "
                "vector of the last token"
            )
        self.config = config.replaced()  # checked anew, and the caller's own stays apart
        self.weight_dtype = _check_dtype(dtype)
        self.dtype = np.dtype(np.float32 if self.weight_dtype in REDUCED else self.weight_dtype)
        _check_backend(backend, self.weight_dtype)
        self.backend = backend
        self._threads = Threads(num_threads)
        self._kernels = self._kernels_of(backend)
        weights = check_state_dict(state_dict, type(self).__name__)
        self.weights = bind(weights, config, self.head, self.weight_dtype, strict)

    @classmethod
    def from_pretrained(
        cls: type[Model],
        name: str | os.PathLike[str] | None = None,
        *,
        config: LongformerConfig | str | os.PathLike[str] | None = None,
        dtype: Any = None,
        backend: str = "numba",
        num_threads: int | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        subfolder: str | None = "",
        force_download: bool = False,
        use_safetensors: bool | None = None,
        variant: str | None = None,
        state_dict: Mapping[str, Any] | None = None,
        strict: bool = False,
        **options: Any,
    ) -> Model:
        """Load a checkpoint: a folder, a repository of the Hugging Face Hub, or (None or "demo") the bundled model.

        Args:
            name: the folder or repository id. A folder, or a repository that is completely cached, is read without
                any network call.
            config: replaces the checkpoint's own `config.json`; or the name of a checkpoint whose config to use.
            dtype: as for the class; None for "int8" where `lf-ref quantize` made the checkpoint, else for "float32";
                "auto" for that of the file, with float32 for float16.
            backend: as for the class.
            num_threads: as for the class, threads of a call.
            revision: of a Hub repository: a branch, tag, commit hash or "refs/pr/N"; "main" by default.
            cache_dir: huggingface_hub's cache, if not the usual one.
            token: the Hub's, for private repositories; by default that of the login.
            local_files_only: send no request to the Hub. `HF_HUB_OFFLINE=1` does the same.
            subfolder: of the folder or repository, where the files are.
            force_download: download files again, also those in the cache.
            use_safetensors: True for safetensors only, False for torch files only; by default safetensors go first.
            variant: such as "fp16" for `model.fp16.safetensors`, if a checkpoint has several files of weights.
            state_dict: weights that replace the checkpoint's, which then needs none.
            strict: as for the class, whether weights that it does not use are an error.
            options: fields of the config to replace, such as `attention_window=64`; further arguments of the class.

        Raises:
            CheckpointError: files are missing (then it is an OSError too) or damaged, or do not hold what this class
                needs.
            ConfigError: the config is not that of a Longformer.
            InputError: an unknown dtype, backend, number of threads or option.
        """
        source = locate(
            name,
            revision=revision,
            cache_dir=cache_dir,
            token=token,
            local_files_only=local_files_only,
            subfolder=subfolder,
            force_download=force_download,
        )
        given = {} if state_dict is None else check_state_dict(state_dict, cls.__name__)
        if config is None:
            config = read_config(source, given, use_safetensors, variant)
        elif isinstance(config, str | os.PathLike):
            config = LongformerConfig.from_pretrained(config)
        _check_config(config)
        own = {option: options.pop(option) for option in cls.own_options if option in options}
        for option in options.keys() - config.field_names():
            known = {*_parameters(cls.from_pretrained), *cls.own_options, *config.field_names()}
            raise unknown_name(f"{cls.__name__}.from_pretrained()", option, known)
        config = config.replaced(**options)
        config.name_or_path = source.name
        weights = open_tensors(source, use_safetensors, variant) if state_dict is None else given
        if dtype is None:
            dtype = "int8" if is_quantized(config) else "float32"
        elif dtype == "auto":
            dtype = stored_dtype(weights)
        return cls(config, weights, dtype=dtype, backend=backend, num_threads=num_threads, strict=strict, **own)

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], *, state_dict: Mapping[str, Any] | None = None
    ) -> None:
        """Write `config.json` and `model.safetensors` into a folder, readable by HF; existing ones are replaced.

        save_directory: the folder, which is made where it is missing; state_dict: weights to write in place of the
        model's, by the names of HF.

        Raises:
            ConfigError: the config was changed to what cannot be.
            CheckpointError: the weights of state_dict do not fit the model.
            InputError: state_dict is not a mapping.
        """
        weights = self.weights
        if state_dict is not None:
            given = check_state_dict(state_dict, type(self).__name__)
            weights = bind(given, self.config, self.head, self.weight_dtype)
        save(save_directory, weights, self.config, self.head)

    def __repr__(self) -> str:
        name = f"{type(self).__name__} {self.name_or_path}".rstrip()
        return f"<{name}: {self.num_parameters() / 1e6:.1f}M parameters, {self.weight_dtype}>"

    def _kernels_of(self, backend: str) -> Kernels | None:
        if backend == "numpy":
            return None
        announce_compilation()
        from ..kernels.engine import Kernels  # loads Numba

        return Kernels(self._threads, self.weight_dtype)

    def observed(self: Model, observer: Observer, backend: str) -> Model:
        """The same model, sharing its weights, whose calls report every intermediate to `observer`.

        backend: the engine they run on.

        `attentions` are None in what such calls return: the observer gets them, a layer at a time.

        Raises:
            InputError: an unknown backend, or "numpy" for weights that it does not take.
        """
        _check_backend(backend, self.weight_dtype)
        model = copy.copy(self)
        model.backend, model._observer, model._kernels = backend, observer, self._kernels_of(backend)
        return model

    @property
    def _note(self) -> Note:
        return ignore if self._observer is None else self._observer

    @property
    def _ops(self) -> heads.Ops:
        return ops if self._kernels is None else self._kernels

    def _hold_blas(self) -> AbstractContextManager[None]:
        """Limit the threads of NumPy's BLAS, which the reference implementation multiplies by, to those asked for."""
        limited = self._kernels is None and self._threads.chosen
        return limit_blas(self._threads.count) if limited else nullcontext()

    def _check(self, given: Mapping[str, Any], **options: Any) -> Inputs:
        """The tokens of a call, checked; options: as for `check_inputs`."""
        return check_inputs(self.config, *(given.get(name) for name in TOKENS), **options)

    def _encode(
        self, inputs: Inputs, given: Mapping[str, Any], wanted: tuple[Array, Array] | None = None
    ) -> tuple[Array, Encoded]:
        """Run the encoder on the chosen backend.

        given: the arguments of the call, which select the optional outputs. wanted: rows and positions of the tokens
        whose last hidden state is needed; None for all.
        Returns these states, [n, hidden] or [rows, seq, hidden], and the optional outputs.
        """
        config, weights, observer = self.config, self.weights, self._observer
        if observer is not None:
            observer.begin(inputs)
        keep_attentions, keep_hidden = (
            getattr(config, name) if given.get(name) is None else given[name]
            for name in ("output_attentions", "output_hidden_states")
        )
        if self._kernels is None:
            encoded = encode_with_reference(inputs, weights, config, keep_hidden, keep_attentions, observer)
        else:
            # Outputs of every layer, and an observer, need every token.
            indices = None
            if wanted is not None and not keep_hidden and not keep_attentions and observer is None:
                indices = wanted[0] * inputs.visible.shape[1] + wanted[1]
            encoded = encode(inputs, weights, config, self._kernels, indices, keep_hidden, keep_attentions, observer)
            if indices is not None:
                return encoded.last_hidden_state, encoded
        hidden = encoded.last_hidden_state
        return hidden if wanted is None else hidden[wanted], encoded

    def _encode_first(self, inputs: Inputs, given: Mapping[str, Any]) -> tuple[Array, Encoded]:
        """As `_encode`, for the first token of each row.  # -> [rows, hidden]"""
        rows = np.arange(len(inputs.visible))
        return self._encode(inputs, given, (rows, np.zeros_like(rows)))

    def _finish(
        self, kind: type[Output], encoded: Encoded, return_dict: bool | None, **fields: Any
    ) -> Output | tuple[Any, ...]:
        """The output record, or its tuple where `return_dict` (by default the config's) is False."""
        output = kind(**fields, **encoded.optional_fields())
        wanted = self.config.return_dict if return_dict is None else return_dict
        return output if wanted else output.to_tuple()


def _check_config(config: object) -> None:
    if not isinstance(config, LongformerConfig):
        raise InputError(f"config must be a LongformerConfig, got {type(config).__name__}")


def _check_backend(backend: str, weight_dtype: str) -> None:
    if backend not in BACKENDS:
        raise InputError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if backend == "numpy" and weight_dtype in REDUCED:
        raise InputError(
            f"backend 'numpy', the reference implementation, computes in float32 or float64, got dtype "
            f"{weight_dtype!r}; choose one of these, or backend 'numba'"
        )


def _check_dtype(dtype: Any) -> str:
    """The name of a dtype: one of NumPy's, of torch's, or bfloat16, which NumPy has not."""
    name = dtype_name(dtype)
    if name not in DTYPES and dtype is not None:  # NumPy takes None for float64
        try:
            given = np.dtype(dtype)
            name = given.name if given.isnative else name
        except TypeError:
            pass
    if name not in DTYPES:
        hint = (
            "; CPUs do not compute in float16: float32 holds such weights exactly, bfloat16 takes as little memory"
            if name == "float16"
            else ""
        )
        raise InputError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}{hint}")
    return name


def _parameters(function: Callable[..., Any]) -> set[str]:
    """The names of the arguments of a function."""
    return set(inspect.signature(function).parameters) - {"options"}
