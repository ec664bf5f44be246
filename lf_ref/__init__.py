"""Longformer on a CPU without torch.

The names are those of Hugging Face's transformers. They are imported on first use, so that `import lf_ref` is quick.

>>> from lf_ref import pipeline
>>> fill_mask = pipeline("fill-mask")
>>> len(fill_mask("He opened the <mask> and went into the room.", top_k=3))
3
"""

from importlib import import_module as _import_module
from sys import modules as _modules
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from .errors import (
    CheckpointError,
    CheckpointFileError,
    ConfigError,
    DownloadError,
    InputError,
    LfRefError,
    PipelineException,
    WeightsError,
)
from .version import __version__

_HOME = {
    "LongformerConfig": "config",
    "LongformerTokenizer": "tokenizer",
    "LongformerTokenizerFast": "tokenizer",
    "AddedToken": "tokenizer",
    "BatchEncoding": "tokenizer",
    "LongformerModel": "model.heads",
    "LongformerForMaskedLM": "model.heads",
    "LongformerForSequenceClassification": "model.heads",
    "LongformerForTokenClassification": "model.heads",
    "LongformerForMultipleChoice": "model.heads",
    "LongformerForQuestionAnswering": "model.heads",
    "LongformerPreTrainedModel": "model.base",
    "convert": "conversion",
    "to_safetensors": "conversion",
    "Conversion": "conversion",
    "dense_attentions": "model.attentions",
    "LongformerBaseModelOutput": "model.outputs",
    "LongformerBaseModelOutputWithPooling": "model.outputs",
    "LongformerMaskedLMOutput": "model.outputs",
    "LongformerSequenceClassifierOutput": "model.outputs",
    "LongformerTokenClassifierOutput": "model.outputs",
    "LongformerMultipleChoiceModelOutput": "model.outputs",
    "LongformerQuestionAnsweringModelOutput": "model.outputs",
    "pipeline": "pipelines",
    "Pipeline": "pipelines",
    "FeatureExtractionPipeline": "pipelines",
    "FillMaskPipeline": "pipelines",
    "MultipleChoicePipeline": "pipelines",
    "QuestionAnsweringPipeline": "pipelines",
    "TextClassificationPipeline": "pipelines",
    "TokenClassificationPipeline": "pipelines",
    "ZeroShotClassificationPipeline": "pipelines",
    "SentenceEncoder": "embeddings.encoder",
}
_MODULES = {"global_attention": "model.global_attention", "testing": "testing"}

# HF's names for "whichever class the checkpoint needs", where here there is but one, and for the records of its
# TensorFlow models, which have the same fields.
_SAME = {
    "AutoConfig": "LongformerConfig",
    "AutoTokenizer": "LongformerTokenizer",
    "AutoModel": "LongformerModel",
    "AutoModelForMaskedLM": "LongformerForMaskedLM",
    "AutoModelForSequenceClassification": "LongformerForSequenceClassification",
    "AutoModelForTokenClassification": "LongformerForTokenClassification",
    "AutoModelForMultipleChoice": "LongformerForMultipleChoice",
    "AutoModelForQuestionAnswering": "LongformerForQuestionAnswering",
    "TFLongformerBaseModelOutput": "LongformerBaseModelOutput",
    "TFLongformerBaseModelOutputWithPooling": "LongformerBaseModelOutputWithPooling",
    "TFLongformerMaskedLMOutput": "LongformerMaskedLMOutput",
    "TFLongformerSequenceClassifierOutput": "LongformerSequenceClassifierOutput",
    "TFLongformerTokenClassifierOutput": "LongformerTokenClassifierOutput",
    "TFLongformerMultipleChoiceModelOutput": "LongformerMultipleChoiceModelOutput",
    "TFLongformerQuestionAnsweringModelOutput": "LongformerQuestionAnsweringModelOutput",
}

_TRAIN = "lf_ref computes no gradients; train with HF transformers, and load the folder that it saved"
_NO_DECODER = "a Longformer encodes texts, and generates none; HF transformers has the models that do"
_HINTS = {
    **dict.fromkeys(
        ("Trainer", "TrainingArguments", "DataCollatorForLanguageModeling", "AutoModelForPreTraining"), _TRAIN
    ),
    **dict.fromkeys(
        ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM", "TextGenerationPipeline", "GenerationConfig"), _NO_DECODER
    ),
    **dict.fromkeys(("TFLongformerModel", "TFAutoModel"), "arrays are NumPy's: LongformerModel is the same model"),
    "DataCollatorWithPadding": "tokenizer.pad(rows) makes a batch of rows",
    "SentenceTransformer": "SentenceEncoder.from_pretrained(folder) reads the same folders",
    "PretrainedConfig": "LongformerConfig is the only config",
    "PreTrainedTokenizerFast": "LongformerTokenizer is the only tokenizer",
    "BitsAndBytesConfig": 'dtype="int8" of from_pretrained() quantizes',
}

