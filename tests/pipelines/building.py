"""Small random checkpoints with the demo's tokenizer, and comparing results."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from typing import Any

import lf_ref
from oracles.weights import fields_of, state_of

DEMO = Path(lf_ref.__file__).parent / "demo"
LIMIT = 71  # tokens that a small model takes

CLASSES = {
    "fill-mask": "LongformerForMaskedLM",
    "feature-extraction": "LongformerModel",
    "text-classification": "LongformerForSequenceClassification",
    "zero-shot-classification": "LongformerForSequenceClassification",
    "token-classification": "LongformerForTokenClassification",
    "question-answering": "LongformerForQuestionAnswering",
    "multiple-choice": "LongformerForMultipleChoice",
}
LABELS = {
    "zero-shot-classification": {0: "contradiction", 1: "neutral", 2: "entailment"},
    "token-classification": {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"},
    "text-classification": {0: "bad", 1: "so so", 2: "good"},
}
TEXTS = [
    "The old gardener of Königsberg walked slowly along the river.",
    "Nobody's answer.",
    "He came, he saw - and he went home to London with Mr. Smith.",
    "",
    "Yes.",
]


@cache
def model_for(task: str, seed: int = 1, dtype: str = "float64", **changes: Any) -> Any:
    """A random model of the class that a task needs, on the plain engine."""
    labels = LABELS.get(task, {0: "LABEL_0", 1: "LABEL_1"})
    fields = fields_of(vocab_size=8192, max_position_embeddings=LIMIT + 2, num_labels=len(labels))
    state = state_of(CLASSES[task], fields, seed)
    del fields["num_labels"]
    config = lf_ref.LongformerConfig(**{**fields, "id2label": labels, **changes})
    return getattr(lf_ref, CLASSES[task])(config, state, dtype=dtype, backend="numpy")


@cache
def demo_tokenizer() -> Any:
    """The tokenizer of the bundled model."""
    return lf_ref.LongformerTokenizer.from_pretrained()


def pipe_for(task: str, seed: int = 1, **options: Any) -> Any:
    """A pipeline on a small random model."""
    return lf_ref.pipeline(task, model=model_for(task, seed), tokenizer=demo_tokenizer(), **options)


def save_checkpoint(task: str, folder: Path, seed: int = 1) -> Path:
    """Write a small random checkpoint for a task, with the demo's tokenizer."""
    model_for(task, seed, dtype="float32").save_pretrained(folder)
    for name in ("vocab.json", "merges.txt", "special_tokens_map.json"):
        shutil.copy(DEMO / name, folder / name)
    return folder


def inputs_for(task: str) -> list[Any]:
    """Inputs of ragged lengths, one of them as short as it can be."""
    if task == "fill-mask":
        return ["<mask>", *(f"{text} A <mask>, or a <mask>." for text in TEXTS[:3])]
    if task == "question-answering":
        return [
            {"question": f"Who {text}?", "context": " ".join(TEXTS[: 1 + place])} for place, text in enumerate(TEXTS)
        ]
    if task == "multiple-choice":
        return [{"question": text, "choices": ["yes", *TEXTS[:place]]} for place, text in enumerate(TEXTS[:4])]
    return [text for text in TEXTS if text] if task == "zero-shot-classification" else TEXTS


def options_for(task: str) -> dict[str, Any]:
    """Options that make a task's result large, or that it cannot do without."""
    return {
        "zero-shot-classification": {"candidate_labels": ["sport", "the news of the day"]},
        "token-classification": {"aggregation_strategy": "none", "ignore_labels": []},
        "question-answering": {"top_k": 3, "max_seq_len": 37, "doc_stride": 5},
        "text-classification": {"top_k": None},
        "fill-mask": {"top_k": 4},
    }.get(task, {})


def assert_alike(got: Any, expected: Any, tolerance: float, where: str = "result") -> None:
    """The same nesting, types and values, floats to an absolute tolerance."""
    assert type(got) is type(expected), (where, got, expected)
    if isinstance(expected, dict):
        assert list(got) == list(expected), where
        for key, value in expected.items():
            assert_alike(got[key], value, tolerance, f"{where}[{key!r}]")
    elif isinstance(expected, list):
        assert len(got) == len(expected), (where, got, expected)
        for index, (one, other) in enumerate(zip(got, expected, strict=True)):
            assert_alike(one, other, tolerance, f"{where}[{index}]")
    elif isinstance(expected, float):
        assert abs(got - expected) <= tolerance, (where, got, expected)
    else:
        assert got == expected, (where, got, expected)
