"""Our pipelines give what those of transformers 4 give: the same structure, the same answers, scores to 1e-4."""

from __future__ import annotations

import json
import numbers
import warnings
from pathlib import Path

import numpy as np
import pytest

import lf_ref
from parity.peers import peer_modules

pytestmark = [pytest.mark.parity, pytest.mark.usefixtures("peer")]

DEMO = Path(lf_ref.__file__).parent / "demo"
SCORE = 1e-4  # float32 on both sides, on logits of about 10
LIMIT = 96
SEEDS = [1, 2, 3]
NER = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
TEXTS = [
    "The old gardener of Königsberg walked slowly along the river.",
    "Nobody's answer: 42, or so.",
    "He came, he saw - and he went home to London with Mr. Smith, who hadn't been there.",
]
DOCUMENT = (
    "Anna Karenina lived in a white house near the river. Her brother, who was a doctor, had moved to Petersburg in "
    "the winter. She wrote him a letter every week, and he answered when he could. In the spring he came home again, "
    "and they walked together along the water, talking of their childhood and of the years that lay behind them. "
    "The doctor said that the city was too loud. Anna laughed and pointed at the birds in the wood: they were loud too."
)
QUESTION = "Where did her brother live?"


def assert_same(got, expected, where="result"):
    """The same nesting and keys, equal values, floats to `SCORE`; ours are plain Python values."""
    if isinstance(expected, dict):
        assert isinstance(got, dict), where
        assert sorted(got) == sorted(expected), where
        for key, value in expected.items():
            assert_same(got[key], value, f"{where}[{key!r}]")
    elif isinstance(expected, list | tuple):
        assert isinstance(got, list), where
        assert len(got) == len(expected), (where, got, expected)
        for index, (one, other) in enumerate(zip(got, expected, strict=True)):
            assert_same(one, other, f"{where}[{index}]")
    elif isinstance(expected, numbers.Integral | str):
        assert got == expected, (where, got, expected)
        assert type(got) in (int, str), where
    else:
        assert type(got) is float, where
        assert abs(got - float(expected)) <= SCORE, (where, got, expected)


