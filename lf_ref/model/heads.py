"""The model classes, by HF's names: the encoder alone, and with each head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from ..checkpoint.names import ENCODER_PARTS, POOLER, parameters_of
from ..config import LongformerConfig
from ..hf_names import accepts
from ..reference import heads
from .base import LongformerPreTrainedModel
from .call import AnswerInputs, ChoiceInputs, EncoderInputs, Given, LabelledInputs, MaskedLMInputs, call_with
from .global_attention import after_question, on_first_token, on_question
from .hf_methods import CALL, check_state_dict
from .inputs import check_positions
from .losses import answer_loss, classification_loss, token_loss
from .outputs import (
    LongformerBaseModelOutputWithPooling,
    LongformerMaskedLMOutput,
    LongformerMultipleChoiceModelOutput,
    LongformerQuestionAnsweringModelOutput,
    LongformerSequenceClassifierOutput,
    LongformerTokenClassifierOutput,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

Values = tuple[Any, ...]


class _HeadModel(LongformerPreTrainedModel):
    """An encoder with a head."""

    @property
    def base_model(self) -> LongformerModel:
        """The encoder of this model, with the same weights, as in HF."""
        encoder = LongformerModel.__new__(LongformerModel)
        vars(encoder).update(vars(self))
        encoder.weights = {name: weight for name, weight in self.weights.items() if name.startswith(ENCODER_PARTS)}
        encoder.head = "model" if POOLER in encoder.weights else "encoder"
        return encoder

    longformer = base_model


@accepts(call=CALL, forward=CALL)
class LongformerModel(LongformerPreTrainedModel):
    """The encoder, with a pooler on the first token if the checkpoint has one.

    add_pooling_layer: True demands the pooler's weights, False leaves the pooler out, None (default) uses it where
    its weights are there, but not in an autoregressive model, whose first token sees only itself. `pooler_output` is
    None without it; it is never made up. options: as for `LongformerPreTrainedModel`.
    """

    own_options = ("add_pooling_layer",)

    @property
    def base_model(self) -> LongformerModel:
        """The model itself, as in HF."""
        return self

    def __init__(
        self,
        config: LongformerConfig,
        state_dict: Mapping[str, Any] | None = None,
        *,
        add_pooling_layer: bool | None = None,
        **options: Any,
    ) -> None:
        if add_pooling_layer is None:
            given = parameters_of(check_state_dict(state_dict, type(self).__name__)).values()
            add_pooling_layer = POOLER in given and not getattr(config, "autoregressive", False)
        self.reads_first_token = add_pooling_layer
        self.head = "model" if add_pooling_layer else "encoder"
        super().__init__(config, state_dict, **options)

    @overload
    def __call__(
        self, *args: Given, return_dict: Literal[True] | None = None, **inputs: Unpack[EncoderInputs]
    ) -> LongformerBaseModelOutputWithPooling: ...

    @overload
    def __call__(self, *args: Given, return_dict: Literal[False], **inputs: Unpack[EncoderInputs]) -> Values: ...

    @call_with(EncoderInputs, positional=3)
    def __call__(
        self, *args: Given, return_dict: bool | None = None, **inputs: Unpack[EncoderInputs]
    ) -> LongformerBaseModelOutputWithPooling | Values:
        """Encode a batch.

        Args:
            input_ids: int (batch, seq), seq at most `config.max_tokens`.
            attention_mask: 0 or 1 (batch, seq); 0 hides a token (padding). All ones by default.
            global_attention_mask: 0 or 1 (batch, seq); 1 for tokens that attend to all and are attended by all.
                All zeros by default.
            token_type_ids: int (batch, seq), zeros by default.
            position_ids: int (batch, seq), counted from the input by default, padding left out.
            inputs_embeds: float (batch, seq, hidden), word vectors in place of input_ids.
            output_attentions, output_hidden_states: return those of every layer; by default as in the config.
            return_dict: False for a tuple instead of the record; by default as in the config.

        Returns:
            The record of HF's class; float arrays of the model's dtype, last_hidden_state (batch, seq, hidden).

        Raises:
            InputError: an argument does not fit; the message names it, with the value and its position.
            ConfigError: the config was changed to what cannot be.
        """
        batch = self._check(inputs)
        with self._hold_blas():
            hidden, encoded = self._encode(batch, inputs)
            pooled = heads.pooler(self._ops, hidden[:, 0], self.weights, self._note) if self.head == "model" else None
        return self._finish(
            LongformerBaseModelOutputWithPooling,
            encoded,
            return_dict,
            last_hidden_state=hidden,
            pooler_output=pooled,
        )

    forward = __call__


@accepts(call=CALL, forward=CALL)
class LongformerForMaskedLM(_HeadModel):
    """The encoder with a score for every word of the vocabulary at every token."""

    head = "masked_lm"

    @overload
    def __call__(
        self, *args: Given, return_dict: Literal[True] | None = None, **inputs: Unpack[MaskedLMInputs]
    ) -> LongformerMaskedLMOutput: ...

    @overload
    def __call__(self, *args: Given, return_dict: Literal[False], **inputs: Unpack[MaskedLMInputs]) -> Values: ...

    @call_with(MaskedLMInputs, positional=3)
    def __call__(
        self, *args: Given, return_dict: bool | None = None, **inputs: Unpack[MaskedLMInputs]
    ) -> LongformerMaskedLMOutput | Values:
        """Score the vocabulary at every token; arguments and errors as `LongformerModel`.

        labels: int (batch, seq), word ids, -100 where a token does not count. The loss is the mean cross-entropy.
        logits_at: int (n, 2), pairs of row and position, to score only these tokens: the logits are then (n, vocab)
            and the labels, if any, int (n,). At 4096 tokens and 50265 words all logits are 0.8 GB in float32.
        """
        batch = self._check(inputs)
        positions = inputs.get("logits_at")
        chosen = None if positions is None else check_positions("logits_at", positions, batch.visible.shape)
        shape = batch.shape if chosen is None else chosen[0].shape
        loss_of = token_loss(inputs.get("labels"), shape, self.config.vocab_size)
        with self._hold_blas():
            hidden, encoded = self._encode(batch, inputs, chosen)
            logits = heads.masked_lm(self._ops, hidden, self.weights, self.config.layer_norm_eps, self._note)
        return self._finish(LongformerMaskedLMOutput, encoded, return_dict, loss=loss_of(logits), logits=logits)

    forward = __call__


@accepts(call=CALL, forward=CALL)
class LongformerForSequenceClassification(_HeadModel):
    """The encoder with a score for every label, from the first token, which gets global attention by default."""

    head = "sequence_classification"
    reads_first_token = True

    @overload
    def __call__(
        self, *args: Given, return_dict: Literal[True] | None = None, **inputs: Unpack[LabelledInputs]
    ) -> LongformerSequenceClassifierOutput: ...

    @overload
    def __call__(self, *args: Given, return_dict: Literal[False], **inputs: Unpack[LabelledInputs]) -> Values: ...

    @call_with(LabelledInputs, positional=3)
    def __call__(
        self, *args: Given, return_dict: bool | None = None, **inputs: Unpack[LabelledInputs]
    ) -> LongformerSequenceClassifierOutput | Values:
        """Classify each text; arguments and errors as `LongformerModel`.

        Global attention is on the first token by default.

        labels: by `config.problem_type`: int (batch,) for single_label_classification, float (batch, num_labels) for
            multi_label_classification, float (batch,) or (batch, num_labels) for regression. Unset, one label is
            regression, integer labels are single-label and float labels multi-label.
        """
        batch = self._check(
            inputs,
            default_global=lambda shape, ids: on_first_token(np.empty(shape, bool)),
        )
        loss_of = classification_loss(inputs.get("labels"), batch.shape[:1], self.config)
        with self._hold_blas():
            first, encoded = self._encode_first(batch, inputs)
            logits = heads.sequence_classification(self._ops, first, self.weights, self._note)
        loss = loss_of(logits)
        return self._finish(LongformerSequenceClassifierOutput, encoded, return_dict, loss=loss, logits=logits)

    forward = __call__


@accepts(call=CALL, forward=CALL)
class LongformerForTokenClassification(_HeadModel):
    """The encoder with a score for every label at every token."""

    head = "token_classification"

    @overload
    def __call__(
        self, *args: Given, return_dict: Literal[True] | None = None, **inputs: Unpack[LabelledInputs]
    ) -> LongformerTokenClassifierOutput: ...

    @overload
    def __call__(self, *args: Given, return_dict: Literal[False], **inputs: Unpack[LabelledInputs]) -> Values: ...

    @call_with(LabelledInputs, positional=3)
    def __call__(
        self, *args: Given, return_dict: bool | None = None, **inputs: Unpack[LabelledInputs]
    ) -> LongformerTokenClassifierOutput | Values:
        """Classify each token; arguments and errors as `LongformerModel`.

        labels: int (batch, seq), -100 where a token does not count. The loss is the mean cross-entropy.
        """
        batch = self._check(inputs)
        loss_of = token_loss(inputs.get("labels"), batch.shape, self.config.num_labels)
        with self._hold_blas():
            hidden, encoded = self._encode(batch, inputs)
            logits = heads.token_classification(self._ops, hidden, self.weights, self._note)
        loss = loss_of(logits)
        return self._finish(LongformerTokenClassifierOutput, encoded, return_dict, loss=loss, logits=logits)

    forward = __call__


@accepts(call=CALL, forward=CALL)
class LongformerForQuestionAnswering(_HeadModel):
    """The encoder with a start and an end score at every token; the question gets global attention by default."""

    head = "question_answering"

    @overload
    def __call__(
        self, *args: Given, return_dict: Literal[True] | None = None, **inputs: Unpack[AnswerInputs]
    ) -> LongformerQuestionAnsweringModelOutput: ...

    @overload
    def __call__(self, *args: Given, return_dict: Literal[False], **inputs: Unpack[AnswerInputs]) -> Values: ...

    @call_with(AnswerInputs, positional=3)
    def __call__(
        self, *args: Given, return_dict: bool | None = None, **inputs: Unpack[AnswerInputs]
    ) -> LongformerQuestionAnsweringModelOutput | Values:
        """Score each token as start and as end of the answer; arguments and errors as `LongformerModel`.

        Global attention is on every token before the first separator by default, which needs input_ids with exactly
        three separators a row: `<s> question </s></s> document </s>`.

        start_positions, end_positions: int (batch,); what lies outside the sequence does not count. The loss, where
            both are given, is the mean of the two cross-entropies.
        """
        batch = self._check(
            inputs,
            default_global=lambda shape, ids: None if ids is None else on_question(ids, self.config.sep_token_id),
        )
        loss_of = answer_loss(inputs.get("start_positions"), inputs.get("end_positions"), batch.shape)
        with self._hold_blas():
            hidden, encoded = self._encode(batch, inputs)
            start, end = heads.question_answering(self._ops, hidden, self.weights, self._note)
        loss = loss_of((start, end))
        return self._finish(
            LongformerQuestionAnsweringModelOutput,
            encoded,
            return_dict,
            loss=loss,
            start_logits=start,
            end_logits=end,
        )

    forward = __call__


@accepts(call=CALL, forward=CALL)
class LongformerForMultipleChoice(_HeadModel):
    """The encoder with one score for each choice of each question, from its pooled first token."""

    head = "multiple_choice"
    reads_first_token = True

    @overload
    def __call__(
        self, *args: Given, return_dict: Literal[True] | None = None, **inputs: Unpack[ChoiceInputs]
    ) -> LongformerMultipleChoiceModelOutput: ...

    @overload
    def __call__(self, *args: Given, return_dict: Literal[False], **inputs: Unpack[ChoiceInputs]) -> Values: ...

    @call_with(ChoiceInputs, positional=4)
    def __call__(
        self, *args: Given, return_dict: bool | None = None, **inputs: Unpack[ChoiceInputs]
    ) -> LongformerMultipleChoiceModelOutput | Values:
        """Score the choices; arguments and errors as `LongformerModel`, each (batch, choices, seq).

        Their order is HF's for this class.
        Global attention is by default on every token after the first `</s></s>`, which needs input_ids with exactly
        three separators a choice: `<s> question </s></s> choice </s>`.

        labels: int (batch,), the right choice. The loss is the mean cross-entropy.
        """
        batch = self._check(
            inputs,
            axes=("batch", "choices", "seq"),
            default_global=lambda shape, ids: None if ids is None else after_question(ids, self.config.sep_token_id),
        )
        loss_of = token_loss(inputs.get("labels"), batch.shape[:1], batch.shape[1])
        with self._hold_blas():
            first, encoded = self._encode_first(batch, inputs)
            scores = heads.multiple_choice(self._ops, first, self.weights, self._note)
        logits = scores.reshape(batch.shape[:-1])
        loss = loss_of(logits)
        return self._finish(LongformerMultipleChoiceModelOutput, encoded, return_dict, loss=loss, logits=logits)

    forward = __call__
