"""What every pipeline shares: one input or many, rows in batches by length, results in the order of the inputs.

How they are called, and what they give, is as in HF's pipelines; what differs is said at each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from tqdm import tqdm

from ..errors import CheckpointError, InputError
from ..model.base import LongformerPreTrainedModel
from ..reference.ops import Array
from ..tokenizer import LongformerTokenizer
from .options import Options, check_count, check_flag, check_text, choose
from .rows import Batch, Row, batches

Chosen = TypeVar("Chosen", bound=Options)
Name = Callable[[int], str]

# What is read ahead from an iterator, so that texts of one length can go together: so many batches, or so many inputs.
_BATCHES_AHEAD, _INPUTS_AHEAD = 16, 1024
# Seconds of work after which a progress bar appears.
_PATIENCE = 2.0


@dataclass
class Prepared:
    """One input on its way to an answer: its rows for the model, and what each row gave once it has run.

    item: what the answer is made from besides. name: how messages call the input.
    """

    name: str
    item: Any
    rows: list[Row]
    findings: list[Any]


class Pipeline(Generic[Chosen]):
    """A model and its tokenizer, set to one task. The results are plain Python values.

    Called with one input it answers with its result, with a list of inputs with the list of their results, and with
    any other iterable with an iterator, which reads ahead a bounded number of inputs. All inputs of a list are checked
    before the first is run.

    Args:
        model: of the class that the task needs.
        tokenizer: the one the model was trained with.
        batch_tokens: how many tokens, padding included, are run through the model at once. Inputs of about the same
            length go together. It changes speed and memory, and the results only by rounding: a product of matrices of
            another shape may add up in another order.
        quiet: no progress bar. By default one shows on standard error, if that is a terminal, for longer work.
        options: of the task, for calls that do not give them.

    Raises:
        InputError: model, tokenizer or an option does not fit.
    """

    task: ClassVar[str]
    model_class: ClassVar[type[LongformerPreTrainedModel]]
    options_class: type[Chosen]

    def __init__(
        self,
        model: LongformerPreTrainedModel,
        tokenizer: LongformerTokenizer,
        *,
        batch_tokens: int = 4096,
        quiet: bool = False,
        **options: Any,
    ) -> None:
        if not isinstance(model, self.model_class):
            raise InputError(f"{self.task} needs a {self.model_class.__name__}, got {type(model).__name__}")
        if not isinstance(tokenizer, LongformerTokenizer):
            raise InputError(f"tokenizer must be a LongformerTokenizer, got {type(tokenizer).__name__}")
        if len(tokenizer) > model.config.vocab_size:
            raise InputError(
                f"the tokenizer has {len(tokenizer)} tokens and the model only {model.config.vocab_size}: "
                "they do not belong together"
            )
        check_count("batch_tokens", batch_tokens)
        check_flag("quiet", quiet)
        self.model = model
        self.tokenizer = tokenizer
        self.batch_tokens = batch_tokens
        self.quiet = quiet
        self.defaults = options
        self._choose({})

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Answer for one input, for each of a list, or one by one for any other iterable.

        inputs: as the task has them; options: of the task, for this call.

        Raises:
            InputError: an input or an option does not fit; inputs of a list are named by their place, from 0.
            CheckpointError: the model's weights are such that it gives NaN or infinity.
        """
        raise NotImplementedError

    def stream(self, inputs: Iterable[Any], *, name: Name | None = None, **options: Any) -> Iterator[Any]:
        """Yield the result of each input in order, holding a bounded number of them at a time.

        Args:
            inputs: may be endless.
            name: how a message calls an input, by its place from 0.
            options: of the task.

        Raises:
            InputError: an input does not fit; the results of those before it are yielded first.
        """
        return self._stream(iter(inputs), self._choose(options), name or self._name)

    # --- what a task says about itself ------------------------------------------------------------------------------

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
        """Run the model: what is found for each row, no larger than the answer needs."""
        raise NotImplementedError

    def _finish(self, prepared: Prepared, options: Chosen) -> Any:
        """The result for one input, from what was found for its rows."""
        raise NotImplementedError

    def _call(self, **inputs: Any) -> Any:
        """The output record of the model, with nothing in it that its config may ask for besides.

        Raises:
            CheckpointError: a value is NaN or infinity, of which no answer can be made. (One of -infinity can: a bias
                that rules something out.)
        """
        model: Any = self.model  # each class has a call of its own
        output = model(**inputs, output_attentions=False, output_hidden_states=False, return_dict=True)
        if not all((values < np.inf).all() for values in output.values()):
            raise CheckpointError(
                f"{self.task}: the model gives NaN or infinity in place of numbers: its weights hold such values, or "
                "are so large that sums overflow; fetch the checkpoint anew, or look at how it was trained or converted"
            )
        return output

    # --- the common way ---------------------------------------------------------------------------------------------

    def _choose(self, given: Mapping[str, Any]) -> Chosen:
        return choose(self.options_class, self.task, {**self.defaults, **given})

    def _name(self, place: int) -> str:
        return f"text {place}"

    def _answer(self, inputs: Any, options: Chosen) -> Any:
        if self._is_one(inputs):
            return self._answer_all([self._prepare("the text", inputs, options)], options)[0]
        if not isinstance(inputs, Iterable):
            raise InputError(f"{self.task} takes one input or a list of them, got {type(inputs).__name__}")
        if not isinstance(inputs, Sized):
            return self._stream(iter(inputs), options, self._name)
        return self._answer_all(
            [self._prepare(self._name(place), given, options) for place, given in enumerate(inputs)], options
        )

    def _prepare(self, name: str, given: Any, options: Chosen) -> Prepared:
        item = self._item(name, given, options)
        rows = self._rows(name, item, options)
        return Prepared(name, item, rows, [None] * len(rows))

    def _answer_all(self, prepared: list[Prepared], options: Chosen) -> list[Any]:
        with self._bar(sum(len(row) for one in prepared for row in one.rows)) as bar:
            return self._run_all(prepared, options, bar)

    def _run_all(self, prepared: list[Prepared], options: Chosen, bar: tqdm[Any]) -> list[Any]:
        """Run all rows of all inputs, those of one length together, and finish each input when its last row is in."""
        owners = [(place, index) for place, one in enumerate(prepared) for index in range(len(one.rows))]
        left = [len(one.rows) for one in prepared]
        results: list[Any] = [None] * len(prepared)
        rows = [prepared[place].rows[index] for place, index in owners]
        for batch in batches(rows, self.batch_tokens, self.model.config.pad_token_id):
            for number, found in zip(batch.places, self._run(batch, options), strict=True):
                place, index = owners[number]
                prepared[place].findings[index] = found
                left[place] -= 1
                if not left[place]:
                    results[place] = self._finish(prepared[place], options)
                    prepared[place] = replace(prepared[place], findings=[])
            bar.update(int(batch.attention_mask.sum()))
        return results

    def _stream(self, inputs: Iterator[Any], options: Chosen, name: Name) -> Iterator[Any]:
        with self._bar(None) as bar:
            for waiting, error in self._read_ahead(inputs, options, name):
                yield from self._run_all(waiting, options, bar)
                if error is not None:
                    raise error

    def _read_ahead(
        self, inputs: Iterator[Any], options: Chosen, name: Name
    ) -> Iterator[tuple[list[Prepared], InputError | None]]:
        """The inputs some at a time, with the error that ends them early, of an input or of the iterator itself."""
        waiting: list[Prepared] = []
        tokens = 0
        try:
            for place, given in enumerate(inputs):
                waiting.append(self._prepare(name(place), given, options))
                tokens += sum(map(len, waiting[-1].rows))
                if tokens >= _BATCHES_AHEAD * self.batch_tokens or len(waiting) == _INPUTS_AHEAD:
                    yield waiting, None
                    waiting, tokens = [], 0
        except InputError as error:
            yield waiting, error
        else:
            yield waiting, None

    def _bar(self, tokens: int | None) -> AbstractContextManager[Any]:
        """A progress bar, where it is of use: on a terminal, and for more than one batch."""
        useless = tokens is not None and tokens <= self.batch_tokens
        hidden = self.quiet or useless or sys.stderr is None or not sys.stderr.isatty()
        return tqdm(
            total=tokens, desc=self.task, unit=" tokens", unit_scale=True, delay=_PATIENCE, leave=False, disable=hidden
        )

    def _row(self, first: Array, second: Array | None = None, global_at: tuple[int, int] = (0, 0)) -> Row:
        """The row of a text, `<s> first </s>`, or of a pair, `<s> first </s></s> second </s>`.

        first, second: token ids, int64 [n]; global_at: see `Row`.
        """
        begin, end = np.array([self.tokenizer.cls_token_id]), np.array([self.tokenizer.sep_token_id])
        parts = [begin, first, end] if second is None else [begin, first, end, end, second, end]
        return Row(np.concatenate(parts).astype(np.int64), global_at)

    # --- lengths ----------------------------------------------------------------------------------------------------

    def limit(self, options: Options) -> int:
        """The longest input in tokens: what the model takes, or less where max_length of the options says so.

        Raises:
            InputError: max_length is more than the model takes.
        """
        most = self.model.config.max_tokens
        if options.max_length is None:
            return most
        if options.max_length > most:
            raise InputError(f"max_length={options.max_length} is too much: this model takes at most {most} tokens")
        return options.max_length

    def _encode(
        self, name: str, options: Options, text: str, pair: str | None = None, cut: str = "longest_first"
    ) -> Array:
        """The token ids of a text or a pair, cut if they are too long and truncation is on.  # -> int64 [S]

        Raises:
            InputError: too long; the message names the text, both lengths and the ways out.
        """
        limit = self.limit(options)
        ids = self.tokenizer(text, pair)["input_ids"]
        if len(ids) > limit and options.truncation:
            try:
                ids = self.tokenizer(text, pair, truncation=cut, max_length=limit)["input_ids"]
            except InputError as error:
                raise InputError(
                    f"{name} has {len(ids)} tokens and cannot be cut to {limit}: that would leave nothing of it"
                ) from error
        self._check_length(name, len(ids), limit)
        return np.asarray(ids, np.int64)

    def _check_length(self, name: str, tokens: int, limit: int, ways_out: str = "") -> None:
        if tokens <= limit:
            return
        whose = "this model takes" if limit == self.model.config.max_tokens else "max_length= allows"
        raise InputError(
            f"{name} has {tokens} tokens, and {whose} at most {limit}: shorten it or split it into pieces, or let "
            f"truncation=True cut its end off{ways_out}"
        )