class Peer:
    """HF's pipeline, its warnings turned off; an iterator of results is used up."""

    def __init__(self, transformers, task, model, tokenizer, **options):
        self.model = model
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.pipeline = transformers.pipeline(task, model=model, tokenizer=tokenizer, device="cpu", **options)
        self.transformers, self.task, self.tokenizer = transformers, task, tokenizer

    def __call__(self, *args, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = self.pipeline(*args, **options)
            return results if isinstance(results, list | dict) or hasattr(results, "shape") else list(results)

    def built_with(self, **changes):
        """The same with other arguments of `transformers.pipeline`."""
        arguments = {"model": self.model, "tokenizer": self.tokenizer} | changes
        return Peer(self.transformers, self.task, **arguments)


@pytest.fixture(scope="module")
def both(peer, tmp_path_factory):
    """Builds HF's pipeline and ours for a task, from one random checkpoint that HF wrote."""
    torch, transformers = peer_modules()
    kept = {}

    def build(task, class_name, seed, **fields):
        key = (class_name, seed, json.dumps(fields, default=str))
        if key not in kept:
            folder = tmp_path_factory.mktemp("checkpoint")
            torch.manual_seed(seed)
            config = transformers.LongformerConfig(
                **{
                    "vocab_size": 8192, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
                    "intermediate_size": 48, "attention_window": [8, 16], "max_position_embeddings": LIMIT + 2,
                    "type_vocab_size": 1, "initializer_range": 0.3, "pad_token_id": 1, "bos_token_id": 0,
                    "eos_token_id": 2, "sep_token_id": 2, **fields,
                }
            )  # fmt: skip
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = getattr(transformers, class_name)(config).eval()
                model.save_pretrained(folder)
                tokenizer = transformers.LongformerTokenizerFast.from_pretrained(DEMO, model_max_length=LIMIT)
                tokenizer.save_pretrained(folder)
            kept[key] = folder, model, tokenizer
        folder, model, tokenizer = kept[key]

        return Peer(transformers, task, model, tokenizer), lf_ref.pipeline(task, model=folder)

    return build


@pytest.mark.parametrize("seed", SEEDS)
def test_fill_mask(seed, both):
    theirs, ours = both("fill-mask", "LongformerForMaskedLM", seed)
    one, two = "The <mask> of the king.", "A <mask> for the <mask>, and <mask>."
    for inputs in (one, two, [one], [two], [one, two]):
        assert_same(ours(inputs), theirs(inputs))
    assert_same(list(ours(text for text in [two, one])), theirs(text for text in [two, one]))
    assert_same(ours(one, top_k=7), theirs(one, top_k=7))
    targets = [" door", " book", " house"]
    assert_same(ours(two, targets=targets), theirs(two, targets=targets))
    assert_same(ours(one, targets=" door"), theirs(one, targets=" door"))
    assert_same(ours(inputs=one), theirs(inputs=one))
    # Of a target of several tokens HF takes the first, which is the way out that our error names.
    with pytest.raises(lf_ref.InputError, match="targets='ĠK' scores the first of them"):
        ours(one, targets=" Konstantinopolis")
    assert_same(ours(one, targets="ĠK"), theirs(one, targets=" Konstantinopolis"))


@pytest.mark.parametrize("seed", SEEDS)
def test_feature_extraction(seed, both):
    theirs, ours = both("feature-extraction", "LongformerModel", seed)
    for inputs in (TEXTS[0], TEXTS[:1], TEXTS):
        assert_same(ours(inputs), theirs(inputs))
    expected = theirs(TEXTS[2], return_tensors=True)
    got = ours(TEXTS[2], return_tensors=True)
    assert got.shape == tuple(expected.shape)
    np.testing.assert_allclose(got, expected.numpy(), atol=SCORE)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "fields",
    [
        {"num_labels": 3},
        {"num_labels": 1},
        {"num_labels": 4, "problem_type": "multi_label_classification"},
        {"num_labels": 2, "problem_type": "regression"},
    ],
    ids=str,
)
def test_text_classification(fields, seed, both):
    theirs, ours = both("text-classification", "LongformerForSequenceClassification", seed, **fields)
    pair = {"text": TEXTS[0], "text_pair": TEXTS[1]}
    for inputs in (TEXTS[0], TEXTS[:1], TEXTS, pair, [pair], [pair, {"text": TEXTS[2]}]):
        for options in ({}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}):
            assert_same(ours(inputs, **options), theirs(inputs, **options))
    for function in ("sigmoid", "softmax", "none"):
        assert_same(
            ours(TEXTS, function_to_apply=function, top_k=None), theirs(TEXTS, function_to_apply=function, top_k=None)
        )


def test_text_classification_with_top_k_of_the_pipeline(both):
    theirs, ours = both("text-classification", "LongformerForSequenceClassification", 1, num_labels=3)
    theirs = theirs.built_with(top_k=2)
    ours = lf_ref.pipeline("sentiment-analysis", model=ours.model, tokenizer=ours.tokenizer, top_k=2)
    for inputs in (TEXTS[0], TEXTS):
        assert_same(ours(inputs), theirs(inputs))
    assert_same(ours(TEXTS[0], top_k=1), theirs(TEXTS[0], top_k=1))


def test_truncation(both):
    theirs, ours = both("text-classification", "LongformerForSequenceClassification", 2, num_labels=3)
    pairs = [{"text": DOCUMENT, "text_pair": QUESTION}, {"text": DOCUMENT, "text_pair": DOCUMENT}]
    for inputs in (DOCUMENT, *pairs):
        for length in (LIMIT, 31):
            options = {"truncation": True, "max_length": length, "top_k": None}
            assert_same(ours(inputs, **options), theirs(inputs, **options))


