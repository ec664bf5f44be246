"""Embeddings: the hidden states of a text, for each token or pooled into one vector."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ..config import LongformerConfig
from ..embeddings.folder import find_modules
from ..embeddings.modules import SentenceModules, unit
from ..embeddings.pooling import MODES
from ..embeddings.reading import read_modules
from ..embeddings.writing import write_modules
from ..errors import InputError
from ..hf_names import accepts
from ..model import global_attention as masks
from ..model.heads import LongformerModel
from ..model.hf_methods import SAVE_PRETRAINED
from ..reference.ops import Array
from .arguments import FeatureExtractionArguments, PoolingArguments
from .base import Pipeline
from .lengths import Lengths
from .options import Options, StrideOptions, check_choice
from .rows import Batch, Prepared, Row
from .texts import check_text
from .windows import counted_positions

if TYPE_CHECKING:
    from typing_extensions import Unpack

_POOLINGS = ("none", *MODES)
GLOBAL_ATTENTION = ("none", "first_token", "all_tokens")


@accepts()
@dataclass(frozen=True)
class FeatureExtractionOptions(StrideOptions):
    """The options of feature-extraction, besides those of every task with windows.

    Args:
        pooling: one vector for each text: "cls" that of the first token `<s>`, "lasttoken" of the last, "mean" the mean
            over all tokens, `<s>` and `</s>` included, "max", "mean_sqrt_len_tokens" or "weightedmean" as in
            sentence-transformers; or "none" for a vector for each token. It replaces the modules of a checkpoint of
            sentence-transformers. None for these modules, or without them "none".
        normalize: divide each vector by its Euclidean norm.
        prompt: a text to put before each text.
        prompt_name: the name of a prompt of the checkpoint, in place of prompt; by default its default_prompt_name.
        strip: remove white space from both ends of a text, as versions of sentence-transformers before 6 did.
        global_attention: "none", as in HF and sentence-transformers; "first_token" or "all_tokens"; or a function from
            the ids of a text, int64 (tokens,), to its mask, such as those in `lf_ref.global_attention`.
        return_tensors: NumPy arrays, in the model's dtype, in place of nested lists.
    """

    pooling: str | None = None
    normalize: bool = False
    prompt: str | None = None
    prompt_name: str | None = None
    strip: bool = False
    global_attention: str | Callable[..., Any] = "none"
    return_tensors: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding == "max_length":
            raise InputError(
                'padding="max_length" would give vectors of padding too: leave it out, and pad the result of '
                "return_tensors=True with np.pad"
            )
        if self.pooling is not None:
            self._set("pooling", check_choice("pooling", self.pooling, _POOLINGS))
        if self.prompt is not None:
            self._set("prompt", check_text("prompt", self.prompt))
        if not callable(self.global_attention):
            self._set("global_attention", check_choice("global_attention", self.global_attention, GLOBAL_ATTENTION))


@accepts(save_pretrained=SAVE_PRETRAINED)
class FeatureExtractionPipeline(Pipeline[FeatureExtractionOptions]):
    """Compute embeddings: the hidden states of the last layer for a text.

    As in HF the result without pooling is (1, tokens, hidden), the first axis being a batch of one; with pooling it is
    one vector, (hidden,), and with return_tensors that of a list one array, (texts, hidden).

    A checkpoint of sentence-transformers is read with its modules: the vectors are those of sentence-transformers, and
    longer texts than its max_seq_length are truncated, unless truncation=False or max_length is given. Its prompts hold
    with any pooling.

    model, tokenizer, options: as for `Pipeline`; modules: those of such a checkpoint, which `pipeline` reads.

    >>> from lf_ref import pipeline
    >>> len(pipeline("feature-extraction", pooling="mean")("A short text."))
    256
    """

    task = "feature-extraction"
    other_names = ("embeddings",)
    model_class = LongformerModel
    options_class = FeatureExtractionOptions

    def __init__(self, model: Any, tokenizer: Any, *, modules: SentenceModules | None = None, **options: Any) -> None:
        self.modules = modules
        super().__init__(model, tokenizer, **options)

    @classmethod
    def located(
        cls, name: str | os.PathLike[str] | None, where: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Callable[[LongformerConfig], dict[str, Any]]]:
        """As for `Pipeline`: the encoder of a checkpoint of sentence-transformers may be in a folder of its own.

        name: a folder or repository; where: the arguments that pick its files.

        Raises:
            CheckpointError: a module is not supported, or modules.json is damaged.
            InputError: an argument that picks files is invalid.
        """
        folder = find_modules(name, where)
        if folder is None:
            return super().located(name, where)
        return folder.transformer, lambda config: {"modules": read_modules(folder, config)}

    @overload
    def __call__(self, inputs: str, *, return_tensors: Literal[True], **options: Unpack[PoolingArguments]) -> Array: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, inputs: str, **options: Unpack[FeatureExtractionArguments]) -> list[Any] | Any: ...

    @overload
    def __call__(self, inputs: Iterator[str], **options: Unpack[FeatureExtractionArguments]) -> Iterator[Any]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(
        self, inputs: Iterable[str], *, return_tensors: Literal[True], **options: Unpack[PoolingArguments]
    ) -> Any: ...

    @overload
    def __call__(self, inputs: Iterable[str], **options: Unpack[FeatureExtractionArguments]) -> list[Any]: ...

    def __call__(self, inputs: str | Iterable[str], **options: Any) -> Any:
        """Encode one text, or each text of a list.

        inputs: the text or texts; options: as for `FeatureExtractionOptions`.

        Returns:
            For each text nested lists; or with return_tensors a float array, (1, tokens, hidden) without pooling and
            (hidden,) with, and one array (texts, hidden) for a list with pooling; but with on_error "record" a list,
            which may have errors in it.
        """
        chosen = self._choose(options)
        result = self._answer(inputs, chosen)
        pooled = self._modules(chosen) is not None and chosen.return_tensors
        if not pooled or not isinstance(result, list) or chosen.on_error == "record":
            return result
        return np.stack(result) if result else np.zeros((0, self.dimension(chosen.pooling)), self.dtype)

    def __repr__(self) -> str:
        shown = super().__repr__()
        if self.modules is None or "pooling" in self.defaults:
            return shown
        return f"{shown[:-1]}; {self.modules}, at most {self.lengths(self._choose({})).size} tokens>"

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write model and tokenizer, and the modules if there are any, for HF and sentence-transformers to read too.

        save_directory: the folder, which is made where it is missing.

        Raises:
            ConfigError: the config was changed to invalid values.
            OSError: the folder cannot be written.
        """
        super().save_pretrained(save_directory)
        if self.modules is not None:
            write_modules(self.modules, save_directory, self.model.config.hidden_size)

    def dimension(self, pooling: str | None = None) -> int:
        """The length of the vector of a text or, without pooling, of a token; pooling: as the option of a call.

        Raises:
            InputError: there is no such pooling, or the pipeline's options do not go with it.
        """
        modules = self._modules(self._choose({} if pooling is None else {"pooling": pooling}))
        return (modules or SentenceModules()).width(self.model.config.hidden_size)

    def lengths(self, options: Options) -> Lengths:
        """The lengths of rows, and the truncation of texts, with these options."""
        if not isinstance(options, FeatureExtractionOptions) or options.pooling is not None or self.modules is None:
            return super().lengths(options)
        whole = options.stride is not None
        cut = True if options.truncation is None and not whole else options.truncation
        if options.max_length is None and (cut or whole):
            most = self.model.config.max_tokens
            usual = min(most, self.tokenizer.model_max_length, self.modules.max_seq_length or most)
            options = replace(options, truncation=cut, max_length=int(usual))
        return super().lengths(options)

    def _choose(self, given: Mapping[str, Any]) -> FeatureExtractionOptions:
        options = super()._choose(given)
        self._prompt(options)
        if options.normalize and self._modules(options) is None:
            raise InputError("normalize=True is for one vector of a text: give pooling= too, such as 'mean'")
        return options

    def _modules(self, options: FeatureExtractionOptions) -> SentenceModules | None:
        """The modules that make the vector of a text; None for the vectors of its tokens."""
        if options.pooling is None:
            return self.modules
        return None if options.pooling == "none" else SentenceModules((options.pooling,))

    def _prompt(self, options: FeatureExtractionOptions) -> str:
        return (self.modules or SentenceModules()).prompt(options.prompt, options.prompt_name)

    def _prompt_tokens(self, options: FeatureExtractionOptions) -> int:
        """How many of the first tokens of a row the modules leave out: those of the prompt, and `<s>`."""
        modules, prompt = self._modules(options), self._prompt(options)
        if modules is None or modules.include_prompt:
            return 0
        return len(self.encode("the prompt", options, prompt)) - 1 if prompt else 0  # less its </s>

    def _rows(self, name: str, item: str, options: FeatureExtractionOptions) -> list[Row]:
        text = item.strip() if options.strip else item
        rows = self._windows(name, options, self._ids(self._prompt(options) + text), global_at=(0, 0))
        counted = counted_positions([row.part for row in rows])
        return [replace(row, counted=positions) for row, positions in zip(rows, counted, strict=True)]

    def _run(self, batch: Batch, options: FeatureExtractionOptions) -> Iterable[Array]:
        """For each row the states of the tokens that count for the text, [n, hidden]."""
        visible = batch.attention_mask == 1
        for row, ids in enumerate(batch.input_ids):
            batch.global_attention_mask[row, visible[row]] = _global_mask(ids[visible[row]], options.global_attention)
        states = self._call(**batch.inputs).last_hidden_state
        return (hidden[counted] for hidden, counted in zip(states, batch.counted, strict=True))

    def _finish(self, prepared: Prepared, options: FeatureExtractionOptions) -> Any:
        states = np.concatenate(prepared.findings)
        modules = self._modules(options)
        if modules is None:
            features = states[None]
        else:
            vector = modules.vector(states, self._prompt_tokens(options))
            features = (unit(vector) if options.normalize else vector).astype(states.dtype)
        return features if options.return_tensors else features.tolist()


def _global_mask(ids: Array, choice: str | Callable[[Array], Any]) -> Array:
    """The mask of global attention of a text.  # int64 [tokens] -> int64 [tokens]"""
    if callable(choice):
        mask: Array = np.asarray(choice(ids))
        if mask.shape != ids.shape or not np.isin(mask, (0, 1)).all():
            raise InputError(
                f"global_attention must give a mask of 0 and 1 of shape {ids.shape}, as the ids it got, gave "
                f"{mask.dtype} of shape {mask.shape}"
            )
        return mask.astype(np.int64)
    if choice == "first_token":
        return masks.on_first_token(ids)
    return np.full(len(ids), int(choice == "all_tokens"), np.int64)
