"""What counts as one input, as several, and as none: the same in every task, and for options that are lists."""

from __future__ import annotations

from collections import Counter, OrderedDict, UserDict, UserList, deque

import numpy as np
import pytest
from pipelines.building import CLASSES, assert_alike, inputs_for, model_for, options_for, pipe_for

import lf_ref
from lf_ref import InputError


class Frame:
    """What a pandas DataFrame looks like from outside: it has a length, and iterates over its columns' names."""

    columns = ("text", "label")

    def __init__(self, texts):
        self.texts = texts

    def __len__(self):
        return len(self.texts)

    def __iter__(self):
        return iter(self.columns)

    def __contains__(self, column):
        return column in self.columns


class Table:
    """The same of pyarrow."""

    column_names = ("text",)

    def __len__(self):
        return 1


class Dataset:
    """The same of one of torch's, which has entries and a length, but no iterator."""

    def __len__(self):
        return 1

    def __getitem__(self, place):
        return "A text <mask>."


class Series:
    """The same of a pandas Series, whose index does not count from 0."""

    ndim = 1

    def __init__(self, texts):
        self.texts = list(texts)

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, label):
        return self.texts[label - 7]

    def __iter__(self):
        return iter(self.texts)

    def tolist(self):
        return list(self.texts)


class Stream:
    """An iterable without a length, such as a data set that is read as it comes."""

    def __init__(self, texts):
        self.texts = texts

    def __iter__(self):
        yield from self.texts


TASKS_OF_TEXTS = [task for task in CLASSES if task not in ("question-answering", "multiple-choice")]
UNORDERED = {
    "set": (set, r"sorted\(texts\)"),
    "frozenset": (frozenset, r"sorted\(texts\)"),
    "keys": (lambda texts: dict.fromkeys(texts).keys(), r"sorted\(texts\)"),
    "values": (lambda texts: dict(enumerate(texts)).values(), r"dict_values: give list\(texts\)"),
    "frame": (Frame, r'pass df\["text"\]'),
    "table": (lambda texts: Table(), r'pass df\["text"\]'),
    "2-D": (lambda texts: np.array([texts]), "ndarray of 2 dimensions"),
    "records": (lambda texts: np.array([(text,) for text in texts], [("text", "U99")]), r'pass df\["text"\]'),
    "dataset": (lambda texts: Dataset(), r"Dataset: give list\(texts\)"),
    "0-D": (lambda texts: np.array(texts[0]), "ndarray of 0 dimensions"),
}


@pytest.mark.parametrize("kind", UNORDERED)
@pytest.mark.parametrize("task", TASKS_OF_TEXTS)
def test_what_has_no_texts_in_an_order_is_refused(task, kind):
    make, message = UNORDERED[kind]
    with pytest.raises(InputError, match=message):
        pipe_for(task)(make(inputs_for(task)[:3]), **options_for(task))


@pytest.mark.parametrize("task", ["question-answering", "multiple-choice"])
@pytest.mark.parametrize("kind", ["values", "frame", "table"])
def test_what_has_no_items_in_an_order_is_refused(task, kind):
    make, message = UNORDERED[kind]
    with pytest.raises(InputError, match=message):
        pipe_for(task)(make(inputs_for(task)[:3]))


@pytest.mark.parametrize("make", [dict, OrderedDict, UserDict, Counter])
@pytest.mark.parametrize("task", [task for task in TASKS_OF_TEXTS if task != "text-classification"])
def test_mappings_are_no_texts(task, make):
    given = make(dict.fromkeys(inputs_for(task)[:2], 1))
    with pytest.raises(InputError, match=r"must be a text \(str\), got .*list\(texts.values\(\)\)"):
        pipe_for(task)(given, **options_for(task))
    with pytest.raises(InputError, match=r"text 1 must be a text \(str\), got"):
        pipe_for(task)([inputs_for(task)[0], given], **options_for(task))


@pytest.mark.parametrize("make", [tuple, deque, UserList, np.array, Series], ids=lambda make: make.__name__)
@pytest.mark.parametrize("task", CLASSES)
def test_sequences_arrays_and_series_are_lists(task, make):
    inputs, options = inputs_for(task)[:3], options_for(task)
    got = pipe_for(task)(make(inputs), **options)
    assert_alike(got, pipe_for(task)(inputs, **options), 0.0)


@pytest.mark.parametrize("make", [iter, Stream, lambda texts: map(dict if isinstance(texts[0], dict) else str, texts)])
@pytest.mark.parametrize("task", CLASSES)
def test_iterators_and_streams_are_answered_one_by_one(task, make):
    inputs, options = inputs_for(task)[:3], options_for(task)
    results = pipe_for(task)(make(inputs), **options)
    assert iter(results) is results
    assert_alike(list(results), pipe_for(task)(inputs, **options), 1e-10)