@pytest.mark.parametrize("labels", [["contradiction", "neutral", "entailment"], ["Entailed", "not"]], ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_zero_shot_classification(seed, labels, both):
    theirs, ours = both(
        "zero-shot-classification",
        "LongformerForSequenceClassification",
        seed,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    candidates = ["politics", "sport and games", "the river"]
    for inputs in (TEXTS[0], TEXTS[:1], TEXTS):
        for options in ({}, {"multi_label": True}, {"hypothesis_template": "It is about {}, surely."}):
            assert_same(ours(inputs, candidates, **options), theirs(inputs, candidates, **options))
    assert_same(ours(TEXTS[0], "a river, a house"), theirs(TEXTS[0], "a river, a house"))
    assert_same(ours(TEXTS[0], candidate_labels=["one"]), theirs(TEXTS[0], candidate_labels=["one"]))
    assert_same(ours(DOCUMENT, candidates, truncation=True), theirs(DOCUMENT, candidates))  # HF always cuts
    named = {
        "sequences": TEXTS[0],
        "candidate_labels": candidates,
        "hypothesis_template": "It is {}.",
        "multi_label": True,
    }
    assert_same(ours(**named), theirs(**named))


def test_inputs_by_the_names_of_hf(both):
    """Whatever HF's call of a task names, ours takes by that name."""
    for task, class_name, named in (
        ("feature-extraction", "LongformerModel", {"inputs": TEXTS}),
        ("text-classification", "LongformerForSequenceClassification", {"inputs": TEXTS}),
        ("token-classification", "LongformerForTokenClassification", {"inputs": TEXTS}),
        ("question-answering", "LongformerForQuestionAnswering", {"question": QUESTION, "context": DOCUMENT[:203]}),
    ):
        theirs, ours = both(task, class_name, 1)
        assert_same(ours(**named), theirs(**named))


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
@pytest.mark.parametrize("seed", SEEDS)
def test_token_classification(seed, strategy, both):
    theirs, ours = both(
        "token-classification",
        "LongformerForTokenClassification",
        seed,
        id2label=dict(enumerate(NER)),
        label2id={label: index for index, label in enumerate(NER)},
    )
    options = {"aggregation_strategy": strategy}
    for inputs in (TEXTS[0], TEXTS[:1], TEXTS):
        assert_same(ours(inputs, **options), theirs(inputs, **options))
    for ignored in ([], ["O", "PER", "B-PER"]):
        assert_same(
            ours(TEXTS[2], ignore_labels=ignored, **options), theirs(TEXTS[2], ignore_labels=ignored, **options)
        )
    if strategy != "none":
        for stride in (0, 5, 40):
            assert_same(ours(DOCUMENT, stride=stride, **options), theirs(DOCUMENT, stride=stride, **options))
    assert_same(ours(DOCUMENT, truncation=True, **options), theirs(DOCUMENT, **options))  # HF always cuts


@pytest.mark.parametrize("seed", SEEDS)
def test_token_classification_of_words(seed, both):
    theirs, ours = both("ner", "LongformerForTokenClassification", seed, num_labels=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        their_tokenizer = type(theirs.tokenizer).from_pretrained(DEMO, add_prefix_space=True)
    theirs = theirs.built_with(tokenizer=their_tokenizer)
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained("demo", add_prefix_space=True)
    ours = lf_ref.pipeline("ner", model=ours.model, tokenizer=tokenizer)
    words = [text.split() for text in TEXTS]
    for inputs in (words[0], words):
        for delimiter in (" ", " / "):
            options = {"is_split_into_words": True, "aggregation_strategy": "simple", "delimiter": delimiter}
            assert_same(ours(inputs, **options), theirs(inputs, **options))


@pytest.mark.parametrize("seed", SEEDS)
def test_question_answering(seed, both):
    theirs, ours = both("question-answering", "LongformerForQuestionAnswering", seed)
    short = DOCUMENT[:203]
    asked = {"question": QUESTION, "context": short}
    again = {"question": "Who was a doctor?", "context": short[30:]}
    assert_same(ours(**asked), theirs(**asked))
    for inputs in (asked, [asked], [asked, again]):
        assert_same(ours(inputs), theirs(inputs))
    assert_same(ours(QUESTION, short), theirs(QUESTION, short))
    questions = [QUESTION, again["question"]]
    for contexts in (short, [short, DOCUMENT[:150]]):
        assert_same(ours(question=questions, context=contexts), theirs(question=questions, context=contexts))
    assert_same(list(ours(item for item in [asked, again])), theirs(item for item in [asked, again]))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"top_k": 4},
        {"top_k": 3, "align_to_words": False},
        {"top_k": 5, "max_answer_len": 3},
        {"top_k": 2, "handle_impossible_answer": True},
        {"handle_impossible_answer": True, "max_answer_len": 1},
        {"top_k": 3, "max_seq_len": 40, "doc_stride": 11},
        {"top_k": 3, "max_seq_len": 33},
    ],
    ids=str,
)
def test_question_answering_over_windows(options, seed, both):
    theirs, ours = both("question-answering", "LongformerForQuestionAnswering", seed)
    assert len(ours.tokenizer(DOCUMENT)["input_ids"]) > LIMIT
    # Windows begin and end between words here, where HF and we align alike.
    assert_same(
        ours(question=QUESTION, context=DOCUMENT, **options), theirs(question=QUESTION, context=DOCUMENT, **options)
    )


