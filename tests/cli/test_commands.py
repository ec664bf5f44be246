"""What each command prints, against the pipelines that it runs."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import numpy as np
import pytest
from cli.running import PLAIN, examples, on, pipe_on, run
from click.testing import CliRunner
from pipelines.building import CLASSES, TEXTS, assert_alike

import lf_ref
from lf_ref import InputError
from lf_ref.cli import main

DOCUMENT = "My name is Ada,\nand I live in London with the old gardener, who came from Königsberg by the river."


# --- every text command -----------------------------------------------------------------------------------------------

TEXT_COMMANDS = {
    "fill-mask": ["--top-k", "3"],
    "feature-extraction": ["--pooling", "cls"],
    "text-classification": ["--top-k", "2"],
    "zero-shot-classification": ["--label", "sport", "--label", "the news"],
    "token-classification": ["--aggregation-strategy", "first", "--ignore-label", "B-PER"],
}
OPTIONS = {
    "fill-mask": {"top_k": 3},
    "feature-extraction": {"pooling": "cls"},
    "text-classification": {"top_k": 2},
    "zero-shot-classification": {"candidate_labels": ["sport", "the news"]},
    "token-classification": {"aggregation_strategy": "first", "ignore_labels": ["B-PER"]},
}
PAIRS = ["text-classification"]
LINES = ["A <mask> of the <mask>.", "The <mask> of Königsberg went home.", "<mask>"]


@pytest.mark.parametrize("command", TEXT_COMMANDS)
def test_json_is_the_pipelines_result(command, folders, tmp_path):
    expected = pipe_on(command, folders)({"text": LINES[1]} if command in PAIRS else LINES[1], **OPTIONS[command])
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbf" + LINES[1].encode() + b"\r\n")
    arguments = [*on(command, folders), *TEXT_COMMANDS[command], "--json"]
    for printed in (
        run(*arguments, LINES[1]),
        run(*arguments, "--file", path),
        run(*arguments, "--file", "-", stdin=LINES[1] + "\n"),
    ):
        assert_alike(json.loads(printed), expected, 1e-6)


@pytest.mark.parametrize("command", TEXT_COMMANDS)
def test_lines_in_json_lines_out(command, folders, tmp_path):
    pipe = pipe_on(command, folders, **OPTIONS[command])
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(LINES), encoding="utf-8")
    arguments = [*on(command, folders), *TEXT_COMMANDS[command], "--lines"]
    for printed in (run(*arguments, path), run(*arguments, "-", stdin="".join(f"{line}\r\n" for line in LINES))):
        results = [json.loads(line) for line in printed.splitlines()]
        assert len(results) == len(LINES)
        for result, line in zip(results, LINES, strict=True):
            [expected] = pipe.stream([line])
            assert_alike(result, expected, 1e-6)


@pytest.mark.parametrize("command", CLASSES)
def test_options_of_the_model_and_the_batches_reach_the_pipeline(command, folders, monkeypatch):
    built = {}

    def pipeline(task, **options):
        built.update(options, task=task)
        raise InputError("enough is seen")

    monkeypatch.setattr("lf_ref.pipelines.pipeline", pipeline)
    arguments = shlex.split(examples(command)[0])[2:]
    run(
        command,
        *arguments,
        "--batch-tokens",
        "23",
        "--token",
        "hf_secret",
        "--revision",
        "refs/pr/7",
        "--quiet",
        code=2,
    )
    assert built["task"] == command
    expected = {
        "batch_tokens": 23,
        "token": "hf_secret",
        "revision": "refs/pr/7",
        "quiet": True,
        "local_files_only": False,
    }
    assert {name: built[name] for name in expected} == expected


def test_batches_change_nothing_but_the_rounding(folders):
    printed = [
        run(*on("feature-extraction", folders), "--batch-tokens", tokens, "--lines", "-", stdin="\n".join(LINES))
        for tokens in (1, 29, 4096)
    ]
    for other in printed[1:]:
        for line, expected in zip(other.splitlines(), printed[0].splitlines(), strict=True):
            assert_alike(json.loads(line), json.loads(expected), 1e-6)


@pytest.mark.parametrize(
    ("command", "flags", "options"),
    [
        ("feature-extraction", [], {}),
        ("text-classification", ["--aggregation", "max"], {"aggregation": "max"}),
        (
            "zero-shot-classification",
            ["--aggregation", "max", "--max-length", "50"],
            {"aggregation": "max", "max_length": 50},
        ),
        ("token-classification", [], {}),
    ],
)
def test_a_long_text_is_read_in_windows(command, flags, options, folders):
    text = " ".join(TEXTS) * 3
    arguments = [*on(command, folders), *TEXT_COMMANDS[command], *flags]
    expected = pipe_on(command, folders)(
        {"text": text} if command in PAIRS else text, stride=9, **options, **OPTIONS[command]
    )
    assert_alike(json.loads(run(*arguments, "--stride", "9", "--json", text)), expected, 1e-6)
    [line] = run(*arguments, "--stride", "9", "--lines", "-", stdin=text).splitlines()
    assert_alike(json.loads(line), expected, 1e-6)
    done = CliRunner().invoke(main, [*map(str, arguments[: -2 if "--max-length" in flags else None]), text])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "or let --truncation cut its end off, or let --stride read it in windows" in done.stderr


# --- for people -------------------------------------------------------------------------------------------------------


def test_fill_mask_for_people(folders):
    [answers, others] = pipe_on("fill-mask", folders)(LINES[0], top_k=2)
    shown = run(*on("fill-mask", folders), "--top-k", "2", LINES[0]).splitlines()
    assert shown[0] == "mask 1"
    assert shown[3:5] == ["", "mask 2"]
    for line, answer in zip((*shown[1:3], *shown[5:7]), (*answers, *others), strict=True):
        assert line == f"{answer['score']:.4f}  {answer['token_str'].strip()}"
    only = run(*on("fill-mask", folders), "--target", " door", "--target", " book", LINES[1])
    assert sorted(line.split()[1] for line in only.splitlines()) == ["book", "door"]


def test_classification_for_people(folders):
    [best, *_] = pipe_on("text-classification", folders)(TEXTS[0], top_k=None)
    shown = run(*on("text-classification", folders), TEXTS[0]).splitlines()
    assert shown[0].split(maxsplit=1) == [f"{best['score']:.4f}", best["label"]]
    assert len(shown) == 3
    pair = {"text": TEXTS[0], "text_pair": TEXTS[1]}
    printed = run(*on("text-classification", folders), "--pair", TEXTS[1], "--json", TEXTS[0])
    assert_alike(json.loads(printed), pipe_on("text-classification", folders)(pair, top_k=5), 1e-6)
    raw = run(*on("text-classification", folders), "--function-to-apply", "none", "--json", TEXTS[0])
    assert sum(label["score"] for label in json.loads(raw)) != pytest.approx(1.0)


def test_zero_shot_for_people(folders):
    result = pipe_on("zero-shot-classification", folders)(TEXTS[0], ["sport", "the news"], multi_label=True)
    shown = run(
        *on("zero-shot-classification", folders), "--label", "sport", "--label", "the news", "--multi-label", TEXTS[0]
    )
    assert shown == "".join(
        f"{score:.4f}  {label}\n" for label, score in zip(result["labels"], result["scores"], strict=True)
    )


def test_token_classification_for_people(folders):
    entities = pipe_on("token-classification", folders)(TEXTS[2], aggregation_strategy="simple")
    shown = run(*on("token-classification", folders), TEXTS[2]).splitlines()
    assert shown[0].split() == ["start", "end", "score", "label", "word"]
    assert len(shown) == 1 + len(entities) > 2
    for line, entity in zip(shown[1:], entities, strict=True):
        start, end, score, label, word = line.split(maxsplit=4)
        assert (int(start), int(end)) == (entity["start"], entity["end"])
        assert (score, label, word) == (f"{entity['score']:.4f}", entity["entity_group"], entity["word"].strip())
    assert len({line.index(entity["entity_group"]) for line, entity in zip(shown[1:], entities, strict=True)}) == 1
    every = [word for label in ("O", "B-PER", "I-PER", "B-LOC", "I-LOC") for word in ("--ignore-label", label)]
    nothing = run(*on("token-classification", folders), "--aggregation-strategy", "none", *every, TEXTS[2])
    assert nothing == "nothing found\n"


def test_labels_that_are_numbers_are_left_out_as_they_are_printed(folders, tmp_path):
    shutil.copytree(folders["token-classification"], tmp_path / "numbered")
    path = tmp_path / "numbered" / "config.json"
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"id2label": {str(index): index for index in range(5)}}))
    for place, ignored in ((0, "O"), (1, "4")):
        out = run("token-classification", "--model", path.parent, *PLAIN, "--json", "--ignore-label", ignored, TEXTS[2])
        found = {entity["entity_group"] for entity in json.loads(out)}
        assert (4 in found) == (place == 0)


def test_question_answering_for_people(folders):
    answers = pipe_on("question-answering", folders)("Where?", DOCUMENT, top_k=3)
    arguments = [*on("question-answering", folders), "--top-k", "3", "Where?"]
    shown = run(*arguments, DOCUMENT).splitlines()
    for line, answer in zip(shown, answers, strict=True):
        score, place, text = line.split(maxsplit=2)
        assert score == f"{answer['score']:.4f}"
        assert place == f"{answer['start']}-{answer['end']}"
        assert " ".join(f"[{answer['answer']}]".split()) in text
        assert "\n" not in text
    printed = run(*arguments, "--json", "--file", "-", stdin=DOCUMENT)
    assert_alike(json.loads(printed), answers, 1e-6)
    items = [{"question": "Where?", "context": text} for text in (DOCUMENT, TEXTS[0])]
    lines = run(
        *on("question-answering", folders), "--lines", "-", stdin="".join(json.dumps(item) + "\n" for item in items)
    )
    for line, item in zip(lines.splitlines(), items, strict=True):
        assert_alike(json.loads(line), pipe_on("question-answering", folders)(item), 1e-6)


# --- lines of JSON ----------------------------------------------------------------------------------------------------

ITEMS = {
    "question-answering": [{"question": "Where?", "context": text} for text in (DOCUMENT, TEXTS[0], "Yes.")],
    "multiple-choice": [{"question": text, "choices": ["yes", *TEXTS[:2]]} for text in TEXTS[:3]],
    "text-classification": [
        {"text": TEXTS[0], "text_pair": TEXTS[1]},
        {"text": "{x}"},
        {"text": "A", "text_pair": None},
    ],
}
REST = [{"id": "56be4db0", "answers": {"text": ["Ada"], "answer_start": [11]}}, {}, {"label": 1, "score": None}]


@pytest.mark.parametrize("task", ITEMS)
def test_what_else_an_object_holds_comes_out_with_its_answer(task, folders):
    lines = [json.dumps({**rest, **item}) for rest, item in zip(REST, ITEMS[task], strict=True)]
    options = {"top_k": 2}
    printed = run(*on(task, folders), "--top-k", "2", "--lines", "-", stdin="\n".join(lines)).splitlines()
    for line, rest, item in zip(printed, REST, ITEMS[task], strict=True):
        expected = pipe_on(task, folders)(item, **options)
        assert_alike(json.loads(line), {**rest, "result": expected} if rest else expected, 1e-6)


def test_a_line_is_json_if_it_starts_with_a_brace_and_else_a_text(folders):
    pipe = pipe_on("text-classification", folders, top_k=5)
    pair = {"text": TEXTS[0], "text_pair": TEXTS[1]}
    arguments = [*on("text-classification", folders), "--lines", "-"]
    lines = [TEXTS[0], "  " + json.dumps(pair), '["text"]', json.dumps({"text": json.dumps(pair)})]
    items = [{"text": TEXTS[0]}, pair, {"text": '["text"]'}, {"text": json.dumps(pair)}]
    for line, item in zip(run(*arguments, stdin="\n".join(lines)).splitlines(), items, strict=True):
        assert_alike(json.loads(line), pipe(item), 1e-6)
    paired = run(*arguments, "--pair", TEXTS[1], stdin=f"{TEXTS[0]}\n" + json.dumps({"text": TEXTS[0]}))
    for line in paired.splitlines():
        assert_alike(json.loads(line), pipe(pair), 1e-6)


def test_answers_stay_with_their_objects_over_many_batches(folders):
    items = [
        {"question": "Where?", "context": f"{'So it is. ' * (place % 7)}In {place}.", "id": place}
        for place in range(50)
    ]
    stdin = "\n".join(map(json.dumps, items))
    printed = run(*on("question-answering", folders), "--batch-tokens", "1", "--lines", "-", stdin=stdin).splitlines()
    assert len(printed) == len(items)
    for line, item in zip(map(json.loads, printed), items, strict=True):
        assert line["id"] == item["id"]
        answer = line["result"]
        assert item["context"][answer["start"] : answer["end"]] == answer["answer"]


def test_question_answering_may_find_nothing(folders):
    shown = run(
        *on("question-answering", folders), "--handle-impossible-answer", "--top-k", "999", "Where?", "In London."
    )
    assert re.search(r"^0\.\d{4} +0-0  \(no answer\)$", shown, re.M)


def test_multiple_choice_for_people(folders):
    choices = ["blue as ever.", "made of bread."]
    answers = pipe_on("multiple-choice", folders)("The sky is", choices)
    arguments = on("multiple-choice", folders)
    shown = run(*arguments, "The sky is", *choices)
    assert shown == "".join(f"{one['score']:.4f}  {one['choice']}  {one['text']}\n" for one in answers)
    assert_alike(json.loads(run(*arguments, "--json", "--file", "-", *choices, stdin="The sky is\n")), answers, 1e-6)
    piped = "\n".join(["The sky is", *choices])
    assert_alike(json.loads(run(*arguments, "--json", stdin=piped)), answers, 1e-6)
    assert run(*arguments, "--top-k", "1", "The sky is", *choices) == shown.splitlines(keepends=True)[0]
    line = json.dumps({"question": "The sky is", "choices": choices})
    assert_alike(json.loads(run(*arguments, "--lines", "-", stdin=line)), answers, 1e-6)


def test_tokenize():
    tokenizer = lf_ref.LongformerTokenizer.from_pretrained()
    text, second = "Königsberg's\tend <mask>", "And more."
    encoded = tokenizer(text, second, return_offsets_mapping=True)
    expected = {
        "ids": encoded["input_ids"],
        "tokens": tokenizer.convert_ids_to_tokens(encoded["input_ids"]),
        "offsets": [list(span) for span in encoded["offset_mapping"]],
    }
    assert json.loads(run("tokenize", text, "--pair", second, "--json")) == expected
    rows = [line.split() for line in run("tokenize", text, "--pair", second).splitlines()]
    assert rows[0] == ["position", "id", "token", "start", "end"]
    assert [[int(row[0]), int(row[1]), row[2], int(row[3]), int(row[4])] for row in rows[1:-1]] == [
        [position, *row[:2], *row[2]] for position, row in enumerate(zip(*expected.values(), strict=True))
    ]
    assert rows[-1] == [str(len(expected["ids"])), "tokens"]
    bare = [
        json.loads(line) for line in run("tokenize", "--no-special-tokens", "--lines", "-", stdin="a\nb").splitlines()
    ]
    assert [one["ids"] for one in bare] == [tokenizer.encode(letter, add_special_tokens=False) for letter in "ab"]


def load_all(path):
    """The rows of a .npy file, or the arrays of a .npz file."""
    loaded = np.load(path)
    if path.suffix == ".npy":
        return list(loaded)
    with loaded:
        return [loaded[f"arr_{index}"] for index in range(len(loaded.files))]


# --- arrays -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("pooling", ["none", "cls", "mean"])
def test_features_of_one_text_in_a_file(suffix, pooling, folders, tmp_path):
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"something old")
    expected = pipe_on("feature-extraction", folders)(TEXTS[0], pooling=pooling, return_tensors=True)
    expected = expected[0] if pooling == "none" else expected
    assert run(*on("feature-extraction", folders), "--pooling", pooling, "--out", path, TEXTS[0]) == ""
    got = np.load(path) if suffix == ".npy" else load_all(path)[0]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(("suffix", "pooling"), [(".npy", "cls"), (".npy", "mean"), (".npz", "mean"), (".npz", "none")])
def test_features_of_many_texts_in_a_file(suffix, pooling, folders, tmp_path):
    path = tmp_path / f"out{suffix}"
    pipe = pipe_on("feature-extraction", folders)
    expected = [pipe(text, pooling=pooling, return_tensors=True) for text in LINES]
    run(*on("feature-extraction", folders), "--pooling", pooling, "--out", path, "--lines", "-", stdin="\n".join(LINES))
    got = load_all(path)
    assert len(got) == len(LINES)
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, other[0] if pooling == "none" else other, atol=1e-6)


def test_features_of_no_texts_in_a_file(folders, tmp_path):
    run(*on("feature-extraction", folders), "--out", tmp_path / "out.npy", "--lines", "-", stdin="")
    assert np.load(tmp_path / "out.npy").shape[0] == 0


def test_an_error_leaves_the_old_file(folders, tmp_path):
    path = tmp_path / "out.npy"
    path.write_bytes(b"something old")
    run(*on("feature-extraction", folders), "--out", path, "--lines", "-", stdin="good\n\nafter an empty line", code=2)
    assert path.read_bytes() == b"something old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_quiet_prints_nothing(folders, tmp_path):
    arguments = [*on("feature-extraction", folders), "--out", tmp_path / "out.npy", "x"]
    assert CliRunner().invoke(main, [*map(str, arguments), "--quiet"]).stderr == ""
    assert f"wrote {tmp_path / 'out.npy'}: 1 text" in CliRunner().invoke(main, [*map(str, arguments)]).stderr
