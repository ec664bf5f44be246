"""The results of the pipelines, as typed dictionaries with HF's keys."""

from __future__ import annotations

from typing import TypedDict


class FilledMask(TypedDict):
    """An answer of fill-mask: its probability, the token by id and by text, and the sequence with it in place."""

    score: float
    token: int
    token_str: str
    sequence: str


class LabelScore(TypedDict):
    """A label of text-classification, and its score."""

    label: str
    score: float


class RankedLabels(TypedDict):
    """The result of zero-shot-classification: the text, the labels, the best first, and their scores."""

    sequence: str
    labels: list[str]
    scores: list[float]


class DocumentAnswer(TypedDict):
    """An answer of question-answering: its probability, where it starts and ends in the document, and its text."""

    score: float
    start: int
    end: int
    answer: str


class RankedChoice(TypedDict):
    """A choice of multiple-choice: its index among the choices, from 0, its text, and its probability."""

    choice: int
    text: str
    score: float
