"""The lines of --lines, one rule for every command; and --tokenizer, which every command has that needs one."""

from __future__ import annotations

import json
import shutil

import click
import numpy as np
import pytest
from cli.running import on, pipe_on, run
from click.testing import CliRunner
from pipelines.building import CLASSES, TEXTS, assert_alike, demo_tokenizer, model_for

from lf_ref.cli import main

DOCUMENT = "My name is Ada,\nand I live in London with the old gardener."
ARGUMENTS = {
    "fill-mask": ["--top-k", "2"],
    "feature-extraction": ["--pooling", "cls"],
    "text-classification": ["--top-k", "2"],
    "zero-shot-classification": ["--label", "sport", "--label", "the news"],
    "token-classification": ["--aggregation-strategy", "first", "--ignore-label", "B-PER"],
    "question-answering": ["--top-k", "2"],
    "multiple-choice": ["--top-k", "2"],
}
OPTIONS = {
    "fill-mask": {"top_k": 2},
    "feature-extraction": {"pooling": "cls"},
    "text-classification": {"top_k": 2},
    "zero-shot-classification": {"candidate_labels": ["sport", "the news"]},
    "token-classification": {"aggregation_strategy": "first", "ignore_labels": ["B-PER"]},
    "question-answering": {"top_k": 2},
    "multiple-choice": {"top_k": 2},
}
TASKS_OF_TEXTS = [task for task in CLASSES if task not in ("question-answering", "multiple-choice")]
LINES = ["A <mask> of\nthe <mask>.", '{"text": "<mask>"}', "Yes <mask>."]
REST = [{"id": "56be", "labels": [1, {"a": None}]}, {}, {"text_paired": 1, "score": 0.5}]


