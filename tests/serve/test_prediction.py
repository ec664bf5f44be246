"""Classification and the other tasks: results are those of calls of the pipeline."""

from __future__ import annotations

import pytest
from pipelines.building import TEXTS, inputs_for
from serve.running import prediction, serving

import lf_ref
from lf_ref import InputError

PAIR = {"text": TEXTS[0], "text_pair": TEXTS[2]}
LONG = "word " * 90


def post(running, path, content, status=200):
    got = running.client.post(path, json=content)
    assert got.status_code == status, got.text
    return got.json()


@pytest.mark.parametrize("raw", [False, True])
def test_predict(classify, pipes, raw):
    pipe = pipes("text-classification")
    options = {"top_k": None, "function_to_apply": "none" if raw else None}
    given = {"raw_scores": True} if raw else {}
    for inputs, items in [
        (TEXTS[0], [TEXTS[0]]),
        ([TEXTS[0], TEXTS[2]], [PAIR]),
        ([[text] for text in TEXTS], TEXTS),
        ([[TEXTS[1]], [TEXTS[0], TEXTS[2]]], [TEXTS[1], PAIR]),
    ]:
        expected = pipe(items, **options)
        batch = isinstance(inputs[0], list)
        assert post(classify, "/predict", {"inputs": inputs, **given}) == (expected if batch else expected[0])
    scores = [entry["score"] for entry in expected[0]]
    assert sorted(scores, reverse=True) == scores
    assert len(scores) == 3


def test_long_texts_are_refused_unless_they_may_be_truncated(classify, pipes):
    pipe = pipes("text-classification")
    with pytest.raises(InputError) as raised:
        pipe(LONG)
    for path in ("/predict", "/"):
        assert post(classify, path, {"inputs": LONG}, 422) == {"error": str(raised.value), "error_type": "Validation"}
    text = f"A {LONG}B"
    left = lf_ref.LongformerTokenizer.from_pretrained(truncation_side="left")
    cut = {
        "Right": pipe(text, truncation=True, top_k=None),
        "left": lf_ref.pipeline("text-classification", pipe.model, tokenizer=left)(text, truncation=True, top_k=None),
    }
    assert cut["Right"] != cut["left"]
    for side in (None, "Right", "left"):
        content = {"inputs": text, "truncate": True, "truncation_direction": side}
        assert post(classify, "/predict", content) == cut[side or "Right"]
    windows = pipe(LONG, top_k=2, stride=7)
    assert post(classify, "/", {"inputs": LONG, "parameters": {"stride": 7, "top_k": 2}}) == [windows]


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("/predict", {"inputs": ["a", "b", "c"]}, 'a pair ["text", "text"], or a list of lists'),
        ("/predict", {"inputs": [["a"], "b", ["c"] * 3]}, "a list of lists"),
        ("/predict", {"inputs": []}, "a list of lists"),
        ("/predict", {"inputs": [["a"], [1]]}, "text 1 must be a text (str), got int"),
        ("/predict", {"inputs": "a", "top_k": 1}, "unknown field 'top_k': the fields are inputs, truncate"),
        ("/", {"inputs": "a", "parameters": {"topk": 1}}, "the nearest is 'top_k'"),
        ("/", {"inputs": "a", "parameters": {"on_error": "record"}}, "an input that does not fit is refused"),
        ("/", {"inputs": "a", "parameters": "b"}, "parameters must be an object, got str"),
        ("/", {"inputs": []}, "at least one text"),
        ("/", {"inputs": 3}, "the text must be a text (str), got int"),
        ("/", {"inputs": "a", "parameter": {}}, "the fields are inputs, parameters"),
    ],
)
def test_fields_that_do_not_fit(classify, path, content, words):
    assert words in post(classify, path, content, 422)["error"]


@pytest.mark.parametrize("depth", [100, 700, 900, 950, 990])
def test_deep_nesting_is_refused(classify, depth):
    body = b'{"inputs": {"text": ' + b"[" * depth + b"]" * depth + b"}}"
    got = classify.client.post("/", content=body, headers={"Content-Type": "application/json"})
    assert got.status_code == 422 or (got.status_code == 400 and depth > 800)


def test_info(classify):
    info = classify.client.get("/info").json()
    labels = {"0": "bad", "1": "so so", "2": "good"}
    assert info["model_type"]["classifier"]["id2label"] == labels
    assert (info["max_input_length"], info["auto_truncate"]) == (71, False)


PARAMETERS = {
    "fill-mask": {"top_k": 2},
    "zero-shot-classification": {"candidate_labels": ["a", "some b"], "multi_label": True},
    "token-classification": {"aggregation_strategy": "simple"},
    "question-answering": {"top_k": 2, "max_answer_len": 5},
    "multiple-choice": {"top_k": None},
}


@pytest.mark.parametrize("task", PARAMETERS)
def test_the_route_of_every_task(pipes, task):
    pipe, items, parameters = pipes(task), inputs_for(task), PARAMETERS[task]
    expected = [pipe(item, **parameters) for item in items]
    if task == "zero-shot-classification":
        expected = [
            [{"label": label, "score": score} for label, score in zip(found["labels"], found["scores"], strict=True)]
            for found in expected
        ]
    with serving(prediction(pipe)) as running:
        assert post(running, "/", {"inputs": items, "parameters": parameters}) == expected
        assert post(running, "/", {"inputs": items[1], "parameters": parameters}) == expected[1]
        refused = running.client.post("/embed", json={"inputs": "a"})
        assert refused.status_code == 404
        assert f"no POST /embed with --task {task}: there are POST /, GET" in refused.json()["error"]
