"""Every error ends in one line on standard error, and in exit code 2 if the input is wrong, 1 if the system failed."""

from __future__ import annotations

import errno
import json
import os
from contextlib import contextmanager

import click
import pytest
from cli.running import PLAIN
from click.testing import CliRunner
from huggingface_hub import constants
from pipelines.building import DEMO, save_checkpoint

from lf_ref.cli import main
from lf_ref.cli.group import in_flags
from lf_ref.command_line import exit_code
from lf_ref.errors import CheckpointError, CheckpointFileError, ConfigError, DownloadError, InputError

LONG = "word " * 5000


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A small random checkpoint for some tasks."""
    tasks = [
        "question-answering", "multiple-choice", "feature-extraction", "text-classification", "token-classification",
    ]  # fmt: skip
    return {task: str(save_checkpoint(task, tmp_path_factory.mktemp(task))) for task in tasks}


def fails(arguments, stdin=None, code=2):
    """The one line that a command ends with."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin, prog_name="lf-ref")
    assert done.exit_code == code, (done.output, done.exception)
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("Error: ")
    return line


FILES = {
    "empty.txt": b"",
    "blank.txt": b" \n\t\n",
    "latin1.txt": "A <mask> für Königsberg".encode("latin-1"),
    "lines.txt": b"A <mask>.\n\nA <mask>.\n",
    "nomask.txt": b"A <mask>.\nnothing here\n",
    "broken.jsonl": b'{"question": "a", "context": "b"}\n{"question": \n',
    "other.jsonl": b'{"question": "a"}\n',
    "array.jsonl": b"[1, 2]\n",
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with files that cannot be used, which is where commands run."""
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "config.json").write_text("{")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "noweights").mkdir()
    for name in ("config.json", "vocab.json", "merges.txt"):
        (tmp_path / "noweights" / name).write_bytes((DEMO / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # the variable of that name is read by the first import
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["fill-mask"],
            "give the text as an argument, --file PATH, --lines PATH or --files GLOB (- for standard input as PATH)",
        ),
        (["fill-mask", "A <mask>.", "--file", "lines.txt"], "only one of them; got 2"),
        (["fill-mask", "A <mask>.", "--lines", "lines.txt"], "only one of them; got 2"),
        (["fill-mask", ""], "the text is empty"),
        (["fill-mask", " \t"], "the text is empty"),
        (["fill-mask", "no mask here"], "the text has no <mask>: write it where a word is to be found"),
        (["fill-mask", "<mask> " + LONG], "this model takes at most 2048: shorten it or split it"),
        (["fill-mask", "A <mask>.", "--target", "Konstantinopolis"], "is not one token of the vocabulary"),
        (["fill-mask", "--file", "missing.txt"], "missing.txt cannot be read: No such file"),
        (["fill-mask", "--file", "folder"], "folder cannot be read: Is a directory"),
        (["fill-mask", "--lines", "folder"], "folder cannot be read: Is a directory"),
        (["fill-mask", "--file", "empty.txt"], "empty.txt is empty"),
        (["fill-mask", "--file", "blank.txt"], "blank.txt is empty"),
        (["fill-mask", "--file", "latin1.txt"], "latin1.txt is not UTF-8: byte 0xfc at offset 10"),
        (["fill-mask", "--lines", "latin1.txt"], "line 1 of latin1.txt is not UTF-8"),
        (["fill-mask", "--model", "folder", "A <mask>."], "the folder folder has no"),
        (["fill-mask", "--model", "bad", "A <mask>."], "bad/config.json: not valid JSON"),
        (["fill-mask", "--model", "noweights", "A <mask>."], "the folder noweights has no model.safetensors"),
        (["fill-mask", "--model", "./missing", "A <mask>."], "there is no folder ./missing"),
        (["fill-mask", "--model", "lines.txt", "A <mask>."], "lines.txt is not a folder"),
        (["fill-mask", "--model", "a b c", "A <mask>."], "neither a folder here nor the id of a Hub repository"),
        (["fill-mask", "--top-k", "0", "A <mask>."], "(see lf-ref fill-mask --help)"),
        (["fill-mask", "--top-q", "3", "A <mask>."], "--top-q"),
        (["fill-mask", "--dtype", "float16", "A <mask>."], "float16"),
        (["fill-mask", "--num-threads", "none", "A <mask>."], "none"),
        (
            ["fill-mask", "--max-length", "3000", LONG + "<mask>"],
            "--max-length 3000 is too much: this model takes at most 2048",
        ),
        (["fill-mask", "--max-length", "4", LONG + "<mask>"], "no <mask>, or none is left after truncation"),
        (["fill-mask", LONG + "<mask>"], "or let --truncation cut its end off"),
        (["fill-mask", "A <mask>.", "--target", "river"], "with a space before it, --target ' river', it is one"),
        (["fill-mask", "--batch-tokens", "0", "A <mask>."], "--batch-tokens"),
        (["text-classification", "A text."], "name a checkpoint that was trained for it with --model"),
        (["fill-masks", "A <mask>."], "fill-masks"),
        (["text-classification", "A text."], "the bundled demo model is a LongformerForMaskedLM"),
        (["question-answering", "Where?", "Here."], "name a checkpoint that was trained for it"),
        (["question-answering"], "give a question and a document"),
        (["question-answering", "Where?"], "give the document as an argument, --file PATH, --lines PATH"),
        (["question-answering", "Where?", "Here.", "--file", "lines.txt"], "only one of them; got 2"),
        (["question-answering", "Where?", "Here.", "--lines", "broken.jsonl"], "only one of them; got 2"),
        (["question-answering", "Where?", "  "], "the text is empty"),
        (["multiple-choice", "--lines", "broken.jsonl", "--file", "lines.txt"], "only one of them; got 2"),
        (["multiple-choice", "A question"], "at least one choice"),
        (["multiple-choice"], "at least one choice"),
        (["multiple-choice", "A question", ""], "the text is empty"),
        (["zero-shot-classification", "A text."], "--label"),
        (["token-classification", "--aggregation-strategy", "last", "A text."], "last"),
        (
            ["feature-extraction", "--out", "x.txt", "A text."],
            "--out must end in .npy, .npz, .jsonl, .csv or .parquet, got x.txt",
        ),
        (["feature-extraction", "--out", "missing/x.npy", "A text."], "there is no folder missing"),
        (["feature-extraction", "--out", "folder.npy", "A text."], "--out folder.npy is a folder"),
        (["feature-extraction", "--out", "x.npy", "--json", "A text."], "either --json or --out"),
        (["feature-extraction", "--out", "x.npy", "--pooling", "none", "--lines", "lines.txt"], "--out NAME.npz"),
        (["tokenize"], "give the text"),
        (["tokenize", "--model", "other", "A text."], "the folder other has no"),
        (["info", "missing/model/folder"], "missing/model/folder"),
        (["info", "other"], "model_type must be 'longformer', got 'bert'"),
        (["info", "bad"], "not valid JSON"),
        (["info", "--length", "9999"], "--length 9999 is more than the 2048 tokens"),
        (["quantize", "missing/model/folder", "out"], "missing/model/folder"),
        (["quantize", "demo"], "Missing argument 'OUT'"),
        (["precision", "--model", "other"], "the folder other has no"),
        (["fill-mask", "--dtype", "int8", "--backend", "numpy", "A <mask>."], "or backend 'numba'"),
        (["info", "demo", "--model", "demo"], "give the checkpoint once"),
        (["--no-such-option"], "--no-such-option"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_one_line(arguments, message, place):
    if "folder.npy" in arguments:
        (place / "folder.npy").mkdir()
    assert message in fails(arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fill-mask", "--model", "some/repository", "A <mask>."], "not in the cache"),
        (["quantize", "some/repository", "out"], "not in the cache"),
        (["tokenize", "--file", "loop"], "loop cannot be read: Too many levels of symbolic links"),
        (
            ["feature-extraction", *PLAIN, "--out", "x.npy", "A text."],
            "--out x.npy cannot be written: No space left on device",
        ),
    ],
)
def test_what_the_network_or_the_disk_fails_to_do_has_an_exit_code_of_its_own(arguments, message, place, monkeypatch):
    @contextmanager
    def full(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield path

    (place / "loop").symlink_to("loop")
    monkeypatch.setattr("lf_ref.records.writing.replacing", full)
    assert message in fails(arguments, code=1)


def test_too_little_memory(monkeypatch):
    def too_large(*_, **__):
        raise MemoryError("Unable to allocate 3 TiB")

    monkeypatch.setattr("lf_ref.pipelines.pipeline", too_large)
    assert fails(["fill-mask", "A <mask>."], code=1).startswith("Error: not enough memory: Unable to allocate 3 TiB; ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("no mask"), 2),
        (ConfigError("no size"), 2),
        (CheckpointError("damaged"), 2),
        (CheckpointFileError("there is no folder x"), 2),
        (DownloadError("no network"), 1),
        (OSError(errno.EIO, "input/output error"), 1),
        (PermissionError(errno.EACCES, "not allowed"), 1),
        (FileNotFoundError(errno.ENOENT, "no such file"), 2),
        (IsADirectoryError(errno.EISDIR, "a folder"), 2),
        (OSError("404 Client Error"), 2),
    ],
)
def test_exit_codes(error, code):
    assert exit_code(error) == code
    wrapped = InputError("x cannot be read")
    wrapped.__cause__ = error
    assert exit_code(wrapped) == code


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken.jsonl", "line 2 of broken.jsonl begins with { and is not JSON (Expecting value: "),
        ("other.jsonl", "line 1 of other.jsonl must have the fields question and context, got question"),
        (
            "array.jsonl",
            "line 1 of array.jsonl must be a JSON object with the fields question and context, got the text '[1, 2]'",
        ),
    ],
)
def test_lines_of_json_that_do_not_fit(name, message, place, folders):
    done = CliRunner().invoke(main, ["question-answering", "--model", folders["question-answering"], "--lines", name])
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stdout.splitlines()) == (1 if name == "broken.jsonl" else 0)


@pytest.mark.parametrize(
    ("task", "line", "message"),
    [
        (
            "question-answering",
            '{"id": 1, "question": "a"}',
            "must have the fields question and context, got id, question",
        ),
        ("question-answering", '{"id": 1}', "must have the fields question and context, got id; name"),
        ("question-answering", '{"question": "a", "context": 3, "id": 1}', "the context of line 1 of x must be a text"),
        (
            "question-answering",
            '{"question": "a", "context": "b", "result": 1}',
            'line 1 of x has the field "result", which the result is written to: rename one',
        ),
        (
            "multiple-choice",
            '{"question": "a", "label": 0}',
            "must have the fields question and choices, got question, label",
        ),
        ("multiple-choice", '["a", ["b"]]', "must be a JSON object with the fields question and choices, got the text"),
        (
            "text-classification",
            '{"sentence": "a"}',
            "x must have the field text (text_pair is optional), got sentence; name another one with --text-field",
        ),
        ("text-classification", '{"text": 3}', "text of line 1 of x must be a text (str), got int"),
        ("text-classification", '{"text": " "}', "the text of line 1 of x is empty"),
        ("text-classification", '""', "line 1 of x is empty"),
    ],
)
def test_objects_with_missing_or_wrong_keys(task, line, message, place, folders):
    (place / "x").write_text(line)
    assert message in fails([task, "--model", folders[task], "--backend", "numpy", "--lines", "x"])


def test_a_second_text_for_an_object_that_has_one(place, folders):
    (place / "x").write_text('{"text": "a"}\n{"text": "a", "text_pair": "b"}\n')
    arguments = ["--model", folders["text-classification"], "--backend", "numpy", "--lines", "x", "--pair", "c"]
    done = CliRunner().invoke(main, ["text-classification", *arguments])
    assert (done.exit_code, len(done.stdout.splitlines())) == (2, 1)
    assert done.stderr == "Error: line 2 of x has text_pair of its own, and text_pair is given for all: give it once\n"


@pytest.mark.parametrize(
    ("task", "arguments", "message"),
    [
        ("token-classification", [LONG], "or let --truncation cut its end off, or let --stride read it in windows"),
        ("feature-extraction", [LONG], "or let --truncation cut its end off, or let --stride read it in windows"),
        ("text-classification", [LONG], "or let --truncation cut its end off, or let --stride read it in windows"),
        ("text-classification", [LONG, "--stride", "70"], "--stride 70 is too much"),
        ("feature-extraction", [LONG, "--stride", "3", "--truncation"], "give either --stride"),
        ("question-answering", [LONG, "Here."], "shorten it, or let --max-question-len cut it"),
        ("question-answering", ["Where?", LONG, "--max-seq-len", "99"], "--max-seq-len 99 is too much"),
        (
            "question-answering",
            ["Where?", LONG, "--max-seq-len", "20", "--doc-stride", "18"],
            "--doc-stride 18 is too much",
        ),
    ],
)
def test_messages_name_the_options_of_the_command(task, arguments, message, folders):
    assert message in fails([task, "--model", folders[task], "--backend", "numpy", *arguments])


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("let truncation=True cut it", "let --truncation cut it"),
        (
            "or let stride= read it, stride=3, (stride=) stride='a'",
            "or let --stride read it, --stride 3, (--stride) --stride 'a'",
        ),
        ("targets='K' or targets=' door'", "--target 'K' or --target ' door'"),
        ("revision= and text= are none, nor is my_stride=3", "revision= and text= are none, nor is my_stride=3"),
        ("truncation is a word, stride too", "truncation is a word, stride too"),
    ],
)
def test_options_as_the_command_line_spells_them(message, expected):
    options = [["--truncation"], ["--stride"], ["--target", "targets"]]
    command = click.Command("cut", params=[*map(click.Option, options), click.Argument(["text"])])
    assert in_flags(message, command) == expected
    assert in_flags(message, None) == message


@pytest.mark.parametrize(
    ("name", "message"),
    [("lines.txt", "line 2 of lines.txt is empty"), ("nomask.txt", "line 2 of nomask.txt has no <mask>")],
)
def test_lines_before_an_error_are_answered(name, message, place):
    done = CliRunner().invoke(main, ["fill-mask", "--backend", "numpy", "--lines", name])
    assert done.exit_code == 2
    assert done.stderr == f"Error: {message}" + (
        "\n" if "empty" in message else ": write it where a word is to be found\n"
    )
    assert [len(json.loads(line)) for line in done.stdout.splitlines()] == [5]


def test_weights_that_do_not_fit_are_one_line(folders):
    line = fails(["fill-mask", "--model", folders["question-answering"], "A <mask>."])
    assert "do not fit LongformerForMaskedLM; missing (5): lm_head.dense.weight, " in line
    assert "These weights do fit" in line


def test_warnings_are_one_line_too(folders):
    arguments = ["--model", folders["text-classification"], "--label", "a", "--label", "b", "A text."]
    done = CliRunner().invoke(main, ["zero-shot-classification", "--backend", "numpy", *arguments])
    assert done.exit_code == 0
    [line] = done.stderr.splitlines()
    assert line.startswith("Warning: none of the model's labels")
    assert len(done.stdout.splitlines()) == 2