def fails(*arguments, stdin=None):
    """Standard error of a command that ends with 2."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments], input=stdin, prog_name="lf-ref")
    assert (done.exit_code, done.stdout) == (2, "")
    return done.stderr


def items_for(task):
    """What a line of a task holds as JSON, and what the pipeline takes."""
    if task == "question-answering":
        return [{"question": "Where?", "context": text} for text in (DOCUMENT, TEXTS[0], "Yes.")]
    if task == "multiple-choice":
        return [{"question": text, "choices": ["yes", *TEXTS[:2]]} for text in TEXTS[:3]]
    return [{"text": text} for text in LINES]


def joined(rest, result):
    return {**rest, "result": result} if rest else result


@pytest.mark.parametrize("task", CLASSES)
def test_a_line_that_starts_with_a_brace_is_an_object_in_every_task(task, folders):
    items = items_for(task)
    stdin = "\n".join(f"{' ' * place}{json.dumps({**REST[place], **item})}" for place, item in enumerate(items))
    printed = run(*on(task, folders), *ARGUMENTS[task], "--lines", "-", stdin=stdin).splitlines()
    given = [item["text"] if task in TASKS_OF_TEXTS else item for item in items]
    expected = list(pipe_on(task, folders).stream(given, **OPTIONS[task]))
    for line, rest, result in zip(printed, REST, expected, strict=True):
        assert_alike(json.loads(line), joined(rest, result), 1e-6)


@pytest.mark.parametrize("task", TASKS_OF_TEXTS)
def test_any_other_line_is_a_text(task, folders):
    lines = ['["<mask>"]', '"a <mask>', "<mask> 3", "  <mask>", "{<mask>} is a name", '{"<mask>": ']
    objects = "\n".join(json.dumps({"text": line}) for line in lines)
    arguments = [*on(task, folders), *ARGUMENTS[task], "--lines", "-"]
    plain, as_objects = run(*arguments, stdin="\n".join(lines)), run(*arguments, stdin=objects)
    for line, other in zip(plain.splitlines(), as_objects.splitlines(), strict=True):
        assert_alike(json.loads(line), json.loads(other), 0.0)


WRONG = {
    '{"sentence": "a <mask>", "id": 1}': "line 1 of standard input must have the field text, got sentence, id",
    "{}": "line 1 of standard input must have the field text, got none",
    '{"text": 3}': "line 1 of standard input must be a text (str), got int",
    '{"text": ["a"]}': "line 1 of standard input must be a text (str), got list",
    '{"text": "a <mask>", "result": 1}': 'line 1 of standard input has the field "result"',
    '{"text": null}': "line 1 of standard input must be a text (str), got None, a missing value",
    '{"text": NaN}': "line 1 of standard input must be a text (str), got None, a missing value",
    '{"text": " "}': "the text of line 1 of standard input is empty",
}


@pytest.mark.parametrize("line", WRONG)
@pytest.mark.parametrize("task", TASKS_OF_TEXTS)
def test_objects_that_do_not_fit_say_what_to_write(task, line, folders):
    said = fails(*on(task, folders), *ARGUMENTS[task], "--lines", "-", stdin=line)
    message = WRONG[line]
    if task == "text-classification":
        message = message.replace("line 1 of standard input must be a", "text of line 1 of standard input must be a")
        message = message.replace("the field text,", "the field text (text_pair is optional),")
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("task", ["question-answering", "multiple-choice"])
@pytest.mark.parametrize("line", ["Who?", '["a", "b"]', "3", '"Who?"'])
def test_a_text_alone_is_no_question(task, line, folders):
    said = fails(*on(task, folders), "--lines", "-", stdin=line)
    second = "context" if task == "question-answering" else "choices"
    text = line.strip('"')
    assert f"line 1 of standard input must be a JSON object with the fields question and {second}" in said
    assert said.endswith(f", got the text {text!r}\n")


def test_features_of_objects_in_a_file(folders, tmp_path):
    stdin = "\n".join(json.dumps({"id": place, "text": text}) for place, text in enumerate(LINES))
    path = tmp_path / "out.npy"
    run(*on("feature-extraction", folders), "--pooling", "cls", "--out", path, "--lines", "-", stdin=stdin)
    expected = pipe_on("feature-extraction", folders)(LINES, pooling="cls", return_tensors=True)
    np.testing.assert_allclose(np.load(path), np.stack(expected), atol=1e-6)


def test_tokens_of_texts_and_pairs():
    tokenizer = demo_tokenizer()
    pair = {"text": "A b.", "text_pair": "And more."}
    lines = ["A b.", json.dumps({**pair, "id": 7}), json.dumps({"text": "{", "text_pair": None})]
    printed = [json.loads(line) for line in run("tokenize", "--lines", "-", stdin="\n".join(lines)).splitlines()]
    assert printed[0]["ids"] == tokenizer("A b.")["input_ids"]
    assert printed[1]["id"] == 7
    assert printed[1]["result"]["ids"] == tokenizer(*pair.values())["input_ids"]
    assert printed[2]["ids"] == tokenizer("{")["input_ids"]
    paired = json.loads(run("tokenize", "--pair", "And more.", "--lines", "-", stdin="A b."))
    assert paired["ids"] == printed[1]["result"]["ids"]
    said = fails("tokenize", "--pair", "c", "--lines", "-", stdin=lines[1])
    assert (
        said
        == "Error: line 1 of standard input has text_pair of its own, and text_pair is given for all: give it once\n"
    )
    assert "text of line 1 of standard input must be a text" in fails("tokenize", "--lines", "-", stdin='{"text": 3}')


# --- the tokenizer ----------------------------------------------------------------------------------------------------

WITH_TOKENIZER = [*CLASSES, "embed", "tokenize", "serve", "attention", "precision"]


def test_every_command_that_needs_a_tokenizer_has_the_option():
    names = {
        name: {option for parameter in command.params for option in parameter.opts}
        for name, command in main.commands.items()
        if isinstance(command, click.Command)
    }
    assert {name for name, options in names.items() if "--tokenizer" in options} == set(WITH_TOKENIZER)


@pytest.fixture(scope="module")
def apart(tmp_path_factory, folders):
    """For each task a folder with the weights and no tokenizer, and one folder with the tokenizer alone."""
    root = tmp_path_factory.mktemp("apart")
    shutil.copytree(folders["fill-mask"], root / "tokenizer")
    for name in ("config.json", "model.safetensors"):
        (root / "tokenizer" / name).unlink()
    for task in CLASSES:
        model_for(task, 2, dtype="float32").save_pretrained(root / task)
    return root


POSITIONAL = {
    "question-answering": ["Where?", "In London."],
    "multiple-choice": ["The sky is", "blue.", "made of bread."],
}


@pytest.mark.parametrize("task", CLASSES)
def test_the_tokenizer_may_be_elsewhere(task, apart, folders):
    texts = POSITIONAL.get(task, ["A <mask>."])
    options = [*ARGUMENTS[task], "--backend", "numpy", "--json", *texts]
    said = fails(task, "--model", apart / task, *options)
    assert said.startswith(f"Error: the folder {apart / task} has no tokenizer.json, or vocab.json and merges.txt")
    assert "give that of another folder or repository as --tokenizer" in said
    printed = run(task, "--model", apart / task, "--tokenizer", apart / "tokenizer", *options)
    assert_alike(json.loads(printed), json.loads(run(*on(task, folders), *options)), 1e-6)


def test_the_tokenizer_of_other_commands_may_be_elsewhere(apart, tmp_path):
    model, tokenizer = ["--model", apart / "fill-mask"], ["--tokenizer", apart / "tokenizer"]
    assert run("tokenize", *model, *tokenizer, "A b.") == run("tokenize", "A b.")
    out = ["--out", tmp_path / "map.png", "A b."]
    assert "repository as --tokenizer" in fails("attention", "--model", apart / "feature-extraction", *out)
    run("attention", "--model", apart / "feature-extraction", *tokenizer, *out)
    assert (tmp_path / "map.png").is_file()
    (tmp_path / "text").write_text("The old gardener walked slowly along the river.")
    assert "repository as --tokenizer" in fails("precision", *model, "--file", tmp_path / "text")
    assert "float64" in run("precision", *model, *tokenizer, "--file", tmp_path / "text")
