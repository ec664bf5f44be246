"""`lf-ref convert`: what it writes and tells, and its errors in one line."""

from __future__ import annotations

import errno
import json

import pytest
from click.testing import CliRunner

import lf_ref
from lf_ref.cli import main
from oracles.robertas import roberta_fields, roberta_state, save_roberta


def run(*arguments, code=0):
    """What a command that ends with `code` says on standard error, without its end of line."""
    done = CliRunner().invoke(main, ["convert", *map(str, arguments)], prog_name="lf-ref")
    assert done.exit_code == code, (done.output, done.exception)
    assert done.stdout == ""
    assert done.stderr.count("\n") == (1 if done.stderr else 0)
    return done.stderr.rstrip("\n")


@pytest.fixture
def source(tmp_path):
    fields = roberta_fields()
    return save_roberta(tmp_path / "source", fields, roberta_state(fields))


def test_what_holds_is_told(source, tmp_path):
    assert run(source, tmp_path / "out", "--max-tokens", 60, "--window", 12) == (
        f"wrote {tmp_path}/out: texts of up to 60 tokens (SOURCE: 19), attention windows of 12. Texts of up to 7 "
        "tokens give what SOURCE gives, longer ones do not: their tokens do not see all others. Global attention and "
        "long texts want further training, which lf-ref does not do."
    )
    config = lf_ref.LongformerConfig.from_pretrained(tmp_path / "out")
    assert (config.max_tokens, config.windows) == (60, (12, 12))
    assert run("demo", tmp_path / "demo", "--max-tokens", 2050).startswith(
        f"wrote {tmp_path}/demo: texts of up to 2050 tokens (SOURCE: 2048), attention windows of 32 to 128. Texts of "
        "up to 2048 tokens give what SOURCE gives. Global attention"
    )
    assert "Texts of up to 19 tokens give what SOURCE gives. " in run(source, tmp_path / "wide")
    assert "texts of up to 13 tokens (SOURCE: 19)" in run(source, tmp_path / "short", "--max-tokens", 13, "--shorten")
    assert run(source, tmp_path / "quiet", "--quiet") == ""


def test_the_format_alone(source, tmp_path):
    told = run(source, tmp_path / "out", "--only-format")
    assert told == f"wrote {tmp_path}/out: the same weights as safetensors"
    assert json.loads((tmp_path / "out" / "config.json").read_text())["model_type"] == "roberta"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-tokens", "18"], "--max-tokens 18 is less than the 19 tokens that "),
        (["--max-tokens", "18"], "takes; give --shorten to drop its last positions"),
        (["--max-tokens", "0"], "Invalid value for '--max-tokens': 0 is not in the range"),
        (["--window", "33"], "--window must be an even number of tokens (both sides together) of at least 2, got 33"),
        (["--window", "-2"], "Invalid value for '--window': -2 is not in the range"),
        (["--only-format", "--window", "32"], "--only-format changes nothing but the format: leave out --max-tokens, "),
        (["--only-format", "--shorten"], "leave out --max-tokens, --window and --shorten"),
    ],
)
def test_options_that_cannot_be(source, tmp_path, arguments, message):
    told = run(source, tmp_path / "out", *arguments, code=2)
    assert told.startswith("Error: ")
    assert message in told
    assert not (tmp_path / "out").exists()


def test_another_tokenizer_and_the_way_out(source, tmp_path):
    (source / "sentencepiece.bpe.model").write_text("x")
    told = run(source, tmp_path / "out", code=2)
    assert "sentencepiece.bpe.model, a vocabulary of another kind (SentencePiece" in told
    assert told.endswith("; give --without-tokenizer to convert the weights alone")
    run(source, tmp_path / "out", "--without-tokenizer")


def test_other_models_and_places(source, tmp_path, monkeypatch):
    assert "name another folder to write to" in run(source, source, code=2)
    (tmp_path / "file").write_text("")
    assert "cannot be written: Not a directory" in run(source, tmp_path / "file" / "out", code=2)
    assert "nowhere" in run(tmp_path / "nowhere", tmp_path / "out", code=2)
    (source / "config.json").write_text(json.dumps(roberta_fields(model_type="bert")))
    told = run(source, tmp_path / "out", code=2)
    assert told.endswith(
        "model_type 'bert' cannot be converted; a BERT has a WordPiece tokenizer, and other positions; those that can "
        "are roberta, xlm-roberta, camembert and longformer"
    )


def test_a_full_disk_is_no_wrong_input(source, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lf_ref.checkpoint.saving.write_safetensors", full)
    assert "cannot be written: No space left on device" in run(source, tmp_path / "out", code=1)
    assert list((tmp_path / "out").iterdir()) == []
