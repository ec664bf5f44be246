"""Tokens and entities with their offsets in the text, in one piece and in windows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pipelines.building import LIMIT, TEXTS, assert_alike, demo_tokenizer, model_for, pipe_for

import lf_ref
from lf_ref import InputError

TOLERANCE = 1e-10
STRATEGIES = ["simple", "first", "average", "max"]
LONG = "Old Mr. Smith of Königsberg went home. 🙂 " * 12


SEED = 2  # whose model gives many labels


def pipe(**options):
    return pipe_for("token-classification", SEED, **{"ignore_labels": [], **options})


def test_every_token_with_its_score_and_offsets():
    text = TEXTS[0]
    encoded = demo_tokenizer()(text, return_offsets_mapping=True)
    ids = encoded["input_ids"]
    logits = model_for("token-classification", SEED)(np.array([ids])).logits[0]
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = weights / weights.sum(axis=1, keepdims=True)
    labels = model_for("token-classification", SEED).config.id2label
    entities = pipe()(text)
    assert [entity["index"] for entity in entities] == list(range(1, len(ids) - 1))
    for entity in entities:
        place = entity["index"]
        assert entity["entity"] == labels[int(scores[place].argmax())]
        assert entity["score"] == pytest.approx(scores[place].max(), abs=TOLERANCE)
        assert (entity["start"], entity["end"]) == tuple(encoded["offset_mapping"][place])
        assert entity["word"] == demo_tokenizer().convert_ids_to_tokens(ids[place])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_offsets_of_entities_match_the_text(strategy):
    for text in TEXTS[:3]:
        entities = pipe(aggregation_strategy=strategy)(text)
        assert entities
        assert all(sorted(entity) == ["end", "entity_group", "score", "start", "word"] for entity in entities)
        assert [text[entity["start"] : entity["end"]] for entity in entities] == [
            entity["word"].strip() for entity in entities
        ]
        assert all(before["end"] <= after["start"] for before, after in pairwise(entities))


@pytest.mark.parametrize("strategy", ["first", "average", "max"])
def test_names_begin_and_end_with_words(strategy):
    text = "Königsberg's\nold\u00a0gardener,\twalked."
    for entity in pipe(aggregation_strategy=strategy)(text):
        for before, after in ((entity["start"] - 1, entity["start"]), (entity["end"] - 1, entity["end"])):
            inside = before >= 0 and after < len(text)
            assert not inside or text[before].isspace() or text[after].isspace()


def test_labels_are_left_out_by_name():
    found = {entity["entity"] for entity in pipe()(TEXTS[2])}
    assert len(found) > 2
    for ignored in found:
        assert {entity["entity"] for entity in pipe(ignore_labels=[ignored])(TEXTS[2])} == found - {ignored}
    assert all(entity["entity"] != "O" for entity in pipe_for("token-classification")(TEXTS[2]))


@pytest.mark.parametrize("strategy", ["none", *STRATEGIES])
def test_labels_that_are_numbers_stay_numbers_and_can_be_left_out(strategy):
    model = model_for("token-classification", SEED)
    numbers = (-1, 0, 1, 2.5, None)
    numbered = type(model)(
        model.config.replaced(id2label=dict(enumerate(numbers))), model.state_dict(), dtype="float64", backend="numpy"
    )
    key = "entity" if strategy == "none" else "entity_group"
    built = lf_ref.pipeline("ner", model=numbered, tokenizer=demo_tokenizer(), aggregation_strategy=strategy)
    every = [entity[key] for text in (TEXTS[0], TEXTS[2], LONG[:90]) for entity in built(text)]
    assert -1 in every
    assert all(any(label is number for number in numbers) for label in every)
    for ignored in set(every):
        kept = [
            entity[key] for text in (TEXTS[0], TEXTS[2], LONG[:90]) for entity in built(text, ignore_labels=[ignored])
        ]
        assert kept == [label for label in every if label != ignored]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_stride_changes_nothing_for_a_text_that_fits(strategy):
    expected = pipe(aggregation_strategy=strategy)(TEXTS[0])
    assert pipe(aggregation_strategy=strategy, stride=3)(TEXTS[0]) == expected


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_windows_reach_the_end_of_the_text(strategy):
    entities = pipe(aggregation_strategy=strategy, stride=17)(LONG)
    assert len(demo_tokenizer()(LONG)["input_ids"]) > 2 * LIMIT
    assert all(before["end"] <= after["start"] for before, after in pairwise(entities))
    covered = {place for entity in entities for place in range(entity["start"], entity["end"])}
    missing = [place for place, letter in enumerate(LONG) if not letter.isspace() and place not in covered]
    # Of two names that overlap one is dropped, and with it some letters at its end that the other lacks.
    assert len(missing) < 0.1 * len(LONG)
    assert max(covered) == len(LONG.rstrip()) - 1


def test_words_that_come_as_a_list():
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(add_prefix_space=True)
    built = lf_ref.pipeline("ner", model=model_for("token-classification", SEED), tokenizer=tokenizer, ignore_labels=[])
    words = ["The", "old", "gardener", "of", "Königsberg"]
    for delimiter in (" ", "--"):
        text = delimiter.join(words)
        entities = built([words, words[:2]], is_split_into_words=True, delimiter=delimiter)
        assert [len(one) > 0 for one in entities] == [True, True]
        for entity in entities[0]:
            assert text[entity["start"] : entity["end"]] in "".join(words)
    as_text = built(" ".join(words))
    assert_alike(built([words], is_split_into_words=True)[0], as_text, TOLERANCE)
    assert built(words, is_split_into_words=True) == built([words], is_split_into_words=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 3}, "stride needs an aggregation_strategy other than 'none'"),
        ({"stride": -1, "aggregation_strategy": "simple"}, "stride must be an integer of at least 0"),
        ({"stride": LIMIT - 2, "aggregation_strategy": "simple"}, "the stride must lie in"),
        (
            {"stride": 0, "aggregation_strategy": "simple", "max_length": 2},
            "a window of 2 tokens leaves no room for text 0",
        ),
        ({"stride": 3, "aggregation_strategy": "simple", "truncation": True}, "not both"),
        ({"ignore_labels": "O"}, "ignore_labels must be a list of texts, got str"),
        ({"ignore_labels": {"O": 1}}, r"ignore_labels must be a list of texts, got dict: .*list\(texts.values\(\)\)"),
        ({"ignore_labels": ["O", b"O"]}, "each of ignore_labels must be a text, or a number as in id2label, got bytes"),
        ({"is_split_into_words": True}, "text 1 must be a list of words"),
    ],
)
def test_options_that_make_no_sense(options, message):
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained(add_prefix_space=True)
    built = lf_ref.pipeline("ner", model=model_for("token-classification"), tokenizer=tokenizer)
    texts = [["Old"], LONG] if "is_split_into_words" in options else [LONG]
    with pytest.raises(InputError, match=message):
        built(texts, **options)