# --- how texts are cut ------------------------------------------------------------------------------------------------

PAIR = {"text": DOCUMENT, "text_pair": DOCUMENT[30:390]}


INFERENCE = {
    "id2label": {0: "contradiction", 1: "neutral", 2: "entailment"},
    "label2id": {"contradiction": 0, "neutral": 1, "entailment": 2},
}


def cut_by(both, task, class_name, **settings):
    """HF's pipeline and ours with a tokenizer of these settings."""
    fields = {"token-classification": {"num_labels": 4}, "zero-shot-classification": INFERENCE}.get(task, {})
    theirs, ours = both(task, class_name, 3, **fields)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = type(theirs.tokenizer).from_pretrained(DEMO, **settings)
    ours_too = lf_ref.LongformerTokenizer.from_pretrained(DEMO, **settings)
    return theirs.built_with(tokenizer=tokenizer), lf_ref.pipeline(task, model=ours.model, tokenizer=ours_too)


SIDES = pytest.mark.parametrize("side", ["right", "left"])
LENGTHS = pytest.mark.parametrize("length", [17, 40, LIMIT])


@SIDES
@LENGTHS
def test_texts_and_pairs_are_cut_where_the_tokenizer_says(side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "text-classification", "LongformerForSequenceClassification", **settings)
    for inputs in (DOCUMENT, PAIR):
        for options in ({"truncation": True}, {"max_length": 23}, {"truncation": True, "max_length": 50}):
            assert_same(ours(inputs, top_k=None, **options), theirs(inputs, top_k=None, **options))
    for strategy in ("longest_first", "only_first", "only_second"):
        options = {"truncation": strategy, "max_length": 50, "top_k": None}
        halves = {"text": DOCUMENT[:150], "text_pair": DOCUMENT[150:290]}
        assert_same(ours(halves, **options), theirs(halves, **options))
    short = DOCUMENT[:203]  # longer than two of the lengths, and not than the model
    for options in ({}, {"truncation": False}, {"truncation": False, "max_length": LIMIT}, {"max_length": 5000}):
        assert_same(ours(short, top_k=None, **options), theirs(short, top_k=None, **options))


