"""HF's pipelines beside ours on one checkpoint, and comparing their results."""

from __future__ import annotations

import json
import numbers
import warnings
from pathlib import Path

import lf_ref
from parity.peers import peer_modules

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


INFERENCE = {
    "id2label": {0: "contradiction", 1: "neutral", 2: "entailment"},
    "label2id": {"contradiction": 0, "neutral": 1, "entailment": 2},
}


def builder(tmp_path_factory):
    """A function that builds HF's pipeline and ours for a task, from one random checkpoint that HF wrote."""
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
