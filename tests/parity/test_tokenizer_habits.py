"""Names, habits and files of HF's tokenizers that are more than a plain call: each means here what it means in HF."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer.vocabularies import DEMO, texts

from lf_ref.tokenizer import LongformerTokenizer
from parity.tokenizer_peer import answer, ours, theirs

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]  # deprecations inside the peer are not ours


def slow(folder: Path, **options: Any) -> Any:
    import transformers

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return transformers.LongformerTokenizer.from_pretrained(folder, **options)


def same(found: Any, expected: Any) -> None:
    np.testing.assert_equal(dict(found), {**expected})
    assert list(found) == list(expected)


def test_targets_are_labels() -> None:
    for arguments, options in (
        (("a b", "c"), {"text_target": "d e f", "text_pair_target": "g"}),
        (("a b", "c", "d e f", "g"), {}),
        ((), {"text_target": ["d e f", "g"], "padding": True, "return_tensors": "np"}),
        ((["a b", "c d e"],), {"text_target": ["f", "g h"], "padding": True, "return_tensors": "np"}),
        (("a", ""), {"text_target": ""}),
    ):
        same(ours(DEMO)(*arguments, **options), theirs(DEMO)(*arguments, **options))


def test_one_and_batches_by_their_old_names() -> None:
    same(ours(DEMO).encode_plus("a b", "c", False, max_length=9), theirs(DEMO).encode_plus("a b", "c", False))
    texts_and_pairs = ["a b c", ("d", "e f")]
    options = {"padding": True, "return_offsets_mapping": True}
    same(
        ours(DEMO).batch_encode_plus(texts_and_pairs, **options),
        theirs(DEMO).batch_encode_plus(texts_and_pairs, **options),
    )
    assert ours(DEMO)("a b c").words() == theirs(DEMO)("a b c").words()
    assert ours(DEMO)("a b c")[0].words == theirs(DEMO)("a b c")[0].words


@settings(deadline=None)
@given(
    ids=st.lists(st.integers(5, 99), max_size=9),
    pair_ids=st.one_of(st.none(), st.lists(st.integers(5, 99), max_size=9)),
    side=st.sampled_from(["right", "left"]),
    truncation=st.sampled_from([None, False, True, "only_first", "only_second"]),
    max_length=st.integers(5, 23),
    stride=st.integers(0, 3),
    padding=st.sampled_from([False, "max_length", "longest"]),
    flags=st.lists(st.booleans(), min_size=5, max_size=5),
    tensors=st.sampled_from([None, "np"]),
)
def test_rows_of_ids(
    ids: list[int], pair_ids: list[int] | None, side: str, flags: list[bool], tensors: str | None, **options: Any
) -> None:
    removed = len(ids) + len(pair_ids or ()) + (4 if pair_ids is not None else 2) - options["max_length"]
    cut = {"only_first": ids, "only_second": pair_ids or []}.get(str(options["truncation"]), ids)
    if len(cut) <= removed and options["truncation"] not in (True, None):
        return  # HF logs that it cannot, and leaves the row too long
    names = ("return_special_tokens_mask", "return_attention_mask", "return_length", "prepend_batch_axis")
    options |= dict(zip(names, flags, strict=False)) | {"return_tensors": tensors}
    options["return_length"] &= tensors is None
    cuts_one = options["truncation"] in ("only_first", "only_second") or (options["truncation"] and pair_ids is None)
    options["return_overflowing_tokens"] = flags[4] and bool(cuts_one) and tensors is None
    mine, peer = ours(DEMO, truncation_side=side), slow(DEMO, truncation_side=side)
    same(
        mine.prepare_for_model(ids, pair_ids, **options),
        peer.prepare_for_model(ids, pair_ids, **options, verbose=False),
    )
    if 0 < removed < len(cut) and options["truncation"]:
        strategy = "longest_first" if options["truncation"] is True else options["truncation"]
        if strategy == "longest_first" and removed > len(ids) + len(pair_ids or ()):
            return
        arguments = (ids, pair_ids, removed, strategy, options["stride"])
        assert mine.truncate_sequences(*arguments) == tuple(peer.truncate_sequences(*arguments))


@pytest.mark.parametrize(
    "name",
    ["is_fast", "name_or_path", "pad_token_type_id", "init_inputs", "vocab_files_names", "SPECIAL_TOKENS_ATTRIBUTES",
     "can_save_slow_tokenizer", "verbose", "chat_template", "vocab", "extra_special_tokens", "all_special_tokens"],
)  # fmt: skip
def test_attributes(name: str) -> None:
    mine, peer = ours(DEMO), theirs(DEMO)
    expected = getattr(peer, name)
    assert getattr(mine, name) == (str(DEMO) if name == "name_or_path" else expected)


def test_the_options_of_special_tokens() -> None:
    def shown(tokens: Any) -> list[tuple[Any, ...]]:
        return [(t.content, t.lstrip, t.rstrip, t.single_word, t.normalized, t.special) for t in tokens]

    mine, peer = ours(DEMO), theirs(DEMO)
    assert shown(mine.all_special_tokens_extended) == shown(peer.all_special_tokens_extended)
    assert list(mine.special_tokens_map_extended) == list(peer.special_tokens_map_extended)
    assert mine.clean_up_tokenization("it 's . so") == peer.clean_up_tokenization("it 's . so")
    assert mine.sanitize_special_tokens() == theirs.__wrapped__(DEMO).sanitize_special_tokens()


def test_special_tokens_that_are_set() -> None:
    def change(tokenizer: Any) -> dict[str, Any]:
        tokenizer.additional_special_tokens = ["a", "</s>"]
        before = tokenizer.additional_special_tokens_ids
        tokenizer.additional_special_tokens_ids = [5, 7]
        tokenizer.pad_token_id = 9
        tokenizer.mask_token = None
        return {
            "before": before,
            "map": tokenizer.special_tokens_map,
            "all": tokenizer.all_special_ids,
            "padded": tokenizer(["a", "a b"], padding=True)["input_ids"],
        }

    assert change(LongformerTokenizer.from_pretrained(DEMO)) == change(theirs.__wrapped__(DEMO))


def test_what_saving_writes(tmp_path: Path) -> None:
    for options in ({}, {"legacy_format": False}, {"legacy_format": True}, {"filename_prefix": "x"}):
        names = []
        for tokenizer in (ours(DEMO), theirs(DEMO)):
            folder = tmp_path / f"{len(options)}{len(names)}{options}"
            tokenizer.save_pretrained(str(folder), **options)
            names.append(sorted(path.name for path in folder.iterdir()))
        assert names[0] == names[1]
    for number, tokenizer in enumerate((ours(DEMO), theirs(DEMO))):
        (tmp_path / str(number)).mkdir()
        written = tokenizer.save_vocabulary(str(tmp_path / str(number)), "y")
        assert [Path(path).name for path in written] == ["y-vocab.json", "y-merges.txt"]
    assert (tmp_path / "0" / "y-merges.txt").read_text() == (tmp_path / "1" / "y-merges.txt").read_text()
    vocabs = [json.loads((tmp_path / name / "y-vocab.json").read_text()) for name in "01"]
    assert vocabs[0] == vocabs[1]


@settings(deadline=None)
@given(text=st.text("ab c\u00e9\u00c9\u6f22 ", max_size=20))
def test_bytes_that_the_vocabulary_lacks(small: Path, text: str) -> None:
    mine, peer = ours(small), slow(small)
    ids = mine(text)["input_ids"]
    assert ids == peer(text)["input_ids"]
    assert mine.tokenize(text) == peer.tokenize(text)
    assert mine.convert_ids_to_tokens(ids) == peer.convert_ids_to_tokens(ids)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    vocab = {
        "<s>": 0,
        "<pad>": 1,
        "</s>": 2,
        "<unk>": 3,
        "<mask>": 4,
        "a": 5,
        "b": 6,
        "ab": 7,
        "\u00c3": 8,
        "\u0120": 9,
    }
    (folder / "vocab.json").write_text(json.dumps(vocab | {"\u0120a": 10}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n\u0120 a\n", encoding="utf-8")
    return folder


# --- files ------------------------------------------------------------------------------------------------------------


def piece(name: str, type_id: int = 0) -> dict[str, Any]:
    return {"Sequence" if len(name) == 1 else "SpecialToken": {"id": name, "type_id": type_id}}


TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [piece("<s>"), piece("A"), piece("</s>")],
    "pair": [*map(piece, ["<s>", "A", "</s>", "</s>", "B", "</s>"])],
    "special_tokens": {
        token: {"id": token, "ids": [token_id], "tokens": [token]} for token, token_id in (("<s>", 0), ("</s>", 2))
    },
}


def byte_level(*, prefix: bool, trim: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": trim, "use_regex": True}


ROBERTA = {
    "type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True, "add_prefix_space": False,
}  # fmt: skip
UNTRIMMED = byte_level(prefix=True, trim=False)
PARTS: dict[str, dict[str, Any]] = {
    "template": {"post_processor": TEMPLATE},
    "byte level, template": {"post_processor": [byte_level(prefix=False, trim=True), TEMPLATE]},
    "sparing byte level, template": {"post_processor": [byte_level(prefix=True, trim=True), TEMPLATE]},
    "untrimmed byte level, template": {"post_processor": [UNTRIMMED, TEMPLATE]},
    "roberta in a sequence": {"post_processor": [ROBERTA]},
    "byte level, roberta": {"post_processor": [UNTRIMMED, ROBERTA]},
    "sequence of one": {"pre_tokenizer": [byte_level(prefix=False, trim=True)], "decoder": [UNTRIMMED]},
    "prefix in a sequence": {"pre_tokenizer": [byte_level(prefix=True, trim=True)]},
    "both in sequences": {
        "pre_tokenizer": [UNTRIMMED],
        "post_processor": [byte_level(prefix=True, trim=True), TEMPLATE],
    },
    "no normalizer": {"normalizer": []},
}
MEMBERS = {
    name: f"{name.replace('_', '') if name.startswith('pre') else name.removeprefix('post_')}s"
    for name in ("pre_tokenizer", "post_processor", "decoder", "normalizer")
}


def with_parts(folder: Path, parts: dict[str, Any], config: dict[str, Any]) -> Path:
    ours(DEMO).save_pretrained(folder)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    for name, part in parts.items():
        content[name] = {"type": "Sequence", MEMBERS[name]: part} if isinstance(part, list) else part
    file.write_text(json.dumps(content))
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder


@pytest.mark.parametrize("config", [{}, {"add_prefix_space": True}, {"trim_offsets": False}], ids=str)
@pytest.mark.parametrize("name", PARTS)
def test_parts_that_mean_the_same(tmp_path: Path, name: str, config: dict[str, Any]) -> None:
    if (
        "add_prefix_space" in config
        and isinstance(PARTS[name].get("pre_tokenizer"), list)
        and "post_processor" not in PARTS[name]
    ):
        pytest.skip("where settings and file contradict each other, HF's offsets follow the one and its ids the other")
    folder = with_parts(tmp_path / "made", PARTS[name], config)
    mine, peer = ours(folder), theirs(folder)
    mine.save_pretrained(tmp_path / "saved")
    again = ours(tmp_path / "saved")
    for text in (" Hello  world", "x y <mask> caf\u00e9", "  two", "a" * 7 + " b" * 9):
        for arguments in ((text,), (text, " second one"), ([text, "other"],)):
            for options in ({}, {"truncation": True, "max_length": 9, "stride": 2, "return_overflowing_tokens": True}):
                expected = answer(peer, arguments, options)
                assert answer(mine, arguments, options) == expected
                assert answer(again, arguments, options) == expected
        assert mine.decode(mine.encode(text)) == peer.decode(peer.encode(text))


def test_a_template_before_the_byte_level(tmp_path: Path) -> None:
    # The ids are the same; HF counts special tokens as texts there.
    folder = with_parts(tmp_path, {"post_processor": [TEMPLATE, byte_level(prefix=False, trim=True)]}, {})
    for arguments in ((" Hello",), (" Hello", "a b")):
        values = [tokenizer(*arguments, return_offsets_mapping=True) for tokenizer in (ours(folder), theirs(folder))]
        assert dict(values[0]) == dict(values[1])


EXTRA: dict[str, dict[str, Any]] = {
    "new": {"extra_special_tokens": {"boi_token": "\u0120the", "image_token": "<img>"}},
    "role": {"extra_special_tokens": {"pad_token": "<y>"}},
    "object": {"extra_special_tokens": {"image_token": {"__type": "AddedToken", "content": "<img>", "lstrip": True}}},
    "none": {"extra_special_tokens": {}},
    "both": {"extra_special_tokens": {"image_token": "<img>"}, "additional_special_tokens": ["<q>"]},
}


@pytest.mark.parametrize("serialized", [True, False])
@pytest.mark.parametrize("name", EXTRA)
def test_extra_special_tokens(tmp_path: Path, name: str, serialized: bool) -> None:
    folder = with_parts(tmp_path / "made", {}, EXTRA[name])
    if not serialized:
        (folder / "tokenizer.json").unlink()
    mine, peer = ours(folder), theirs(folder)

    def facts(tokenizer: Any) -> list[Any]:
        names = ("special_tokens_map", "all_special_tokens", "all_special_ids", "pad_token", "pad_token_id")
        extra = EXTRA[name]["extra_special_tokens"]
        return [
            *(getattr(tokenizer, attribute) for attribute in names),
            *((getattr(tokenizer, role), getattr(tokenizer, f"{role}_id")) for role in extra),
            tokenizer.get_vocab(),
            tokenizer.decode(tokenizer.encode("a <img> b the <q>"), skip_special_tokens=True),
            answer(tokenizer, ("a <img> b the <q>",), {}),
        ]

    assert facts(mine) == facts(peer)
    mine.save_pretrained(tmp_path / "mine")
    peer.save_pretrained(tmp_path / "peer")
    for saved in ("mine", "peer"):
        assert facts(ours(tmp_path / saved)) == facts(mine)
    assert facts(theirs(tmp_path / "mine")) == facts(peer)


def test_an_extra_special_token_that_is_set(tmp_path: Path) -> None:
    folder = with_parts(tmp_path, {}, EXTRA["new"])

    def change(tokenizer: Any) -> list[Any]:
        tokenizer.image_token = "</s>"
        tokenizer.boi_token_id = 7
        return [tokenizer.image_token_id, tokenizer.boi_token, tokenizer.special_tokens_map]

    assert change(LongformerTokenizer.from_pretrained(folder)) == change(theirs(folder))


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("key", ["additional_special_tokens", "extra_special_tokens"])
def test_special_tokens_by_name_take_the_options_of_the_decoder(tmp_path: Path, key: str, special: bool) -> None:
    folder = with_parts(tmp_path, {}, {key: ["<x>"] if key.startswith("a") else {"x_token": "<x>"}})
    file = folder / "tokenizer_config.json"
    content = json.loads(file.read_text())
    content["added_tokens_decoder"]["8192"] = {
        "content": "<x>",
        "lstrip": True,
        "normalized": False,
        "special": special,
    }
    file.write_text(json.dumps(content))
    for tokenizer in (ours(folder), theirs(folder)):
        assert tokenizer.tokenize("a <x>") == ["a", " <x>"]
        assert tokenizer.decode(tokenizer.encode("a <x>"), skip_special_tokens=True) == "a"


@pytest.mark.parametrize("limits", [{"max_len": 7}, {"max_len": 7, "model_max_length": 9}])
def test_model_max_length_of_the_settings(tmp_path: Path, limits: dict[str, Any]) -> None:
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(DEMO / name, tmp_path / name)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(limits))
    for options in ({"truncation": True}, {"truncation": True, "padding": "max_length"}):
        for text in ("a " * 20, "a"):
            assert answer(ours(tmp_path), (text,), options) == answer(theirs(tmp_path), (text,), options)


def test_choices_given_as_hf_enumerations() -> None:
    from transformers.tokenization_utils_base import TruncationStrategy
    from transformers.utils import PaddingStrategy, TensorType

    options = {
        "padding": PaddingStrategy.MAX_LENGTH,
        "truncation": TruncationStrategy.ONLY_FIRST,
        "return_tensors": TensorType.NUMPY,
        "max_length": np.int64(5),
        "pad_to_multiple_of": np.int32(5),
    }
    same(ours(DEMO)("a b c d e f", **options), theirs(DEMO)("a b c d e f", **options))


@settings(deadline=None)
@given(text=texts)
def test_moved_ids(moved: Path, text: str) -> None:
    found = ours(moved)(text, padding="max_length", max_length=9)["input_ids"]
    assert found == [token_id + 200 for token_id in ours(DEMO)(text, padding="max_length", max_length=9)["input_ids"]]
    assert answer(ours(moved), (text,), {}) == answer(theirs(moved), (text,), {})
    assert ours(moved).decode(found) == theirs(moved).decode(found)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's vocabulary with every id 200 larger, so that there are more ids than tokens."""
    folder = tmp_path_factory.mktemp("moved")
    vocab = json.loads((DEMO / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({token: token_id + 200 for token, token_id in vocab.items()}))
    shutil.copy(DEMO / "merges.txt", folder / "merges.txt")
    return folder