@SIDES
@LENGTHS
def test_features_and_masks_are_cut_where_the_tokenizer_says(side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "feature-extraction", "LongformerModel", **settings)
    for options in ({"truncation": True}, {"tokenize_kwargs": {"max_length": 11, "truncation": True}}):
        assert_same(ours(DOCUMENT, **options), theirs(DOCUMENT, **options))
    theirs, ours = cut_by(both, "fill-mask", "LongformerForMaskedLM", **settings)
    masked = f"A <mask> {DOCUMENT} for the <mask>"
    for kwargs in ({"truncation": True}, {"max_length": 12}, {"truncation": True, "max_length": 9, "padding": True}):
        assert_same(ours(masked, tokenizer_kwargs=kwargs), theirs(masked, tokenizer_kwargs=kwargs))


@SIDES
@LENGTHS
@pytest.mark.parametrize("strategy", ["none", "simple", "first"])
def test_tokens_are_cut_and_put_in_windows_where_the_tokenizer_says(strategy, side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "token-classification", "LongformerForTokenClassification", **settings)
    options = {"aggregation_strategy": strategy, "ignore_labels": []}
    assert_same(ours(DOCUMENT, truncation=True, **options), theirs(DOCUMENT, **options))
    if strategy != "none":
        for stride in (0, 5, 14):
            assert_same(ours(DOCUMENT, stride=stride, **options), theirs(DOCUMENT, stride=stride, **options))


@SIDES
@LENGTHS
def test_windows_of_a_document_are_where_the_tokenizer_says(side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "question-answering", "LongformerForQuestionAnswering", **settings)
    for options in ({"doc_stride": 3}, {"doc_stride": 3, "max_seq_len": 30}, {"doc_stride": 0, "max_seq_len": LIMIT}):
        asked = {"question": QUESTION, "context": DOCUMENT, "top_k": 4, "align_to_words": False, **options}
        assert_same(ours(**asked), theirs(**asked))


@SIDES
@LENGTHS
def test_zero_shot_cuts_the_text_alone(side, length, both):
    settings = {"truncation_side": side, "model_max_length": length}
    theirs, ours = cut_by(both, "zero-shot-classification", "LongformerForSequenceClassification", **settings)
    candidates = ["politics", "sport and games"]
    assert_same(ours(DOCUMENT, candidates, truncation=True), theirs(DOCUMENT, candidates))


# --- what is said in other words --------------------------------------------------------------------------------------


def test_inputs_that_hf_refuses_too(both):
    theirs, ours = both("zero-shot-classification", "LongformerForSequenceClassification", 1, **INFERENCE)
    for inputs, candidates in (("", ["a"]), (["a", ""], ["a"]), ("a", []), ("a", None), ("a", ""), ("a", " , ")):
        with pytest.raises((ValueError, TypeError)):
            theirs(inputs, candidate_labels=candidates)
        with pytest.raises(lf_ref.InputError, match=r"empty|label"):
            ours(inputs, candidate_labels=candidates)
    for inputs, candidates in ((" ", ["a", "b"]), ([], ["a"]), ("a", ("b", "c")), ("a", "b,c")):
        assert_same(ours(inputs, candidate_labels=candidates), theirs(inputs, candidate_labels=candidates))
    theirs, ours = both("fill-mask", "LongformerForMaskedLM", 1)
    _, transformers = peer_modules()
    with pytest.raises(transformers.pipelines.PipelineException) as error:
        theirs("No mask.")
    with pytest.raises(lf_ref.pipelines.PipelineException) as ours_too:
        ours("No mask.")
    assert ours_too.value.task == error.value.task