@pytest.mark.parametrize("kind", [*UNORDERED, "dict", "text"])
def test_a_stream_follows_the_same_rule(kind):
    make, message = {
        **UNORDERED,
        "dict": (dict.fromkeys, r"list\(texts.values\(\)\)"),
        "text": (lambda texts: texts[0], "takes a list or an iterator of inputs, got str$"),
    }[kind]
    with pytest.raises(InputError, match=message):
        pipe_for("fill-mask").stream(make(["A <mask>.", "B <mask>."]))


def test_texts_of_numpy_come_back_as_plain_ones():
    result = pipe_for("zero-shot-classification")(np.str_("A b."), np.array(["one", "two"]))
    assert type(result["sequence"]) is str
    assert {type(label) for label in result["labels"]} == {str}


@pytest.mark.parametrize(
    ("question", "context", "message"),
    [
        ("Who?", {"A b."}, r"context must be a list of texts, got set: .*sorted\(texts\)"),
        ({"Who?": 1}, "A b.", r"question must be a list of texts, got dict"),
        (["Who?"], [["A b."]], r"each of context must be a text \(str\), got list$"),
    ],
)
def test_questions_and_contexts_that_are_no_lists(question, context, message):
    with pytest.raises(InputError, match=message):
        pipe_for("question-answering")(question=question, context=context)


LISTS = {
    "targets": ("fill-mask", "A <mask>.", {}),
    "candidate_labels": ("zero-shot-classification", "A b.", {}),
    "ignore_labels": ("token-classification", "A b.", {}),
    "question": ("question-answering", None, {"context": "A b."}),
    "context": ("question-answering", None, {"question": ["A", "b"]}),
    "choices": ("multiple-choice", "A b.", {}),
}
WORDS = {"ignore_labels": ["O", "PER"], "targets": [" door", " book"]}


SETS = ("set", "frozenset", "keys")
CASES = [
    (name, kind)
    for name in LISTS
    for kind in [*UNORDERED, "dict", "iterator"]
    if name not in ("targets", "ignore_labels") or kind not in SETS  # their order does not matter
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_options_that_are_lists_follow_the_same_rule(name, kind):
    task, given, others = LISTS[name]
    make, message = {
        **UNORDERED,
        "dict": (dict.fromkeys, r"list\(texts.values\(\)\)"),
        "iterator": (iter, r"list\(texts\)"),
    }[kind]
    value = make(WORDS.get(name, ["one", "two"]))
    with pytest.raises(InputError, match=message):
        pipe_for(task)(*([] if given is None else [given]), **others, **{name: value})


@pytest.mark.parametrize("make", [tuple, np.array, Series])
@pytest.mark.parametrize("name", LISTS)
def test_options_may_be_sequences_arrays_and_series(name, make):
    task, given, others = LISTS[name]
    words = WORDS.get(name, ["one", "two"])
    inputs = [] if given is None else [given]
    results = [pipe_for(task)(*inputs, **others, **{name: value}) for value in (make(words), words)]
    assert_alike(*results, 0.0)


@pytest.mark.parametrize(("name", "make"), [("targets", set), ("ignore_labels", frozenset), ("ignore_labels", set)])
def test_where_the_order_does_not_matter_a_set_will_do(name, make):
    task, given, _ = LISTS[name]
    results = [pipe_for(task)(given, **{name: value}) for value in (make(WORDS[name]), WORDS[name])]
    assert_alike(*results, 0.0)


def test_records_are_no_words():
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(add_prefix_space=True)
    pipe = lf_ref.pipeline("ner", model=model_for("token-classification"), tokenizer=tokenizer)
    records = np.array([("a", "b")], [("text", "U9"), ("label", "U9")])
    with pytest.raises(InputError, match=r'pass df\["text"\]'):
        pipe(records, is_split_into_words=True)


def test_words_may_be_an_array():
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(add_prefix_space=True)
    pipe = lf_ref.pipeline("ner", model=model_for("token-classification"), tokenizer=tokenizer)
    words = ["The", "old", "gardener", "walked"]
    options = {"is_split_into_words": True, "ignore_labels": []}
    for given in (np.array(words), Series(words)):
        assert_alike(pipe(given, **options), pipe(words, **options), 0.0)
        assert_alike(pipe([given, words], **options), pipe([words, words], **options), 0.0)
    with pytest.raises(InputError, match=r"text 0 must be a list of words .*sorted\(texts\)"):
        pipe([set(words)], **options)
