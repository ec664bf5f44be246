"""`lf-ref serve` as a process: its options, its signals, its exit codes and what it prints."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from cli.running import examples, run
from click.testing import CliRunner
from pipelines.building import save_checkpoint
from serve.running import SOON, until

import lf_ref
from lf_ref.cli import main
from oracles.documents import blocks, read

GUIDE = Path(lf_ref.__file__).parent / "guides" / "service.md"
KEY = "LF_REF_API_KEY"


@contextmanager
def process(*arguments, **environment):
    """A running `lf-ref serve` on a free port, and its url."""
    command = [sys.executable, "-m", "lf_ref", "serve", "--port", "0", *arguments]
    settings = {**os.environ, **environment}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=settings) as server:
        try:
            lines = []
            for line in server.stderr:  # whoever comes first with an empty cache compiles, and is told so
                lines.append(line)
                if found := re.search(r"on (http://\S+)$", line):
                    break
            else:
                pytest.fail("".join(lines))
            yield server, found[1], lines
        finally:
            server.kill()


def ended(server, code):
    """The rest of what a process prints, which ends with a code."""
    rest = server.stderr.read()
    assert server.wait(SOON) == code, rest
    return rest


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_stops_it_when_it_has_answered(number, code):
    texts = [f"{index} words of a text that is long enough to take some time" for index in range(300)]
    with process("--max-batch-tokens", "64") as (server, url, lines), httpx.Client(timeout=4 * SOON) as client:
        assert lines[-1] == f"serving embed by demo on {url}\n"
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(client.post(f"{url}/embed", json={"inputs": texts})))
        asking.start()
        until(lambda: "te_batch_next_size_sum 0" not in client.get(f"{url}/metrics").text)
        server.send_signal(number)
        asking.join(4 * SOON)
        assert ended(server, code) == ("stopped\n" if code == 0 else "")
    got = np.array(answers[0].json(), np.float32)
    encoder = lf_ref.SentenceEncoder.from_pretrained()
    np.testing.assert_array_equal(got, encoder.encode(texts, normalize=True))


def test_the_key_of_the_environment():
    with process("--task", "fill-mask", **{KEY: "k\n"}) as (server, url, lines):
        assert not any("Warning" in line for line in lines)
        question = {"inputs": "He opened the <mask>."}
        with httpx.Client(timeout=SOON) as client:
            assert client.post(url, json=question).status_code == 401
            got = client.post(url, json=question, headers={"Authorization": "Bearer k"})
        assert got.json() == lf_ref.pipeline("fill-mask")(question["inputs"])
        server.terminate()
        assert ended(server, 0) == "stopped\n"


def test_an_empty_key_in_the_environment_opens_nothing(monkeypatch):
    monkeypatch.setenv(KEY, "")
    done = CliRunner().invoke(main, ["serve"])
    assert (done.exit_code, "the key of --api-key or LF_REF_API_KEY is empty" in done.stderr) == (2, True)


def test_the_blocks_of_the_guide(tmp_path):
    (_, start), *others = blocks(read(GUIDE))
    [words] = [line.split() for line in start.splitlines()]
    assert words[:2] == ["lf-ref", "serve"]
    assert words[2:] == ["--port", "8080"]
    assert [kind for kind, _ in others] == ["python", "bash"]
    with process() as (_, url, _):
        python, shell = (code.replace("http://127.0.0.1:8080", url) for _, code in others)
        for command in ([sys.executable, "-c", python], ["bash", "-euo", "pipefail", "-c", shell]):
            done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=2 * SOON)
            assert done.returncode == 0, done.stderr
            if command[0] == "bash":
                expected = lf_ref.SentenceEncoder.from_pretrained().encode(["The ship sailed at dawn."])
                np.testing.assert_array_equal(np.array(json.loads(done.stdout), np.float32), expected)
            else:
                assert done.stdout.startswith("(2, 256)\n256 ")


@pytest.fixture
def unserved(monkeypatch):
    """What the command would serve, in place of serving it."""
    served = []
    monkeypatch.setattr("lf_ref.serve.server.serve", lambda *given: served.append(given))
    monkeypatch.delenv(KEY, raising=False)
    return served


def test_the_example_of_the_help(unserved):
    [line] = examples("serve")
    run(*line.split()[1:-1], "0")
    [(service, bound, _)] = unserved
    assert bound.fileno() == -1
    assert (service.model_name, service.task.name, service.batcher.max_batch_tokens) == ("demo", "embed", 4096)


def test_its_options(unserved, tmp_path):
    folder = str(save_checkpoint("text-classification", tmp_path))
    options = {
        "--task": "text-classification", "--model": folder, "--host": "0.0.0.0", "--port": 0,
        "--max-batch-tokens": 100, "--max-batch-delay": 20, "--max-queue": 7, "--max-texts": 5, "--max-text-chars": 6,
        "--max-body-bytes": 8, "--num-threads": 1, "--dtype": "float64", "--backend": "numpy",
    }  # fmt: skip
    run("serve", *(part for option in options.items() for part in option))
    [(service, _, _)] = unserved
    batcher, limits, pipe = service.batcher, service.limits, service.task.pipe
    assert (batcher.max_batch_tokens, batcher.max_delay, batcher.max_queue, pipe.batch_tokens) == (100, 0.02, 7, 100)
    assert (limits.texts, limits.text_chars, limits.body_bytes) == (5, 6, 8)
    assert (str(pipe.dtype), service.model_name) == ("float64", folder)


def printed(*arguments, code):
    """What the command prints on standard error, which is one line."""
    from click.testing import CliRunner

    from lf_ref.cli import main

    done = CliRunner().invoke(main, ["serve", *arguments], prog_name="lf-ref")
    assert done.exit_code == code, done.output
    [line] = done.stderr.splitlines()
    return line


def test_an_open_address_without_a_key_is_warned_of(unserved):
    for host in ("0.0.0.0", "::"):
        line = printed("--host", host, "--port", "0", "--quiet", code=0)
        assert re.search(r"^Warning: whoever reaches http://\S+ may use it: set --api-key$", line)
    run("serve", "--host", "0.0.0.0", "--port", "0", "--quiet", "--api-key", "k")
    assert len(unserved) == 3


def test_a_port_that_is_taken(unserved):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = printed("--port", port, "--model", "nowhere", code=1)  # before the model is looked for
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use; give another --port" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--host", "no.such.host.invalid"], "host 'no.such.host.invalid' is no address of this machine"),
        (["--api-key", " "], "LF_REF_API_KEY is empty: give a key, or leave it out"),
        (["--task", "feature-extraction"], "'embed', 'text-classification', 'fill-mask', 'zero-shot-classification'"),
        (["--task", "text-classification"], "the bundled demo model is a"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--max-queue", "0"], "0 is not in the range"),
        (["--model", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_what_is_wrong_is_one_line(unserved, arguments, words):
    line = printed("--port", "0", *arguments, code=2)
    assert line.startswith("Error: ")
    assert words in line


@pytest.mark.parametrize("name", ["starlette", "uvicorn", "prometheus_client"])
def test_what_is_not_installed_is_named(name):
    code = f"import sys; sys.modules[{name!r}] = None; from lf_ref.cli import main; main(['serve', '--port', '0'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"Error: lf-ref serve needs {name}: pip install 'lf-ref[serve]'\n"
