"""`lf-ref question-answering`."""

from __future__ import annotations

from typing import Any

import click

from ..command_line import COUNT, Number, command
from ..errors import InputError
from ..records.columns import ANSWERS
from ..records.record import Fields
from .inputs import InputOutput, answer, input_options
from .options import length_options, load, model_options
from .output import echo, table, visible
from .texts import argument

# Characters of the document shown on either side of an answer.
_AROUND = 40
_FIELDS = Fields(text="context", required=("question", "context"))


@command("question-answering", short_help="Answer a question from a document.")
@click.argument("question", required=False)
@click.argument("context", metavar="[DOCUMENT]", required=False)
@input_options(_FIELDS, ANSWERS["question-answering"], "the document")
@click.option("--top-k", type=COUNT, default=1, show_default=True, help="Number of answers, the best first.")
@click.option("--max-answer-len", type=COUNT, default=15, show_default=True, help="Longest answer, in tokens.")
@click.option("--max-question-len", type=COUNT, help="Truncate the question to N tokens.")
@click.option("--max-seq-len", type=COUNT, help="Length of a window, in tokens (default: the limit of the model).")
@click.option("--doc-stride", type=Number(min=0), help="Overlap of windows, in tokens (default: 128 or less).")
@click.option("--handle-impossible-answer", is_flag=True, help="Allow the empty answer.")
@length_options
@model_options
def question_answering(
    question: str | None,
    context: str | None,
    io: InputOutput,
    top_k: int,
    max_answer_len: int,
    max_question_len: int | None,
    max_seq_len: int | None,
    doc_stride: int | None,
    handle_impossible_answer: bool,
    truncation: bool | None,
    max_length: int | None,
    **source: Any,
) -> None:
    """Answer QUESTION from DOCUMENT, which may be longer than the limit of the model.

    With --lines or --files QUESTION is asked of every document; without it each line has its own.

    \b
    Example:
      lf-ref question-answering --model FOLDER "Where do I live?" "My name is Ada and I live in London."
    """
    options = {
        "top_k": top_k,
        "max_answer_len": max_answer_len,
        "max_question_len": max_question_len,
        "max_seq_len": max_seq_len,
        "doc_stride": doc_stride,
        "handle_impossible_answer": handle_impossible_answer,
        "truncation": truncation,
        "max_length": max_length,
    }
    if question is None and io.lines is None:
        raise InputError(
            "give a question and a document, or --lines PATH (- for standard input); before --files the question alone"
        )
    given = io.read(context, **({} if question is None else {"question": argument(question)}))

    def show(answers: Any) -> None:
        [record] = given.records()
        _show([answers] if isinstance(answers, dict) else answers, record.given["context"])

    answer(load("question-answering", source), given, show, **options)


def _show(answers: list[dict[str, Any]], context: str) -> None:
    if not answers:
        echo("no answer")
        return
    rows = []
    for found in answers:
        place = f"{found['start']}-{found['end']}"
        rows.append([f"{found['score']:.4f}", place, _around(context, found["start"], found["end"])])
    table(rows, right=[1])


def _around(context: str, start: int, end: int) -> str:
    """The answer in brackets, with some of the document around it."""
    if start == end:
        return "(no answer)"
    before, after = context[max(0, start - _AROUND) : start], context[end : end + _AROUND]
    shown = f"{'...' if start > _AROUND else ''}{before}[{context[start:end]}]{after}"
    return visible(" ".join(shown.split())) + ("..." if end + _AROUND < len(context) else "")
