"""Make the golden files of the tokenizer: what HF's fast tokenizer answers. Run by hand, from anywhere:

    python tests/golden/tokenizer/make.py

Two files for each vocabulary, the same calls in both: `texts`, single texts under every way of loading, and `rows`,
pairs, batches, truncation and texts as words. Each file says which versions made it.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
if __name__ == "__main__":
    sys.path.insert(0, str(FOLDER.parents[1]))

from tokenizer.vocabularies import DEMO, NASTY, NEW, ROBERTA  # noqa: E402

TEXTS = [
    "A, <mask> AllenNLP sentence.",
    "Plants are among the most <mask> and essential life forms on Earth.",
    "I'm sure they'll've said: \"don't\", 'S, 'til  the\tend\r\n\r\n of 1999's 3.14.",
    "  leading, trailing and   inner   white space \u00a0\u2003 \u3000<mask>\u2028 ",
    "Ünïcödé naïve façade — «Straße» e\u0301 A\u030a ﬁ İstanbul",
    "漢字かな交じり文。한국어 문장. ไทย हिन्दी",
    "👩‍👩‍👧 🏳️‍🌈👍🏽 🇩🇪",
    "שלום \u202eאבגד\u202c مرحبا بالعالم",
    "\x00\x01 \x1c\x1d\x1e\x1f \x7f\x80\x85\x9f\xad a\x1c<mask> a\x85<mask> a\u200b<mask> a\ufeff<mask>",
    "<s>in</s> <pad><unk><mask><mask> <mask>text<|endoftext|> <mas k>",
    "a" * 333 + " " * 77 + "=" * 99,
    "".join(NASTY),
    " ".join(NASTY),
    "".join(f"a{text}1" for text in NASTY + NEW),
]
PAIRS = [(TEXTS[0], TEXTS[2]), (TEXTS[5], ""), (TEXTS[8], TEXTS[9]), ("short", TEXTS[1])]
WORDS = [["Hello", "world"], ["I'm", "", " ", "x<mask> y", "<mask>", "\tz", "漢字 かな", "👍🏽"], []]

LOADING: list[dict[str, Any]] = [
    {},
    {"add_prefix_space": True},
    {"trim_offsets": False},
    {"add_prefix_space": True, "trim_offsets": False},
]
CUTS: list[dict[str, Any]] = [
    {"truncation": strategy, "max_length": length, "stride": stride, "return_overflowing_tokens": overflow}
    for strategy in ("longest_first", "only_first", "only_second")
    for length, stride, overflow in ((13, 0, False), (17, 3, True))
]


def text_calls() -> list[dict[str, Any]]:
    """Calls with one text: how the tokenizer is loaded, and the arguments."""
    listed = []
    for loading in LOADING:
        listed += [{"loading": loading, "text": text} for text in (TEXTS[:-3] if loading else TEXTS)]
    return listed + [{"loading": {}, "text": text, "options": {"split_special_tokens": True}} for text in TEXTS[8:10]]


def row_calls() -> list[dict[str, Any]]:
    """Calls with pairs, batches, truncation and texts as words."""
    listed = []
    for loading in LOADING[:2]:
        listed += [{"loading": loading, "text": first, "text_pair": second} for first, second in PAIRS]
        batch = {"text": [first for first, _ in PAIRS], "text_pair": [second for _, second in PAIRS]}
        for side in ("right", "left"):
            options = {"padding": True, "pad_to_multiple_of": 8, "padding_side": side}
            listed.append({"loading": loading, **batch, "options": options})
    for side in ("right", "left"):
        loading = {"truncation_side": side, "add_prefix_space": True}
        for cut in CUTS:
            if cut["truncation"] != "only_second":
                listed.append({"loading": loading, "text": TEXTS[2], "options": cut})
            if cut["truncation"] != "only_first":
                listed.append({"loading": loading, "text": "short", "text_pair": TEXTS[4], "options": cut})
    for words in WORDS:
        options = {"is_split_into_words": True}
        listed.append({"loading": {"add_prefix_space": True}, "text": words, "options": options})
        listed.append({"loading": {"add_prefix_space": True}, "text": words, "text_pair": WORDS[1], "options": options})
    return listed


def answer(tokenizer: Any, call: dict[str, Any]) -> dict[str, Any]:
    """The values of a call, and what is known of its rows beside them."""
    options = {"return_offsets_mapping": True, "return_special_tokens_mask": True, **call.get("options", {})}
    encoded = tokenizer(call["text"], call.get("text_pair"), **options)
    rows = range(len(encoded.encodings))
    ids = encoded["input_ids"] if isinstance((encoded["input_ids"] or [0])[0], list) else [encoded["input_ids"]]
    return {
        "values": json.loads(json.dumps(dict(encoded))),
        "tokens": [encoded.tokens(row) for row in rows],
        "word_ids": [encoded.word_ids(row) for row in rows],
        "sequence_ids": [encoded.sequence_ids(row) for row in rows],
        "decoded": [tokenizer.decode(row) for row in ids],
        "cleaned": [tokenizer.decode(row, True, True) for row in ids[:1]],
    }


def main() -> None:
    """Write the four files."""
    import tokenizers
    import transformers

    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity_error()
    made_by = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    for name, folder in {"demo": DEMO, "roberta": ROBERTA}.items():
        for kind, calls in {"texts": text_calls(), "rows": row_calls()}.items():
            cases = []
            for call in calls:
                peer = transformers.LongformerTokenizerFast.from_pretrained(folder, **call["loading"])
                cases.append({"call": call, "answer": answer(peer, call)})
            lines = json.dumps({"made_by": made_by, "cases": cases}, separators=(",", ":"))
            (FOLDER / f"{name}_{kind}.json").write_text(lines.replace('{"call"', '\n{"call"') + "\n")


if __name__ == "__main__":
    main()
