"""What users of HF's pipelines write: other names, words in any case, NumPy's integers, None, attributes."""

from __future__ import annotations

import enum
import json
import pickle
import shutil

import numpy as np
import pytest
from pipelines.building import (
    CLASSES,
    DEMO,
    TEXTS,
    assert_alike,
    demo_tokenizer,
    inputs_for,
    model_for,
    options_for,
    pipe_for,
)

import lf_ref
from lf_ref import InputError
from lf_ref.pipelines import TASKS, PipelineException

MASKED = "A <mask> of the <mask>."


class Word(str, enum.Enum):
    """As HF's enums of strategies and functions are."""

    SIMPLE = "simple"
    FIRST = "first"
    SIGMOID = "sigmoid"


SAME = [
    ("fill-mask", {"topk": 3}, {"top_k": 3}),
    ("fill-mask", {"top_k": np.int64(3)}, {"top_k": 3}),
    ("fill-mask", {"top_k": None}, {"top_k": 5}),
    ("fill-mask", {"targets": None, "truncation": None, "max_length": None}, {}),
    ("fill-mask", {"tokenizer_kwargs": {"truncation": True, "max_length": np.int32(29)}}, {"max_length": 29}),
    ("fill-mask", {"tokenizer_kwargs": None, "batch_size": 3, "num_workers": 0}, {}),
    ("feature-extraction", {"pooling": "MEAN", "tokenize_kwargs": {"padding": True}}, {"pooling": "mean"}),
    ("feature-extraction", {"pooling": None, "return_tensors": np.False_}, {}),
    ("text-classification", {"function_to_apply": "SoftMax"}, {"function_to_apply": "softmax"}),
    ("text-classification", {"function_to_apply": Word.SIGMOID}, {"function_to_apply": "sigmoid"}),
    (
        "text-classification",
        {"function_to_apply": "NONE", "top_k": np.int8(2)},
        {"function_to_apply": "none", "top_k": 2},
    ),
    ("text-classification", {"return_all_scores": False, "padding": "max_length"}, {}),
    ("zero-shot-classification", {"multi_class": True}, {"multi_label": True}),
    ("zero-shot-classification", {"multi_label": np.True_, "hypothesis_template": None}, {"multi_label": True}),
    ("token-classification", {"aggregation_strategy": "Simple"}, {"aggregation_strategy": "simple"}),
    ("token-classification", {"aggregation_strategy": Word.FIRST}, {"aggregation_strategy": "first"}),
    ("token-classification", {"aggregation_strategy": None, "ignore_labels": None, "stride": None}, {}),
    ("token-classification", {"grouped_entities": True}, {"aggregation_strategy": "simple"}),
    (
        "token-classification",
        {"grouped_entities": np.True_, "ignore_subwords": True},
        {"aggregation_strategy": "first"},
    ),
    ("token-classification", {"ignore_subwords": True, "offset_mapping": None}, {"aggregation_strategy": "none"}),
    ("token-classification", {"stride": np.int64(0), "grouped_entities": True}, {"aggregation_strategy": "simple"}),
    ("question-answering", {"topk": 3, "padding": "do_not_pad"}, {"top_k": 3}),
    ("question-answering", {"top_k": None, "max_answer_len": None, "doc_stride": None, "align_to_words": None}, {}),
    (
        "question-answering",
        {"max_seq_len": np.int64(31), "doc_stride": np.uint8(3)},
        {"max_seq_len": 31, "doc_stride": 3},
    ),
    ("multiple-choice", {"top_k": np.int64(1)}, {"top_k": 1}),
    ("multiple-choice", {"top_k": None, "add_special_tokens": True, "pad_to_multiple_of": None}, {}),
]


@pytest.mark.parametrize(("task", "said", "means"), SAME, ids=str)
def test_what_can_mean_one_thing_does_when_building_and_in_a_call(task, said, means):
    needed = {"candidate_labels": ["sport", "the news"]} if task == "zero-shot-classification" else {}
    inputs = inputs_for(task)[:2]
    expected = pipe_for(task)(inputs, **needed, **means)
    assert_alike(pipe_for(task)(inputs, **needed, **said), expected, 0.0)
    assert_alike(pipe_for(task, **needed, **said)(inputs), expected, 0.0)


def test_all_scores_come_in_the_order_of_the_labels():
    pipe = pipe_for("text-classification")
    labels = ["bad", "so so", "good"]
    built = pipe_for("text-classification", return_all_scores=True)
    wanted = [sorted(answers, key=lambda one: labels.index(one["label"])) for answers in pipe(TEXTS, top_k=None)]
    assert_alike(pipe(TEXTS, return_all_scores=True), wanted, 0.0)
    assert_alike(built(TEXTS), wanted, 0.0)
    assert pipe(TEXTS[0], return_all_scores=True) == pipe([TEXTS[0]], return_all_scores=True)
    assert len(pipe(TEXTS[0], return_all_scores=True, top_k=2)) == 2


