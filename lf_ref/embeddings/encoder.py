"""Sentence embeddings with the names of sentence-transformers."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypedDict

from numpy.typing import ArrayLike

from ..errors import InputError
from ..files import DEMO
from ..hf_names import LOCATING, Alias, Fixed, HFNamed, HFNames, Ignored, accepts
from ..model.heads import LongformerModel
from ..pipelines import FeatureExtractionPipeline, pipeline
from ..pipelines.options import SPEED
from ..reference.ops import Array
from ..tokenizer import LongformerTokenizer
from ..tokenizer.arguments import check_count
from .modules import SentenceModules
from .similarity import similarities

if TYPE_CHECKING:
    from typing_extensions import Unpack

_CPU = Fixed((None, "cpu"), "there is only the CPU here, so leave it out")
# Arguments of sentence-transformers.
_LOADING: HFNames = {
    **LOCATING,
    "model_name_or_path": Alias("name"),
    "torch_dtype": Alias("dtype"),
    "cache_folder": Alias("cache_dir"),
    "device": _CPU,
    "model_kwargs": Fixed((None,), "give dtype= and the other arguments by themselves"),
    "tokenizer_kwargs": Fixed((None,), "set them in tokenizer_config.json"),
    "config_kwargs": Fixed((None,), "set them in config.json"),
}
_ENCODE: HFNames = {
    "sentences": Alias("texts"),
    "inputs": Alias("texts"),
    "normalize_embeddings": Alias("normalize"),
    "show_progress_bar": Alias("show_progress"),
    "batch_size": SPEED["batch_size"],
    "output_value": Fixed(("sentence_embedding",), "pipeline('feature-extraction', pooling='none') gives tokens"),
    "precision": Fixed(("float32",), "round the result yourself"),
    "convert_to_numpy": Fixed((True,), "the result is an array; list() of it gives its rows"),
    "convert_to_tensor": Fixed((False,), "the result is an array; torch.from_numpy takes it"),
    "device": _CPU,
    "truncate_dim": Fixed((None,), "slice the result, [:, :n]"),
    "pool": Fixed((None,), "num_threads= of from_pretrained() sets the number of threads"),
    "chunk_size": Ignored("there are no further processes"),
}
_SAVE: HFNames = {
    "path": Alias("save_directory"),
    "safe_serialization": Fixed((True,), "model.safetensors is written"),
    **dict.fromkeys(("model_name", "create_model_card", "train_datasets"), Ignored("no model card is written")),
}
_TRAIN = "lf_ref computes no gradients; train with sentence-transformers, and load the folder that it saved"
_CHECKPOINT = "config_sentence_transformers.json of the checkpoint sets it"
_THREADS = "num_threads= of from_pretrained() sets the number of threads"

_HINTS = {
    **dict.fromkeys(("fit", "train", "old_fit"), _TRAIN),
    **dict.fromkeys(("encode_multi_process", "start_multi_process_pool", "stop_multi_process_pool"), _THREADS),
    **dict.fromkeys(
        ("max_seq_length", "get_max_seq_length"),
        "max_tokens is the longest row in tokens, which sentence_bert_config.json of the checkpoint sets",
    ),
    **dict.fromkeys(
        ("get_sentence_embedding_dimension", "get_embedding_dimension"), "embedding_dimension is this number"
    ),
    "similarity_pairwise": "similarity(a, b) has them on its diagonal",
    **dict.fromkeys(("default_prompt_name", "similarity_fn_name", "truncate_dim"), _CHECKPOINT),
    **dict.fromkeys(
        ("to", "cpu", "cuda", "device", "eval"), "there is only the CPU here, and no training: leave it out"
    ),
    **dict.fromkeys(("half", "float", "bfloat16"), "dtype= of from_pretrained() sets the precision"),
    "save": "save_pretrained(folder) saves it",
    "tokenize": "encoder.tokenizer(texts) tokenizes",
}


class EncodeArguments(TypedDict, total=False):
    """The options of `SentenceEncoder.encode`."""

    prompt_name: str | None
    prompt: str | None
    normalize: bool
    batch_tokens: int | None
    show_progress: bool | None
    stride: int | None
    strip: bool
    global_attention: str | Callable[..., Any]


@accepts(from_pretrained=_LOADING, encode=_ENCODE, encode_query=_ENCODE, encode_document=_ENCODE, save_pretrained=_SAVE)
class SentenceEncoder(metaclass=HFNamed):
    """Texts in, one vector each out, as sentence-transformers (https://sbert.net, version 6) computes them.

    It runs the `pipeline` of feature-extraction, an attribute, which also streams. Longer texts than `max_tokens` are
    truncated, or read in windows (`stride`). The vector of a text is the same to the bit in any batch.

    Args:
        model: the encoder. tokenizer: the one it was trained with.
        modules: what follows the encoder; None for mean pooling.
        batch_tokens: how many tokens, padding included, are run through the model at once.
        quiet: show no progress, unless a call wants it.

    Raises:
        InputError: model and tokenizer do not fit.

    >>> from lf_ref import SentenceEncoder
    >>> encoder = SentenceEncoder.from_pretrained()
    >>> encoder.encode(["The ship sailed at dawn.", "He played the violin."]).shape
    (2, 256)
    """

    _hf_hints = _HINTS

    def __init__(
        self,
        model: LongformerModel,
        tokenizer: LongformerTokenizer,
        modules: SentenceModules | None = None,
        *,
        batch_tokens: int = 4096,
        quiet: bool = False,
    ) -> None:
        self.pipeline = FeatureExtractionPipeline(
            model, tokenizer, modules=modules or SentenceModules(), batch_tokens=batch_tokens, quiet=quiet
        )

    @classmethod
    def from_pretrained(
        cls,
        name: str | os.PathLike[str] | None = None,
        *,
        batch_tokens: int = 4096,
        quiet: bool = False,
        **loading: Any,
    ) -> SentenceEncoder:
        """Load a checkpoint of sentence-transformers; or another one with mean pooling, which a warning reports.

        Args:
            name: a folder, the id of a Hub repository, or (None or "demo") the bundled model.
            batch_tokens: how many tokens, padding included, are run through the model at once.
            quiet: as for the class.
            loading: dtype, backend, num_threads, revision, cache_dir, token, local_files_only and config, as in
                `LongformerPreTrainedModel.from_pretrained`; tokenizer, its name or itself.

        Raises:
            CheckpointError: files are missing or damaged, a module or setting is not supported, or widths do not fit.
            ConfigError: the config is not that of a Longformer.
            InputError: an argument is unknown or has an invalid value.
        """
        pipe: Any = pipeline("feature-extraction", name, batch_tokens=batch_tokens, **loading)
        if pipe.defaults:
            raise InputError(
                f"SentenceEncoder.from_pretrained() takes no {', '.join(pipe.defaults)}: give options to encode(), and "
                "pooling= to pipeline('feature-extraction')"
            )
        if pipe.modules is None and name not in (None, DEMO):
            warnings.warn(
                f"{pipe.model.name_or_path} has no modules.json of sentence-transformers: mean pooling is used",
                stacklevel=3,
            )
        return cls(pipe.model, pipe.tokenizer, pipe.modules, batch_tokens=batch_tokens, quiet=quiet)

    @property
    def model(self) -> LongformerModel:
        """The encoder."""
        model: Any = self.pipeline.model
        return model

    @property
    def tokenizer(self) -> LongformerTokenizer:
        """The tokenizer."""
        return self.pipeline.tokenizer

    @property
    def modules(self) -> SentenceModules:
        """What follows the encoder."""
        modules: Any = self.pipeline.modules
        return modules

    @property
    def max_tokens(self) -> int:
        """The longest row in tokens, prompt and special tokens included; longer texts are truncated."""
        return self.pipeline.lengths(self.pipeline.options_class()).size

    @property
    def embedding_dimension(self) -> int:
        """The length of a vector."""
        return self.modules.width(self.model.config.hidden_size)

    @property
    def prompts(self) -> dict[str, str]:
        """The prompts by name."""
        return dict(self.modules.prompts)

    def __repr__(self) -> str:
        return f"<SentenceEncoder {repr(self.pipeline).partition(' of LongformerModel ')[2]}"

    def encode(
        self,
        texts: str | Iterable[str],
        *,
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize: bool = False,
        batch_tokens: int | None = None,
        show_progress: bool | None = None,
        stride: int | None = None,
        strip: bool = False,
        global_attention: str | Callable[..., Any] = "none",
    ) -> Array:
        """The vectors of texts, or of one text.

        Args:
            texts: a list, a Series or an array of one dimension, or an iterator; or one text.
            prompt_name: the name of a prompt to put before each text; by default that of default_prompt_name.
            prompt: the prompt itself.
            normalize: divide each vector by its Euclidean norm.
            batch_tokens: how many tokens are run through the model at once, in place of that of the encoder.
            show_progress: True or False; None for longer work only, as pipelines do.
            stride: read the whole of a text longer than `max_tokens`, in windows that overlap by so many tokens; each
                token counts once, as for `pipeline("feature-extraction")`. None to truncate it.
            strip: remove white space from both ends of the texts, as versions of sentence-transformers before 6 did.
            global_attention: "none", as in sentence-transformers, "first_token", "all_tokens", or a function from the
                ids of a text, int64 (tokens,), to its mask, such as those in `lf_ref.global_attention`.

        Returns:
            float (texts, width) in the order of the texts, or float (width,) for one: float32, or float64 with
            dtype="float64".

        Raises:
            InputError: a text is not a text, or there is no prompt of this name; an index names the text.
            CheckpointError: the weights are such that a vector has NaN or infinity.
        """
        pipe: Any = copy.copy(self.pipeline)
        if batch_tokens is not None:
            pipe.batch_tokens = check_count("batch_tokens", batch_tokens)
        if show_progress is not None:
            pipe.quiet = not show_progress
        return pipe(
            list(texts) if isinstance(texts, Iterator) else texts,
            return_tensors=True,
            prompt_name=prompt_name,
            prompt=prompt,
            normalize=normalize,
            stride=stride,
            strip=strip,
            global_attention=global_attention,
        )

    def encode_query(self, texts: str | Iterable[str], **options: Unpack[EncodeArguments]) -> Array:
        """The vectors of queries: `encode` with the prompt "query", unless options give another.

        texts, options: as for `encode`. Returns float (texts, width), or float (width,) for one text.

        Raises:
            InputError, CheckpointError: as for `encode`.
        """
        return self._encode_as("query", texts, options)

    def encode_document(self, texts: str | Iterable[str], **options: Unpack[EncodeArguments]) -> Array:
        """The vectors of documents: `encode` with the prompt "document", unless options give another.

        As in sentence-transformers 6 a prompt "passage" or "corpus" is not looked for: "document" is always there, and
        empty unless the checkpoint sets it.

        texts, options: as for `encode`. Returns float (texts, width), or float (width,) for one text.

        Raises:
            InputError, CheckpointError: as for `encode`.
        """
        return self._encode_as("document", texts, options)

    def similarity(self, a: ArrayLike, b: ArrayLike) -> Array:
        """How alike vectors are, by the measure of the checkpoint: cosine unless it names another.

        a: float (n, width) or (width,); b: float (m, width) or (width,). Returns float (n, m); a single vector counts
        as one row. Distances are negative, so that more is more alike.

        Raises:
            InputError: these are no vectors of one length.
        """
        return similarities(a, b, self.modules.similarity)

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write model, tokenizer and modules into a folder, for sentence-transformers to read too.

        save_directory: the folder, which is made where it is missing.

        Raises:
            ConfigError: the config was changed to invalid values.
            OSError: the folder cannot be written.
        """
        self.pipeline.save_pretrained(save_directory)

    def _encode_as(self, name: str, texts: str | Iterable[str], options: EncodeArguments) -> Array:
        given: dict[str, Any] = dict(options)
        if given.get("prompt") is None and given.get("prompt_name") is None:
            given["prompt"] = self.modules.prompts.get(name, "")
        return self.encode(texts, **given)
