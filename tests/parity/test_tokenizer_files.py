"""Our tokenizer and HF's read the same folders alike, and each reads what the other saved."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizer.vocabularies import DEMO

from lf_ref.tokenizer import AddedToken, LongformerTokenizer
from parity.tokenizer_peer import answer, theirs

pytestmark = pytest.mark.parity

SAMPLE = "a <mask> b<x>  c</s> [M]d <y> caf\u00e9 \u2009<mask>\u2009 <s>"


def described(tokenizer: Any) -> dict[str, Any]:
    """The tokenizer's tokens and options, and what it makes of a sample."""
    options = ("lstrip", "rstrip", "single_word", "special")
    return {
        "vocab": tokenizer.get_vocab(),
        "added": {
            token_id: (str(token), *(getattr(token, option) for option in options))
            for token_id, token in tokenizer.added_tokens_decoder.items()
        },
        "special": tokenizer.all_special_tokens,
        "roles": tokenizer.special_tokens_map,
        "limits": (tokenizer.model_max_length, tokenizer.padding_side, tokenizer.truncation_side),
        "options": (tokenizer.add_prefix_space, tokenizer.clean_up_tokenization_spaces),
        "sample": answer(tokenizer, (SAMPLE, SAMPLE), {}),
    }


def write(folder: Path, **files: Any) -> None:
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def vocabulary_alone(folder: Path) -> None:
    pass


def settings_in_the_config(folder: Path) -> None:
    mask = {"__type": "AddedToken", "content": "[M]", "lstrip": False, "rstrip": True, "normalized": False}
    config = {"mask_token": mask, "model_max_length": 99, "padding_side": "left", "truncation_side": "left"}
    write(folder, tokenizer_config={**config, "add_prefix_space": True, "clean_up_tokenization_spaces": True})


def roles_in_both_files(folder: Path) -> None:
    write(folder, tokenizer_config={"mask_token": "<x>", "cls_token": "</s>", "additional_special_tokens": ["<x>"]})
    write(folder, special_tokens_map={"mask_token": "[M]", "additional_special_tokens": ["<y>", {"content": "<z>"}]})


def added_tokens_file(folder: Path) -> None:
    write(folder, added_tokens={"<y>": 8193, "<x>": 8192}, special_tokens_map={"additional_special_tokens": ["<x>"]})


def added_tokens_decoder(folder: Path) -> None:
    decoder = {
        "8192": {"content": "<x>", "lstrip": True, "rstrip": True, "special": False},
        "8191": {"content": "<mask>", "lstrip": False, "special": True},
    }
    write(folder, tokenizer_config={"added_tokens_decoder": decoder, "mask_token": "<mask>"})
    write(folder, special_tokens_map={"mask_token": "[M]"}, added_tokens={"<y>": 8193})


def decoder_without_roles(folder: Path) -> None:
    decoder = {"8191": {"content": "<mask>", "lstrip": False, "special": True}}
    write(folder, tokenizer_config={"added_tokens_decoder": decoder})


def role_beside_a_decoder(folder: Path) -> None:
    decoder = {"0": {"content": "<s>", "special": True}}
    write(folder, tokenizer_config={"added_tokens_decoder": decoder, "mask_token": "<mask>"})


FOLDERS = [
    role_beside_a_decoder,
    vocabulary_alone,
    settings_in_the_config,
    roles_in_both_files,
    added_tokens_file,
    added_tokens_decoder,
    decoder_without_roles,
]


@pytest.mark.parametrize("serialized", [False, True])
@pytest.mark.parametrize("fill", FOLDERS)
def test_files_are_read_alike(tmp_path: Path, fill: Callable[[Path], None], serialized: bool) -> None:
    for name in ("vocab.json", "merges.txt"):
        shutil.copy(DEMO / name, tmp_path / name)
    if serialized:
        made = LongformerTokenizer.from_pretrained(DEMO)
        made.save_pretrained(tmp_path / "made")
        content = json.loads((tmp_path / "made" / "tokenizer.json").read_text())
        content["added_tokens"][-1]["lstrip"] = False  # <mask>
        content["truncation"] = {"direction": "Left", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
        write(tmp_path, tokenizer=content)
    fill(tmp_path)
    assert described(LongformerTokenizer.from_pretrained(tmp_path)) == described(theirs(tmp_path))


def changed(tokenizer: Any, added: Callable[..., Any]) -> None:
    tokenizer.add_tokens([added("<x>", rstrip=True), "new one"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<y>"], "mask_token": "[M]"})


@pytest.mark.parametrize("loading", [{}, {"add_prefix_space": True, "model_max_length": 99, "padding_side": "left"}])
def test_each_reads_what_the_other_saved(tmp_path: Path, folder: Path, loading: dict[str, Any]) -> None:
    import tokenizers
    import transformers

    mine = LongformerTokenizer.from_pretrained(folder, **loading)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = transformers.LongformerTokenizerFast.from_pretrained(folder, **loading)
    changed(mine, AddedToken)
    changed(peer, tokenizers.AddedToken)
    expected = described(mine)
    assert described(peer) == expected
    mine.save_pretrained(tmp_path / "mine")
    peer.save_pretrained(tmp_path / "peer")
    for left_out in ("nothing", "tokenizer.json", "vocab.json"):
        for name in ("mine", "peer"):
            (tmp_path / name / left_out).unlink(missing_ok=True)
            assert described(LongformerTokenizer.from_pretrained(tmp_path / name)) == expected
            if left_out != "vocab.json":
                assert described(theirs.__wrapped__(tmp_path / name)) == expected
        if left_out == "tokenizer.json":
            mine.save_pretrained(tmp_path / "mine")
            peer.save_pretrained(tmp_path / "peer")