def test_none_stands_for_what_the_pipeline_was_built_with():
    assert len(pipe_for("fill-mask", top_k=2)("A <mask>.", top_k=None)) == 2
    assert len(pipe_for("text-classification", top_k=2)("A b.", top_k=None)) == 3
    assert len(pipe_for("fill-mask", max_length=4)("A <mask> one two three.", max_length=None)) == 5


@pytest.mark.parametrize("task", CLASSES)
def test_unknown_options_name_the_nearest(task):
    message = r"takes no argument 'max_lenght': the nearest is 'max_length'; all are .*truncation"
    with pytest.raises(InputError, match=rf"pipeline\(\) {message}"):
        lf_ref.pipeline(task, "a/repository-that-is-never-asked-for", max_lenght=3)
    with pytest.raises(InputError, match=f"{task} {message}"):
        pipe_for(task)(inputs_for(task), max_lenght=3)
    with pytest.raises(InputError, match=f"{task} {message}"):
        TASKS[task](model_for(task), demo_tokenizer(), max_lenght=3)
    with pytest.raises(InputError, match=f"{task} {message}"):
        next(pipe_for(task).stream(inputs_for(task), max_lenght=3))


def test_unknown_arguments_of_pipeline_name_the_nearest():
    with pytest.raises(InputError, match="no argument 'tokeniser': the nearest is 'tokenizer'"):
        lf_ref.pipeline("fill-mask", tokeniser="demo")


CANNOT = {
    "device": (0, "only the CPU"),
    "device_map": ("balanced", "only the CPU"),
    "framework": ("pt", "NumPy computes"),
    "trust_remote_code": (True, "is never run"),
    "feature_extractor": ("x", "a tokenizer alone"),
    "image_processor": ("x", "a tokenizer alone"),
    "processor": ("x", "a tokenizer alone"),
    "pipeline_class": (object, "call the class itself"),
    "binary_output": (True, "plain Python values"),
    "add_special_tokens": (False, "the model needs them"),
    "pad_to_multiple_of": (64, "nothing has to be padded"),
    "padding": ("longest_first", "padding must be one of"),
    "tokenizer_kwargs": (3, "must be a dict"),
    "model_kwargs": (3, "must be a dict"),
}


@pytest.mark.parametrize("name", CANNOT)
def test_options_without_meaning_raise_with_the_way_out(name):
    value, message = CANNOT[name]
    with pytest.raises(InputError, match=message):
        lf_ref.pipeline("question-answering", "a/repository-that-is-never-asked-for", **{name: value})


@pytest.mark.parametrize(
    "name", ["batch_tokens", "quiet", "dtype", "backend", "num_threads", "tokenizer", "token", "device", "model_kwargs"]
)
def test_arguments_of_pipeline_are_refused_in_a_call(name):
    with pytest.raises(InputError, match=rf"takes no {name}: pass it when building the pipeline.*{name}=\.\.\."):
        pipe_for("fill-mask")("A <mask>.", **{name: 1})


def test_an_option_is_given_once():
    pipe = pipe_for("fill-mask")
    with pytest.raises(InputError, match="topk and top_k are the same argument"):
        pipe("A <mask>.", topk=2, top_k=2)
    with pytest.raises(InputError, match="truncation is given by itself and in tokenizer_kwargs"):
        pipe("A <mask>.", truncation=True, tokenizer_kwargs={"truncation": True})
    with pytest.raises(InputError, match="data and inputs are the same argument"):
        pipe_for("question-answering")({}, data={})
    with pytest.raises(InputError, match="X and inputs are the same argument"):
        pipe_for("question-answering")(data={}, X={})
    with pytest.raises(InputError, match="dtype is given by itself and in model_kwargs"):
        lf_ref.pipeline("fill-mask", dtype="float32", model_kwargs={"dtype": "float32"})


# --- zero-shot: nothing to judge --------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["", ["A", ""]])
def test_an_empty_text_has_no_label(given):
    with pytest.raises(InputError, match=r"(the text|text 1) is empty"):
        pipe_for("zero-shot-classification")(given, ["a", "b"])
    assert len(pipe_for("zero-shot-classification")(" ", ["a", "b"])["labels"]) == 2


@pytest.mark.parametrize("labels", [None, [], "", " , "])
def test_labels_of_a_call_count_more_than_older_ones(labels):
    pipe = pipe_for("zero-shot-classification", candidate_labels=["older", "ones"])
    assert sorted(pipe("A b.")["labels"]) == ["older", "ones"]
    for call in (lambda: pipe("A b.", labels), lambda: pipe("A b.", candidate_labels=labels)):
        with pytest.raises(InputError, match="candidate_labels"):
            call()
    with pytest.raises(InputError, match="given more than once"):
        pipe("A b.", ["a"], candidate_labels=["b"])


