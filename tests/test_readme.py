"""Every block of the README and of the other documents runs as it stands, and every relative link leads somewhere.

The two blocks that call pip are run by `.ci/run`, the second of them being the command that runs these tests; what the
first does after pip is run here too. The blocks that name an official checkpoint talk to a server on loopback that
answers as the Hub and serves the demo checkpoint under that name. Those that name a FOLDER are run by
`tests/cli/test_readme_tasks.py`, those of engines for data by `tests/jobs/test_ray.py`, the endpoint that serves until
it is stopped by a test of its own, and the blocks of the guide on `lf-ref serve` by `tests/serve/test_process.py`.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import socket
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

import lf_ref
from lf_ref.cli import main
from lf_ref.compilation import MESSAGE
from oracles.documents import DOCUMENTS, ROOT, anchors, blocks, engine_of, links, read
from oracles.hub_server import Hub, Repository, serving

README = read(ROOT / "README.md")
COMMANDS = [text for kind, text in blocks(README) if kind == "bash"]
# Commands of nothing but words and quoted texts, and of no checkpoint of the server's: they run in this process.
WITHOUT_SHELL = re.compile(r"""(lf-ref (?!.*allenai/)("[^"$`\\\n]*"|[\w ./=-])+\n)+""")
DEMO = Path(lf_ref.__file__).parent / "demo"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MOST_BYTES = 16384
SERVES = "serve_forever()"
SERVICE = Path(lf_ref.__file__).parent / "guides" / "service.md"

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def python_of(path: Path) -> list[str]:
    """The blocks of Python of a document that are run one after another."""
    return [
        text
        for kind, text in blocks(read(path))
        if kind == "python" and '"FOLDER"' not in text and SERVES not in text and not engine_of(text)
    ]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An activated environment with an empty cache, in which the Hub has the demo checkpoint by the official name."""
    files = {path.name: path.read_bytes() for path in DEMO.iterdir()}
    hub = Hub({"allenai/longformer-base-4096": Repository({"main": COMMIT}, {COMMIT: files})})
    with serving(hub):
        yield {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path_factory.mktemp("hub")),
            "PYTHONWARNINGS": "error",
        }


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    return printed_by(done.returncode, done.stdout, done.stderr)


def run_script(script: Path, environment: dict[str, str]) -> str:
    """What a script of Python prints: in this process, unless it needs the server."""
    if "allenai/" in script.read_text(encoding="utf-8"):
        return run([sys.executable, str(script)], environment, script.parent)
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        patch.chdir(script.parent)
        runpy.run_path(str(script), run_name="__main__")
    return printed_by(0, out.getvalue(), err.getvalue())


def run_block(text: str, environment: dict[str, str], folder: Path) -> str:
    """What a block of commands prints."""
    if not WITHOUT_SHELL.fullmatch(text):
        return run(["bash", "-euo", "pipefail", "-c", text], environment, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        ends = [CliRunner().invoke(main, shlex.split(line)[1:], prog_name="lf-ref") for line in text.splitlines()]
    return "".join(printed_by(end.exit_code, end.stdout, end.stderr) for end in ends)


def printed_by(code: int, out: str, err: str) -> str:
    assert code == 0, out + err
    # Whoever comes first with an empty cache compiles, and is told so; a slow machine reports progress each minute.
    usual = re.compile(rf"wrote .*|{re.escape(MESSAGE)}|.* done, [0-9:]+ left")
    told = [line for line in err.splitlines() if not usual.fullmatch(line)]
    assert told == []
    return out + err


@each_document
def test_no_block_is_of_a_kind_that_nothing_runs(path):
    assert {kind for kind, _ in blocks(read(path))} <= {"bash", "python"}


@pytest.mark.parametrize(
    "path",
    [path for path in DOCUMENTS if python_of(path) and path != SERVICE],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_python_blocks_run_one_after_another(path, environment, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("\n".join(python_of(path)), encoding="utf-8")
    printed = run_script(script, environment)
    assert_printed_rows(printed, read(path))
    lines = {without_numbers(line) for line in printed.splitlines()}
    report = re.search(r"^The report, .*:\n\n((?:    .*\n|\n)+)", read(path), re.M)
    assert report or path.parent not in (ROOT, ROOT / "lf_ref" / "testing")
    for line in report[1].split("\n") if report else []:
        assert not line or without_numbers(line) in lines, line


def assert_printed_rows(printed: str, document: str) -> None:
    """Each row of a table that a block prints is one of the document: words and whole numbers equal, others to 10 %."""
    rows = {line.split("|")[1]: line for line in document.splitlines() if line.startswith("| ")}
    number = re.compile(r"\d+\.\d+")
    for row in (line for line in printed.splitlines() if line.startswith("| ")):
        expected = rows[row.split("|")[1]]
        assert number.sub("#", row) == number.sub("#", expected)
        for one, other in zip(number.findall(row), number.findall(expected), strict=True):
            assert float(one) == pytest.approx(float(other), rel=0.1), (row, expected)


def without_numbers(line: str) -> str:
    """A line in which values, which differ by processor, do not count; names such as layer.1 stay."""
    return " ".join(re.sub(r"(?<![\w.])-?\d[\d.]*(e[-+]\d+)?(?![\w.]*[a-z])", "#", line).split())


@pytest.mark.parametrize(
    ("path", "command"),
    [
        (path, text)
        for path in DOCUMENTS
        for kind, text in blocks(read(path))
        if kind == "bash" and "pip install" not in text and path != SERVICE
    ],
    ids=lambda value: str(value.relative_to(ROOT)) if isinstance(value, Path) else value.splitlines()[-1][:40],
)
def test_commands_run(path, command, environment, tmp_path):
    made = run_block(command, environment, tmp_path)
    assert made or list(tmp_path.iterdir())


def test_the_endpoint_answers(environment, tmp_path):
    [code] = [text for path in DOCUMENTS for kind, text in blocks(read(path)) if kind == "python" and SERVES in text]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = tmp_path / "serve.py"
    script.write_text(code.replace("8000", str(port)), encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(600):
                try:
                    with urlopen(f"http://127.0.0.1:{port}/", data=b"He opened the <mask>.") as answer:
                        answers = json.load(answer)
                    break
                except URLError:
                    assert server.poll() is None
                    time.sleep(0.2)
        finally:
            server.kill()
    assert [*answers[0]] == ["score", "token", "token_str", "sequence"]


def test_the_first_command_runs_the_main_job(environment, tmp_path):
    setup, job = COMMANDS[0].rsplit("&&", 1)
    assert "pip install" in setup
    answers = run(["bash", "-c", job], environment, tmp_path).splitlines()
    assert len(answers) == 5


def test_ci_runs_the_blocks_that_call_pip():
    assert [i for i, text in enumerate(COMMANDS, start=1) if "pip install" in text] == [1, 2]
    assert "pytest" in COMMANDS[1]
    others = [path for path in DOCUMENTS[1:] for _, text in blocks(read(path)) if "pip install" in text]
    assert not others
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"\$\(block (\d+)\)", script) == ["1", "2"]


def test_the_picture_is_what_its_command_draws(environment, tmp_path):
    [command] = [text for text in COMMANDS if "lf-ref attention" in text]
    run_block(command, environment, tmp_path)
    [image] = re.findall(r'^<img src="(\S+)" width="\d+" alt=".{60,}">$', README, re.M)
    drawn, shown = (
        # matplotlib notes each text beside its outlines.
        re.findall(r"^ +<!-- (.*) -->$", path.read_text(encoding="utf-8"), re.M)
        for path in (tmp_path / "attention.svg", ROOT / image)
    )
    assert "global token" in shown
    tokens = [text for text in shown if not re.fullmatch(r"0\.\d+", text)]  # the scale's steps are matplotlib's choice
    assert tokens == [text for text in drawn if not re.fullmatch(r"0\.\d+", text)]
    [title] = [text for text in shown if text.startswith("layer 0")]
    count = re.search(r"(\d+) tokens$", title)
    assert count
    assert f"A square of {count[1]} by {count[1]} tokens" in README


@each_document
def test_relative_links_lead_somewhere(path):
    for link in links(read(path)):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(read(target)), link


def test_every_document_is_reached_from_the_readme():
    reached, ahead = set(), [DOCUMENTS[0]]
    while ahead:
        path = ahead.pop()
        reached.add(path)
        targets = [
            (path.parent / link.partition("#")[0]).resolve() for link in links(read(path)) if link[0] not in "#h"
        ]
        ahead += [target for target in targets if target in DOCUMENTS and target not in reached]
    assert reached == set(DOCUMENTS)


def test_the_readme_is_short_and_in_its_order():
    assert len(README.encode()) <= MOST_BYTES
    assert re.findall(r"^## (.+)$", README, re.M) == [
        "Install", "Quick start", "Tasks", "Long documents, JSONL and batches", "Recipes", "Global attention and maps",
        "Checkpoints and quantization", "Speed", "Alternatives", "Porting", "Notebooks", "API reference",
        "Contributing", "Cite", "Changelog",
    ]  # fmt: skip


def test_words_that_people_search_for():
    words = ["Longformer", "CPU", "ONNX", "embeddings", "semantic search", "NER", "sentiment", "question answering",
             "quantization", "int8", "AMX"]  # fmt: skip
    assert [word for word in words if word.lower() not in README.lower()] == []


@each_document
def test_files_and_tests_that_a_document_names_exist(path):
    text = read(path)
    for file, name in re.findall(r"`(tests/\S+\.py)(?:::(\w+))?`", text):
        assert not name or f"def {name}(" in read(ROOT / file), f"{file}::{name}"
        assert (ROOT / file).exists(), file
    if path.parent == ROOT / "lf_ref":
        named = re.findall(r"`([a-z_/0-9]+\.py|[a-z_/]+/)`", text)
        assert len(named) > 20
        assert [name for name in named if not (path.parent / name).exists()] == []


def test_many_tests_are_named():
    assert len(set(re.findall(r"`(tests/\S+\.py)::(\w+)`", read(ROOT / "tests" / "README.md")))) > 100