def test_options_of_hf_in_its_older_words_and_types(both):
    from transformers.pipelines.text_classification import ClassificationFunction
    from transformers.pipelines.token_classification import AggregationStrategy

    theirs, ours = both("text-classification", "LongformerForSequenceClassification", 1, num_labels=3)
    for inputs in (TEXTS[0], TEXTS):
        for options in (
            {"return_all_scores": True}, {"return_all_scores": False}, {"return_all_scores": True, "top_k": 2},
            {"function_to_apply": "SoftMax"}, {"function_to_apply": "NONE", "top_k": None}, {"padding": True},
            {"batch_size": 2, "num_workers": 0},
        ):  # fmt: skip
            assert_same(ours(inputs, **options), theirs(inputs, **options))
        function = ClassificationFunction.SIGMOID
        assert_same(ours(inputs, function_to_apply=function), theirs(inputs, function_to_apply=function))
    built = theirs.built_with(return_all_scores=True)
    ours_built = lf_ref.pipeline("text-classification", ours.model, tokenizer=ours.tokenizer, return_all_scores=True)
    for options in ({}, {"top_k": 1}):
        assert_same(ours_built(TEXTS[0], **options), built(TEXTS[0], **options))

    named = {"id2label": dict(enumerate(NER)), "label2id": {label: index for index, label in enumerate(NER)}}
    theirs, ours = both("ner", "LongformerForTokenClassification", 1, **named)
    for options in (
        {"grouped_entities": True}, {"grouped_entities": True, "ignore_subwords": True}, {"grouped_entities": False},
        {"ignore_subwords": True}, {"aggregation_strategy": "SIMPLE"}, {"aggregation_strategy": "Max"},
        {"ignore_labels": {"O", "PER"}}, {"ignore_labels": None}, {"aggregation_strategy": AggregationStrategy.FIRST},
    ):  # fmt: skip
        assert_same(ours(TEXTS[2], **options), theirs(TEXTS[2], **options))

    theirs, ours = both("question-answering", "LongformerForQuestionAnswering", 1)
    asked = {"question": QUESTION, "context": DOCUMENT[:203]}
    for options in ({"topk": 3}, {"top_k": None}, {"top_k": np.int64(2)}, {"padding": "max_length"}):
        assert_same(ours(**asked, **options), theirs(**asked, **options))
    assert_same(ours(data=asked), theirs(data=asked))
    assert_same(ours(X=[asked]), theirs(X=[asked]))

    theirs, ours = both("fill-mask", "LongformerForMaskedLM", 1)
    one = "The <mask> of the king."
    assert_same(ours(one, top_k=None), theirs(one, top_k=None))
    assert_same(ours(one, top_k=np.int64(3)), theirs(one, top_k=3))
    assert_same(ours(one, targets={" door", " book"}), theirs(one, targets={" door", " book"}))
    assert_same(ours.predict(one), theirs.pipeline.predict(one))


def test_candidates_of_a_vocabulary_with_holes(both, tmp_path):
    torch, transformers = peer_modules()
    moved = {
        token: number if number < 300 else number + 200
        for token, number in json.loads((DEMO / "vocab.json").read_text(encoding="utf-8")).items()
    }
    (tmp_path / "vocab.json").write_text(json.dumps(moved), encoding="utf-8")
    (tmp_path / "merges.txt").write_bytes((DEMO / "merges.txt").read_bytes())
    _, ours = both("fill-mask", "LongformerForMaskedLM", 1)
    fields = json.loads(ours.model.config.to_json_string()) | {"vocab_size": 8392}
    torch.manual_seed(7)
    model = transformers.LongformerForMaskedLM(transformers.LongformerConfig(**fields)).eval()
    model.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = transformers.LongformerTokenizerFast(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    theirs = Peer(transformers, "fill-mask", model, tokenizer)
    ours = lf_ref.pipeline("fill-mask", tmp_path)
    text, known = "The <mask> of the king.", set(moved.values())
    expected = [answer for answer in theirs(text, top_k=8392) if answer["token"] in known]
    got = ours(text, top_k=8392)
    assert {answer["token"] for answer in got} == {answer["token"] for answer in expected} == known
    assert_same(got[:20], expected[:20])
    assert_same(ours(text), expected[:5])