# --- ids with holes ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def holes(tmp_path_factory):
    """A checkpoint whose ids from 300 on are moved up by 200, with rows for 50 more."""
    folder = tmp_path_factory.mktemp("holes")
    vocab = json.loads((DEMO / "vocab.json").read_text(encoding="utf-8"))
    moved = {token: number + 200 * (number >= 300) for token, number in vocab.items()}
    (folder / "vocab.json").write_text(json.dumps(moved), encoding="utf-8")
    for name in ("merges.txt", "special_tokens_map.json"):
        shutil.copy(DEMO / name, folder)
    from oracles.weights import fields_of, state_of

    fields = fields_of(vocab_size=len(moved) + 250, max_position_embeddings=73)
    config = lf_ref.LongformerConfig(**fields)
    state = state_of(CLASSES["fill-mask"], fields, 5)
    lf_ref.LongformerForMaskedLM(config, state, backend="numpy").save_pretrained(folder)
    return folder, set(moved.values())


def test_candidates_are_the_ids_there_are(holes):
    folder, ids = holes
    pipe = lf_ref.pipeline("fill-mask", folder, backend="numpy")
    encoded = pipe.tokenizer("A <mask>.", return_tensors="np")
    [place] = np.flatnonzero(encoded["input_ids"][0] == pipe.tokenizer.mask_token_id)
    logits = pipe.model(**encoded).logits[0, place].astype(np.float64)
    best = sorted(ids, key=lambda token: -logits[token])
    answers = pipe("A <mask>.", top_k=len(ids) + 1000)
    assert [answer["token"] for answer in answers[:50]] == best[:50]
    assert {answer["token"] for answer in answers} == ids
    weights = np.exp(logits - logits.max())
    assert answers[0]["score"] == pytest.approx(weights[best[0]] / weights.sum(), rel=1e-5)


def test_the_largest_id_must_have_a_row_in_the_model(holes):
    folder, ids = holes
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(folder)
    message = f"has 8192 tokens, the last with id {max(ids)}, and the model only 8192 rows of embeddings"
    with pytest.raises(InputError, match=message):
        lf_ref.pipeline("fill-mask", model=model_for("fill-mask"), tokenizer=tokenizer)


def test_tokens_added_later_are_no_candidates_without_a_row():
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained()
    pipe = lf_ref.pipeline("fill-mask", model=model_for("fill-mask"), tokenizer=tokenizer)
    tokenizer.add_tokens(["<later>"])
    assert len(pipe("A <mask>.", top_k=10**6)) == 8192
    with pytest.raises(InputError, match="target '<later>' has the id 8192, for which the model has no embedding"):
        pipe("A <mask>.", targets="<later>")


# --- attributes -------------------------------------------------------------------------------------------------------


def test_attributes_of_a_pipeline():
    pipe = pipe_for("fill-mask")
    assert (pipe.task, pipe.framework, pipe.device) == ("fill-mask", "np", "cpu")
    assert pipe.dtype == pipe.torch_dtype == np.dtype("float64")
    assert pipe.model is model_for("fill-mask", 1)
    assert pipe.tokenizer is demo_tokenizer()
    assert_alike(pipe.predict(MASKED), pipe(MASKED), 0.0)
    assert_alike(pipe.transform(X=MASKED), pipe(MASKED), 0.0)
    assert not hasattr(pipe, "preprocess")
    with pytest.raises(InputError, match="has no attribute 'modle': the nearest is 'model'"):
        pipe.modle  # noqa: B018
    for name in ("preprocess", "forward", "postprocess"):
        with pytest.raises(InputError, match=r"pipe\.tokenizer\(\.\.\.\) and pipe\.model"):
            getattr(pipe, name)


@pytest.mark.parametrize("task", CLASSES)
def test_saving_and_loading_again(task, tmp_path):
    pipe = lf_ref.pipeline(task, model=model_for(task, dtype="float32"), tokenizer=demo_tokenizer())
    pipe.save_pretrained(save_directory=tmp_path / "saved", safe_serialization=True)
    again = lf_ref.pipeline(task, tmp_path / "saved", backend="numpy")
    inputs, options = inputs_for(task)[:2], options_for(task)
    assert_alike(again(inputs, **options), pipe(inputs, **options), 0.0)


def test_a_text_without_a_mask_is_hfs_error():
    with pytest.raises(PipelineException, match="the text has no <mask>") as error:
        pipe_for("fill-mask")("A b.")
    assert (error.value.task, error.value.model) == ("fill-mask", "LongformerForMaskedLM")
    assert isinstance(error.value, InputError)
    error = pickle.loads(pickle.dumps(PipelineException("a-task", "a-model", "a reason")))
    assert (str(error), error.task, error.model) == ("a reason", "a-task", "a-model")


@pytest.mark.parametrize("task", TASKS)
def test_calls_and_options_name_what_is_wrong(task):
    kind = TASKS[task]
    with pytest.raises(InputError, match=rf"{kind.__name__}\(\): missing a required argument: 'model'"):
        kind()
    with pytest.raises(InputError, match=rf"{kind.__name__}\(\) takes by position only model, tokenizer"):
        kind(1, 2, 3)
    with pytest.raises(InputError, match="takes no argument 'zzz'"):
        kind.options_class(zzz=1)
    with pytest.raises(InputError, match=rf"{kind.__name__} has no get_iterator: pipe.stream"):
        kind.get_iterator  # noqa: B018
