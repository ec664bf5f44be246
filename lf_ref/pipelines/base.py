"""The base of all pipelines: one input or many, rows in batches by length, results in the order of the inputs.

Calls and results are those of HF's pipelines; each class describes its differences.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from ..config import LongformerConfig
from ..errors import CheckpointError, InputError
from ..hf_names import Alias, Fixed, HFNamed, HFNames, accepts
from ..model.base import LongformerPreTrainedModel
from ..model.hf_methods import SAVE_PRETRAINED, Device
from ..progress import progress
from ..reference.ops import Array
from ..tokenizer import LongformerTokenizer
from ..tokenizer.arguments import check_count
from .lengths import Lengths, Parts
from .options import SPEED, Options, StrideOptions, read
from .rows import Batch, Prepared, Row, batches
from .texts import characters, check_text, ordered, what_to_write

Chosen = TypeVar("Chosen", bound=Options)
Name = Callable[[int], str]

# Inputs to read ahead from an iterator, so that texts of similar length share a batch: in batches, inputs, characters.
_BATCHES_AHEAD, _INPUTS_AHEAD, _CHARACTERS_AHEAD = 16, 1024, 1 << 24

_ONE_DEVICE = Fixed((None, -1, "cpu", "cpu:0"), "there is only the CPU here, so leave it out")
_TEXTS_ONLY = Fixed((None,), "leave it out: texts need a tokenizer alone")
# HF's arguments of a pipeline that mean something here, or that may have one value.
BUILDING: HFNames = {
    **SPEED,
    "device": _ONE_DEVICE,
    "device_map": Fixed((None, "cpu", "auto", "{'': 'cpu'}"), "there is only the CPU here, so leave it out"),
    "framework": Fixed((None, "np"), "leave it out: NumPy computes, and results are plain Python values"),
    "feature_extractor": _TEXTS_ONLY,
    "image_processor": _TEXTS_ONLY,
    "processor": _TEXTS_ONLY,
    "modelcard": Fixed((None,), "leave it out: lf_ref writes no model cards"),
    "binary_output": Fixed((False,), "leave it out: results are plain Python values"),
    "args_parser": Fixed((), "leave it out: pass inputs as the call of the task takes them"),
}
_STEPS = "call the pipeline, or for the steps by themselves pipe.tokenizer(...) and pipe.model(...)"
_HINTS = {
    "preprocess": _STEPS,
    "forward": _STEPS,
    "postprocess": _STEPS,
    "run_single": _STEPS,
    "run_multi": _STEPS,
    "create_sample": "give question= and context= to a call",
    "get_iterator": "pipe.stream(texts) yields the results one by one",
    "iterate": "pipe.stream(texts) yields the results one by one",
    "push_to_hub": "save it with save_pretrained(), then use huggingface_hub.upload_folder",
    "device_placement": "there is only the CPU here",
    "ensure_tensor_on_device": "there is only the CPU here",
    "check_model_type": "the model is checked when the pipeline is built",
    "feature_extractor": "texts need a tokenizer alone",
    "image_processor": "texts need a tokenizer alone",
    "processor": "texts need a tokenizer alone",
    "modelcard": "lf_ref reads no model cards",
}


@accepts(
    init={**BUILDING, **{name: Fixed((None,), "pass it when loading the model") for name in ("dtype", "torch_dtype")}},
    save_pretrained=SAVE_PRETRAINED,
    predict={"X": Alias("inputs")},
    transform={"X": Alias("inputs")},
)
class Pipeline(Generic[Chosen], metaclass=HFNamed):
    """A model and its tokenizer, set to one task. The results are plain Python values.

    Called with one input it answers with its result, with several in a sequence (or an array of one dimension, a Series
    or an array of pyarrow) with the list of their results, and with an iterator or a stream without a length with an
    iterator, which reads ahead a bounded number of inputs. All inputs of a list are checked before the first is run.

    Args:
        model: of the class that the task needs.
        tokenizer: the one the model was trained with.
        task: the name of the task, if the pipeline is to have another of its names.
        batch_tokens: how many tokens, padding included, are run through the model at once. Inputs of about the same
            length go together. It changes speed and memory, not the results; with backend "numpy" it does by rounding
            errors, as BLAS sums in another order for matrices of another shape.
        quiet: show no progress. By default longer work shows a bar on standard error, on a terminal or in a notebook,
            and elsewhere writes a line a minute.
        options: of the task, for calls that do not give them.

    Raises:
        InputError: model, tokenizer or an option does not fit.
    """

    _hf_hints = _HINTS
    task: str
    other_names: ClassVar[tuple[str, ...]] = ()  # of the task
    model_class: ClassVar[type[LongformerPreTrainedModel]]
    options_class: type[Chosen]
    framework = "np"

    def __init__(
        self,
        model: LongformerPreTrainedModel,
        tokenizer: LongformerTokenizer,
        *,
        task: str = "",
        batch_tokens: int = 4096,
        quiet: bool = False,
        **options: Any,
    ) -> None:
        names = (type(self).task, *self.other_names)
        if task:
            if task not in names:
                raise InputError(f"a {type(self).__name__} does {' or '.join(names)}, got task={task!r}")
            self.task = task
        if not isinstance(model, self.model_class):
            raise not_ours(f"{self.task} needs a {self.model_class.__name__}", model, self.model_class)
        if not isinstance(tokenizer, LongformerTokenizer):
            raise not_ours("tokenizer must be a LongformerTokenizer", tokenizer, LongformerTokenizer)
        largest = max(tokenizer.get_vocab().values(), default=-1)
        if largest >= model.config.vocab_size:
            raise InputError(
                f"the tokenizer has {len(tokenizer)} tokens, the last with id {largest}, and the model only "
                f"{model.config.vocab_size} rows of embeddings: they do not belong together"
            )
        self.model = model
        self.tokenizer = tokenizer
        self.batch_tokens = check_count("batch_tokens", batch_tokens)
        self.quiet = bool(quiet)
        self.defaults = read(self.options_class, self.task, options)
        self._choose({})

    @property
    def device(self) -> Device:
        """The device of the model: "cpu"."""
        return self.model.device

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the model and of its results."""
        return self.model.dtype

    torch_dtype = dtype

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {repr(self.model)[1:-1]}>"

    def save_pretrained(self, save_directory: str | os.PathLike[str]) -> None:
        """Write the model and the tokenizer into the folder save_directory, for HF to read too.

        Raises:
            ConfigError: the config was changed to invalid values.
            CheckpointError: the folder cannot be written.
        """
        self.model.save_pretrained(save_directory)
        self.tokenizer.save_pretrained(save_directory)

    @classmethod
    def located(
        cls, name: str | os.PathLike[str] | None, where: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Callable[[LongformerConfig], dict[str, Any]]]:
        """Where model and tokenizer of a checkpoint are, and what else the class takes from it.

        name: a folder or repository; where: the arguments that pick its files.
        Returns these arguments for model and tokenizer, and a function from the config to arguments of the class.
        """
        return dict(where), lambda config: {}

    def predict(self, inputs: Any) -> Any:
        """The same as a call with these inputs; the name is scikit-learn's and HF's."""
        return self(inputs)

    def transform(self, inputs: Any) -> Any:
        """The same as a call with these inputs; the name is scikit-learn's and HF's."""
        return self(inputs)

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Answer for one input, for each of a list, or one by one for any other iterable.

        inputs: as the task has them; options: of the task, for this call.

        Raises:
            InputError: an input or an option does not fit; inputs of a list are named by their index, from 0.
            CheckpointError: the model's weights are such that it gives NaN or infinity.
        """
        raise NotImplementedError

    def stream(self, inputs: Iterable[Any], *, name: Name | None = None, **options: Any) -> Iterator[Any]:
        """Yield the result of each input in order, holding a bounded number of them at a time.

        Args:
            inputs: may be endless. An InputError among them stands for an input that could not be read.
            name: names an input in messages, by its index from 0.
            options: of the task.

        Raises:
            InputError: an input does not fit; the results of those before it are yielded first.
        """
        several = self._several(inputs, "a list or an iterator of inputs")
        return self._stream(iter(several), self._choose(options), name or self._name)

    # --- to be defined by each task ----------------------------------------------------------------------------------

    def _is_one(self, inputs: Any) -> bool:
        """Whether this is a single input, and not a collection of them."""
        return isinstance(inputs, str | bytes | Mapping)

    def _item(self, name: str, given: Any, options: Chosen) -> Any:
        """One input, checked."""
        return check_text(name, given)

    def _rows(self, name: str, item: Any, options: Chosen) -> list[Row]:
        """The rows of the model's input that one input needs."""
        raise NotImplementedError

    def _run(self, batch: Batch, options: Chosen) -> Iterable[Any]:
        """Run the model, and return for each row the part of its output that the answer needs."""
        raise NotImplementedError

    def _finish(self, prepared: Prepared, options: Chosen) -> Any:
        """The result for one input, from the outputs of its rows."""
        raise NotImplementedError

    def _call(self, **inputs: Any) -> Any:
        """The output record of the model, without the optional outputs that its config may request.

        Raises:
            CheckpointError: a value is NaN or infinity, so there is no answer. (-infinity is valid: a bias that
                excludes a label.)
        """
        model: Any = self.model  # each class has a call of its own
        output = model(**inputs, output_attentions=False, output_hidden_states=False, return_dict=True)
        if not all((values < np.inf).all() for values in output.values()):
            raise CheckpointError(
                f"{self.task}: the model returns NaN or infinity: its weights hold such values, or "
                "are so large that sums overflow; fetch the checkpoint anew, or look at how it was trained or converted"
            )
        return output

    # --- the common way ---------------------------------------------------------------------------------------------

    def _choose(self, given: Mapping[str, Any]) -> Chosen:
        return self.options_class(**{**self.defaults, **read(self.options_class, self.task, given)})

    def _name(self, index: int) -> str:
        return f"text {index}"

    def _answer(self, inputs: Any, options: Chosen) -> Any:
        if self._is_one(inputs):
            return self._answer_all([self._prepare("the text", inputs, options)], options)[0]
        several = self._several(inputs, "one input or a list of them")
        if isinstance(several, Iterator):
            return self._stream(several, options, self._name)
        return self._answer_all(
            [self._prepare(self._name(position), given, options) for position, given in enumerate(several)], options
        )

    def _several(self, inputs: Any, wanted: str) -> Sequence[Any] | Iterator[Any]:
        several = ordered(inputs)
        if several is None:
            raise InputError(f"{self.task} takes {wanted}, got {what_to_write(inputs)}")
        return several

    def _prepare(self, name: str, given: Any, options: Chosen) -> Prepared:
        try:
            if isinstance(given, InputError):
                raise given
            item = self._item(name, given, options)
            rows = self._rows(name, item, options)
        except InputError as error:
            if options.on_error == "stop":
                raise
            return Prepared(name, None, [], [], error)
        return Prepared(name, item, rows, [None] * len(rows))

    def _answer_all(self, prepared: list[Prepared], options: Chosen) -> list[Any]:
        with self._bar(sum(len(row) for one in prepared for row in one.rows)) as bar:
            groups = self._groups(prepared)
            return [result for group, _ in groups for result in self._run_all(group, options, bar)]

    def _run_all(self, prepared: list[Prepared], options: Chosen, bar: Any) -> list[Any]:
        """Run all rows of all inputs, similar lengths together, and finish each input after its last row."""
        owners = [(position, index) for position, one in enumerate(prepared) for index in range(len(one.rows))]
        left = [len(one.rows) for one in prepared]
        results: list[Any] = [one.error for one in prepared]
        rows = [prepared[position].rows[index] for position, index in owners]
        for batch in batches(rows, self.batch_tokens, self.model.config.pad_token_id):
            for number, found in zip(batch.indices, self._run(batch, options), strict=True):
                position, index = owners[number]
                prepared[position].findings[index] = found
                left[position] -= 1
                if not left[position]:
                    results[position] = self._finish(prepared[position], options)
                    prepared[position] = replace(prepared[position], findings=[])
            bar.update(int(batch.attention_mask.sum()))
        return results

    def _stream(self, inputs: Iterator[Any], options: Chosen, name: Name) -> Iterator[Any]:
        prepared = (self._prepare(name(position), given, options) for position, given in enumerate(inputs))
        with self._bar(None) as bar:
            for group, error in self._groups(prepared):
                yield from self._run_all(group, options, bar)
                if error is not None:
                    raise error

    def _groups(self, prepared: Iterable[Prepared]) -> Iterator[tuple[list[Prepared], InputError | None]]:
        """Groups of inputs, each with the error that ends the inputs early: of one input, or of their iterator.

        Groups bound what is in memory: inputs that were read, and what their windows found until the last has run.
        """
        waiting: list[Prepared] = []
        tokens = held = 0
        try:
            for one in prepared:
                waiting.append(one)
                tokens += sum(map(len, one.rows))
                held += characters(one.item)
                enough = tokens >= _BATCHES_AHEAD * self.batch_tokens or held >= _CHARACTERS_AHEAD
                if enough or len(waiting) == _INPUTS_AHEAD:
                    yield waiting, None
                    waiting, tokens, held = [], 0, 0
        except InputError as error:
            yield waiting, error
        else:
            yield waiting, None

    def _bar(self, tokens: int | None) -> AbstractContextManager[Any]:
        """The progress of more than one batch."""
        useless = tokens is not None and tokens <= self.batch_tokens
        return progress(self.task, tokens, "tokens", quiet=self.quiet or useless)

    # --- rows of tokens ---------------------------------------------------------------------------------------------

    def lengths(self, options: Options) -> Lengths:
        """The lengths of rows, and the truncation of texts, with these options."""
        return Lengths(options, self.tokenizer, self.model.config.max_tokens)

    def encode(self, name: str, options: Options, *texts: str) -> Array:
        """The token ids of a text or a pair, truncated if it is too long and the options allow it.  # -> int64 [S]

        name: names it in messages; options: `truncation` and `max_length`; texts: one or two.

        Raises:
            InputError: too long; the message names the text, both lengths and the ways out.
        """
        ids = self._ids(*texts)
        return self._row(*_cut(ids, self.lengths(options).parts(name, [len(tokens) for tokens in ids])))

    def _windows(
        self, name: str, options: StrideOptions, ids: Sequence[list[int]], global_at: tuple[int, int], cut: int = 0
    ) -> list[Row]:
        """The rows of a text or a pair: one, or with a stride its windows, in the order of the text.

        ids: token ids of each text; cut: index of the text to split, see `Lengths.windows`; global_at: see `Row`.
        """
        windows = self.lengths(options).windows(name, [len(tokens) for tokens in ids], options.stride, cut)
        rows = [Row(self._row(*_cut(ids, parts)), global_at, parts[cut]) for parts in windows]
        return sorted(rows, key=lambda row: row.part.start)

    def _ids(self, *texts: str) -> list[list[int]]:
        """The token ids of each text, without special ones."""
        return [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]

    def _row(self, first: Sequence[int], second: Sequence[int] | None = None) -> Array:
        """The ids of a text, `<s> first </s>`, or of a pair, `<s> first </s></s> second </s>`.  # -> int64 [S]"""
        return np.array(self.tokenizer.build_inputs_with_special_tokens(first, second), np.int64)


def _cut(ids: Sequence[list[int]], parts: Parts) -> list[list[int]]:
    return [tokens[part] for tokens, part in zip(ids, parts, strict=True)]


def not_ours(wanted: str, given: object, kind: type[LongformerPreTrainedModel | LongformerTokenizer]) -> InputError:
    """The error for a model or tokenizer of another library, or of no use for the task: the way out is to load it."""
    whose = type(given).__module__.partition(".")[0]
    of = f" of {whose}" if whose in ("torch", "transformers", "tokenizers") else ""
    return InputError(
        f"{wanted}, got {type(given).__name__}{of}: {kind.__name__}.from_pretrained(...) loads one from the folder or "
        "the Hub repository that it is in"
    )
