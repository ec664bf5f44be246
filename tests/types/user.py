"""What a user's own file may look like: each task, each class. `mypy --strict` and pyright accept it as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lf_ref
from lf_ref import LongformerForMaskedLM, LongformerModel, LongformerTokenizer, global_attention, pipeline, testing
from lf_ref.pipelines import DocumentAnswer, FilledMask, LabelScore, RankedChoice, RankedLabels


def fill_mask(texts: list[str], more: Iterator[str]) -> None:
    pipe = pipeline("fill-mask", dtype="bfloat16", top_k=3, quiet=True)
    answers: list[FilledMask] = pipe("A <mask>.", top_k=2, targets=[" leaf"])
    word: str = answers[0]["token_str"]
    of_each: list[Any] = pipe(texts, truncation=True, max_length=64)
    one_by_one: Iterator[Any] = pipe(more)
    print(word, of_each, next(one_by_one), *pipe.stream(texts))


def feature_extraction(texts: list[str]) -> NDArray[Any]:
    pipe = pipeline("feature-extraction", "folder", num_threads=1)
    vector: NDArray[Any] = pipe("A text.", pooling="mean", return_tensors=True)
    nested: list[Any] = pipe("A text.")
    print(nested)
    return np.stack([vector, *pipe(texts, pooling="cls", return_tensors=True)])


def text_classification(texts: list[str]) -> None:
    pipe = pipeline("text-classification", "folder", revision="main", token=None)
    [best] = pipe("A text.")
    label: str = best["label"]
    answer: LabelScore = pipe({"text": "A text.", "text_pair": "Another."})
    answers: list[LabelScore] = pipeline("sentiment-analysis", "folder")(texts)
    every: list[list[LabelScore]] = pipe(texts, top_k=None, function_to_apply="sigmoid")
    print(label, answer["score"], answers, every)


def zero_shot_classification(texts: list[str]) -> None:
    pipe = pipeline("zero-shot-classification", "folder")
    result: RankedLabels = pipe("A text.", ["sport", "politics"])
    results = pipe(texts, candidate_labels="sport, politics", hypothesis_template="It is {}.", multi_label=True)
    print(result["labels"][0], results[0]["scores"][0])


def token_classification(texts: list[str]) -> None:
    pipe = pipeline("token-classification", "folder", aggregation_strategy="simple")
    for entity in pipe("A text.", ignore_labels=["O", "MISC"], stride=8):
        print(entity["entity_group"])
    print(pipeline("ner", "folder")(texts)[0][0]["word"], pipe([["A", "text"]], is_split_into_words=True))


def question_answering() -> None:
    pipe = pipeline("question-answering", "folder", max_answer_len=30)
    answer: DocumentAnswer = pipe(question="Where?", context="Here.")
    answers: list[DocumentAnswer] = pipe(question=["Where?", "When?"], context="Here and now.")
    best: list[DocumentAnswer] = pipe({"question": "Where?", "context": "Here."}, top_k=3)
    print(answer["answer"], answers, best, pipe("Where?", "Here."))


def multiple_choice() -> None:
    pipe = pipeline("multiple-choice", "folder")
    choices: list[RankedChoice] = pipe("The sky is", choices=["blue.", "made of bread."], top_k=1)
    print(choices[0]["text"], pipe([{"question": "a", "choices": ["b"]}])[0][0]["score"])


def any_task(task: str, config: lf_ref.LongformerConfig) -> Any:
    return pipeline(task, model="folder", config=config, tokenizer="folder", batch_tokens=512)("A text.")


def models(ids: NDArray[np.int64]) -> None:
    tokenizer = LongformerTokenizer.from_pretrained()
    model = LongformerModel.from_pretrained("folder", dtype="float64", attention_window=64)
    output = model(ids, global_attention_mask=global_attention.on_first_token(np.ones_like(ids)))
    print(output.last_hidden_state, len(tokenizer))
    scores = LongformerForMaskedLM.from_pretrained()(ids, labels=ids, return_dict=True)
    print(scores.logits, scores.loss)
    first, *_ = model(ids, return_dict=False)
    print(first)


def compare(model: LongformerForMaskedLM, ids: NDArray[np.int64], candidate: dict[str, NDArray[Any]]) -> str:
    trace = testing.trace(model, input_ids=ids)
    report = testing.compare(candidate, trace, precision="float32")
    return report.text() if report.passed else str(report.first_divergence)


try:
    print(lf_ref.__version__)
except lf_ref.LfRefError as error:
    print(error)