# Written out for type checkers; without testing, since a star brings what runs models.
__all__ = [  # noqa: RUF022 - in the order of `_HOME`, which the documentation keeps
    "CheckpointError",
    "CheckpointFileError",
    "ConfigError",
    "DownloadError",
    "InputError",
    "LfRefError",
    "PipelineException",
    "WeightsError",
    "__version__",
    "global_attention",
    "LongformerConfig",
    "LongformerTokenizer",
    "LongformerTokenizerFast",
    "AddedToken",
    "BatchEncoding",
    "LongformerModel",
    "LongformerForMaskedLM",
    "LongformerForSequenceClassification",
    "LongformerForTokenClassification",
    "LongformerForMultipleChoice",
    "LongformerForQuestionAnswering",
    "LongformerPreTrainedModel",
    "convert",
    "to_safetensors",
    "Conversion",
    "dense_attentions",
    "LongformerBaseModelOutput",
    "LongformerBaseModelOutputWithPooling",
    "LongformerMaskedLMOutput",
    "LongformerSequenceClassifierOutput",
    "LongformerTokenClassifierOutput",
    "LongformerMultipleChoiceModelOutput",
    "LongformerQuestionAnsweringModelOutput",
    "pipeline",
    "Pipeline",
    "FeatureExtractionPipeline",
    "FillMaskPipeline",
    "MultipleChoicePipeline",
    "QuestionAnsweringPipeline",
    "TextClassificationPipeline",
    "TokenClassificationPipeline",
    "ZeroShotClassificationPipeline",
    "SentenceEncoder",
    "AutoConfig",
    "AutoTokenizer",
    "AutoModel",
    "AutoModelForMaskedLM",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoModelForMultipleChoice",
    "AutoModelForQuestionAnswering",
    "TFLongformerBaseModelOutput",
    "TFLongformerBaseModelOutputWithPooling",
    "TFLongformerMaskedLMOutput",
    "TFLongformerSequenceClassifierOutput",
    "TFLongformerTokenClassifierOutput",
    "TFLongformerMultipleChoiceModelOutput",
    "TFLongformerQuestionAnsweringModelOutput",
]

if _TYPE_CHECKING:
    from . import testing
    from .config import LongformerConfig
    from .conversion import Conversion, convert, to_safetensors
    from .embeddings.encoder import SentenceEncoder
    from .model import global_attention
    from .model.attentions import dense_attentions
    from .model.base import LongformerPreTrainedModel
    from .model.heads import (
        LongformerForMaskedLM,
        LongformerForMultipleChoice,
        LongformerForQuestionAnswering,
        LongformerForSequenceClassification,
        LongformerForTokenClassification,
        LongformerModel,
    )
    from .model.outputs import (
        LongformerBaseModelOutput,
        LongformerBaseModelOutputWithPooling,
        LongformerMaskedLMOutput,
        LongformerMultipleChoiceModelOutput,
        LongformerQuestionAnsweringModelOutput,
        LongformerSequenceClassifierOutput,
        LongformerTokenClassifierOutput,
    )
    from .pipelines import (
        FeatureExtractionPipeline,
        FillMaskPipeline,
        MultipleChoicePipeline,
        Pipeline,
        QuestionAnsweringPipeline,
        TextClassificationPipeline,
        TokenClassificationPipeline,
        ZeroShotClassificationPipeline,
        pipeline,
    )
    from .tokenizer import AddedToken, BatchEncoding, LongformerTokenizer, LongformerTokenizerFast

    AutoConfig = LongformerConfig
    AutoTokenizer = LongformerTokenizer
    AutoModel = LongformerModel
    AutoModelForMaskedLM = LongformerForMaskedLM
    AutoModelForSequenceClassification = LongformerForSequenceClassification
    AutoModelForTokenClassification = LongformerForTokenClassification
    AutoModelForMultipleChoice = LongformerForMultipleChoice
    AutoModelForQuestionAnswering = LongformerForQuestionAnswering
    TFLongformerBaseModelOutput = LongformerBaseModelOutput
    TFLongformerBaseModelOutputWithPooling = LongformerBaseModelOutputWithPooling
    TFLongformerMaskedLMOutput = LongformerMaskedLMOutput
    TFLongformerSequenceClassifierOutput = LongformerSequenceClassifierOutput
    TFLongformerTokenClassifierOutput = LongformerTokenClassifierOutput
    TFLongformerMultipleChoiceModelOutput = LongformerMultipleChoiceModelOutput
    TFLongformerQuestionAnsweringModelOutput = LongformerQuestionAnsweringModelOutput


def __getattr__(name: str) -> _Any:
    if name in _MODULES:
        return _import_module(f".{_MODULES[name]}", __name__)
    name = _SAME.get(name, name)
    if name in _HOME:
        return getattr(_import_module(f".{_HOME[name]}", __name__), name)
    from .hf_names import unknown_attribute

    raise unknown_attribute(_modules[__name__], name, _HINTS)


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES})
