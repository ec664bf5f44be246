"""A call in two steps, for a service that runs the inputs of many callers together: prepare each, then answer all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .base import Pipeline
from .options import Options
from .rows import Prepared


@dataclass(frozen=True)
class Call:
    """A pipeline and the checked options of a call; inputs of equal calls may be answered together."""

    pipe: Pipeline[Any]
    options: Options

    @classmethod
    def of(cls, pipe: Pipeline[Any], **options: Any) -> Call:
        """The call of a pipeline with these options of its task.

        Raises:
            InputError: an option is unknown or has an invalid value.
        """
        return cls(pipe, pipe._choose(options))

    def prepare(self, inputs: Any) -> list[Prepared]:
        """Check and tokenize one input, or each of a list, as a call of the pipeline does.

        Raises:
            InputError: an input does not fit; inputs of a list are named by their index, from 0.
        """
        if not isinstance(inputs, list):
            return [self.pipe._prepare("the text", inputs, self.options)]
        named = ((self.pipe._name(index), given) for index, given in enumerate(inputs))
        return [self.pipe._prepare(name, given, self.options) for name, given in named]

    def answer(self, prepared: Sequence[Prepared]) -> list[Any]:
        """The results of prepared inputs, in their order: those of calls of the pipeline, to the bit.

        Raises:
            InputError, CheckpointError: as for a call of `Pipeline`.
        """
        # Copies, so that what the model finds for a row is released before the caller releases the input.
        fresh = [replace(one, findings=[None] * len(one.rows)) for one in prepared]
        with self.pipe._bar(0) as bar:
            return self.pipe._run_all(fresh, self.options, bar)
