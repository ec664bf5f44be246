"""Every block of the README runs as it stands.

The two blocks that call pip are run by `.ci/run`, the second of them being the command that runs these tests; what the
first does after pip is run here too. The blocks that name an official checkpoint talk to a server on loopback that
answers as the Hub and serves the demo checkpoint under that name. Those that name a FOLDER are run by
`tests/cli/test_readme_tasks.py`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import lf_ref
from oracles.hub_server import Hub, Repository, serving

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [(kind, text) for kind, text in re.findall(r"^```(\w*)\n(.*?)^```$", README, re.S | re.M)]
COMMANDS = [text for kind, text in BLOCKS if kind == "bash"]
DEMO = Path(lf_ref.__file__).parent / "demo"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment in which the Hub holds the demo checkpoint under the official name, and the cache is empty."""
    files = {path.name: path.read_bytes() for path in DEMO.iterdir()}
    hub = Hub({"allenai/longformer-base-4096": Repository({"main": COMMIT}, {COMMIT: files})})
    with serving(hub):
        yield {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path_factory.mktemp("hub")),
            "PYTHONWARNINGS": "error",
        }


def run(command: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if not line.startswith("wrote ")]
    assert told == []
    return done.stdout + done.stderr


def test_no_block_is_of_a_kind_that_nothing_runs():
    assert {kind for kind, _ in BLOCKS} == {"bash", "python"}


def test_python_blocks_run_one_after_another(environment, tmp_path):
    script = tmp_path / "readme.py"
    blocks = [text for kind, text in BLOCKS if kind == "python" and "FOLDER" not in text]
    assert len(blocks) > 3
    script.write_text("\n".join(blocks), encoding="utf-8")
    printed = run([sys.executable, str(script)], environment, tmp_path)
    lines = {without_numbers(line) for line in printed.splitlines()}
    shown = re.findall(r"^    (.+)$", README.partition("The report says what it is")[2].partition("\n- ")[0], re.M)
    assert len(shown) > 5
    for line in shown:
        assert without_numbers(line) in lines, line


def without_numbers(line: str) -> str:
    """A line in which figures, which differ by processor, do not count; names such as layer.1 stay."""
    return " ".join(re.sub(r"(?<![\w.])-?\d[\d.]*(e[-+]\d+)?(?![\w.]*[a-z])", "#", line).split())


def with_this_interpreter(command: str) -> str:
    return command.replace(".venv/bin/", f"{Path(sys.executable).parent}/")


@pytest.mark.parametrize("command", [text for text in COMMANDS if "pip install" not in text])
def test_commands_run(command, environment, tmp_path):
    assert run(["bash", "-euo", "pipefail", "-c", with_this_interpreter(command)], environment, tmp_path)


def test_the_first_command_runs_the_main_job(environment, tmp_path):
    setup, job = COMMANDS[0].rsplit("&&", 1)
    assert "pip install" in setup
    answers = run(["bash", "-c", with_this_interpreter(job)], environment, tmp_path).splitlines()
    assert len(answers) == 5


def test_ci_runs_the_blocks_that_call_pip():
    assert [i for i, text in enumerate(COMMANDS, start=1) if "pip install" in text] == [1, 2]
    assert "pytest" in COMMANDS[1]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"\$\(block (\d+)\)", script) == ["1", "2"]


def test_the_picture_is_what_its_command_draws(environment, tmp_path):
    [command] = [text for text in COMMANDS if "lf-ref attention" in text]
    run(["bash", "-c", with_this_interpreter(command)], environment, tmp_path)
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


def test_links_within_the_readme_lead_somewhere():
    headings = {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", README, re.M)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in headings, target
        elif not target.startswith("https://"):
            assert (ROOT / target).exists(), target


def test_the_parts_of_a_reader_in_a_hurry_come_first():
    headings = re.findall(r"^## (.+)$", README, re.M)
    assert headings[:3] == ["Set up and run", "Beside the others", "When not to use it"]
    assert headings[-2:] == ["What is supported, and the test that shows it", "Changelog"]


def test_every_test_that_the_readme_names_exists():
    named = set(re.findall(r"`(tests/\S+\.py)::(\w+)`", README))
    assert len(named) > 50
    for path, name in sorted(named):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), f"{path}::{name}"
