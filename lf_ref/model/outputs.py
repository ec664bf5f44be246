"""The outputs of a forward pass: HF's output classes, with NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ..errors import InputError
from ..hf_names import accepts, unknown_key
from ..reference.ops import Array

Arrays = tuple[Array, ...]


@accepts()
class ModelOutput(dict[str, Any]):
    """A record that also answers as HF's does: `output.logits`, `output["logits"]`, `output[0]`, `output[:2]`.

    Fields that are None do not count: they have no index and no key, and are not in `to_tuple()`. It is a dict, so
    iterating yields the names of the fields, as HF's does; `loss, logits = output.to_tuple()` unpacks the values.
    """

    def to_tuple(self) -> tuple[Any, ...]:
        """The values that are not None, in order."""
        return tuple(self.values())

    def __getitem__(self, key: str | int | slice) -> Any:
        try:
            return super().__getitem__(key) if isinstance(key, str) else self.to_tuple()[key]
        except (LookupError, TypeError):
            raise unknown_key(self, key, self) from None

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a field, by which the entries of the dict follow, in the order of the fields."""
        super().__setattr__(name, value)
        super().clear()
        for field in fields(self):  # type: ignore[arg-type]  # each record is a dataclass
            if vars(self).get(field.name) is not None:
                super().__setitem__(field.name, vars(self)[field.name])

    def __setitem__(self, name: str, value: Any) -> None:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]
        if name not in names:
            raise unknown_key(self, name, names)
        setattr(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise InputError("the fields of an output stay; dict(output) is a copy that may lose some")

    __delitem__ = __ior__ = pop = popitem = setdefault = update = clear = _refuse


@accepts()
@dataclass(eq=False)
class LongformerBaseModelOutput(ModelOutput):
    """The encoder's output, in HF's fields and shapes; float is the model's dtype.

    Attributes:
        last_hidden_state: float (batch, seq, hidden).
        hidden_states: the embeddings and each layer's output, every one float (batch, seq, hidden).
        attentions: of each layer, float (batch, heads, seq, x + attention_window + 1), x being the largest number of
            global tokens of any row. Columns below x are a query's probabilities on the row's global tokens in order of
            position; column x + attention_window // 2 is the token itself, with its neighbours around it, of each head
            `config.dilations` apart. Rows of masked and of global queries are 0.
        global_attentions: of each layer, float (batch, heads, seq, x): the probabilities of each global query over all
            tokens; None where nothing is global. `dense_attentions` puts the two together.
    """

    last_hidden_state: Array
    hidden_states: Arrays | None = None
    attentions: Arrays | None = None
    global_attentions: Arrays | None = None


@accepts()
@dataclass(eq=False)
class LongformerBaseModelOutputWithPooling(ModelOutput):
    """As `LongformerBaseModelOutput`, with the pooler's vector.

    pooler_output: float (batch, hidden), from the first token; None where there is no pooler.
    """

    last_hidden_state: Array
    pooler_output: Array | None = None
    hidden_states: Arrays | None = None
    attentions: Arrays | None = None
    global_attentions: Arrays | None = None


@accepts()
@dataclass(eq=False)
class _LogitsOutput(ModelOutput):
    loss: Array | None = None
    logits: Array = None  # type: ignore[assignment]  # every forward gives them
    hidden_states: Arrays | None = None
    attentions: Arrays | None = None
    global_attentions: Arrays | None = None


class LongformerMaskedLMOutput(_LogitsOutput):
    """Scores of words, and the rest as `LongformerBaseModelOutput`.

    loss: float scalar, where labels were given. logits: float (batch, seq, vocab), or (n, vocab) with logits_at.
    """


class LongformerSequenceClassifierOutput(_LogitsOutput):
    """Scores of a text's labels, and the rest as `LongformerBaseModelOutput`.

    loss: float scalar, where labels were given. logits: float (batch, labels).
    """


class LongformerTokenClassifierOutput(_LogitsOutput):
    """Scores of the tokens' labels, and the rest as `LongformerBaseModelOutput`.

    loss: float scalar, where labels were given. logits: float (batch, seq, labels).
    """


class LongformerMultipleChoiceModelOutput(_LogitsOutput):
    """Scores of choices, and the rest as `LongformerBaseModelOutput`, with a row for each choice of each question.

    loss: float scalar, where labels were given. logits: float (batch, choices).
    """


@accepts()
@dataclass(eq=False)
class LongformerQuestionAnsweringModelOutput(ModelOutput):
    """Scores of the start and the end of an answer, and the rest as `LongformerBaseModelOutput`.

    loss: float scalar, where both positions were given. start_logits, end_logits: float (batch, seq).
    """

    loss: Array | None = None
    start_logits: Array = None  # type: ignore[assignment]  # every forward gives both
    end_logits: Array = None  # type: ignore[assignment]
    hidden_states: Arrays | None = None
    attentions: Arrays | None = None
    global_attentions: Arrays | None = None
