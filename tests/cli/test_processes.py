"""The command in a process of its own: what it loads, its streams, a full disk, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from cli.running import PLAIN
from pipelines.building import CLASSES

COMMAND = [sys.executable, "-c", "from lf_ref.cli import main; main(prog_name='lf-ref')"]


def process(*arguments, **options):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, timeout=300, check=False, **options)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], [], *([task, "--help"] for task in CLASSES), ["info", "-h"]]
)
def test_help_loads_neither_numpy_nor_numba(arguments):
    script = (
        "import sys\n"
        "from lf_ref.cli import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert not {"numpy", "numba", "llvmlite", "huggingface_hub", "safetensors", "regex"} & set(done.stderr.split())
    assert done.stdout


def test_errors_of_a_real_process():
    done = process("fill-mask", "no mask")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"Error: the text has no <mask>: write it where a word is to be found\n"


def test_arguments_that_are_not_utf8():
    done = process("fill-mask", b"A <mask> f\xfcr")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"Error: the text is not UTF-8: character 10 is '\\udcfc'\n"


def test_closed_standard_input():
    script = f'exec {sys.executable} -c "from lf_ref.cli import main; main()" fill-mask --file - <&-'
    done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=300, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"Error: standard input ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_output_that_cannot_be_written_in_the_encoding(encoding):
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = process("tokenize", "Königsberg 🙂", "--json", env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == json.loads(process("tokenize", "Königsberg 🙂", "--json").stdout)
    for_people = process("tokenize", "Königsberg 🙂", env=environment)
    assert (for_people.returncode, for_people.stderr) == (0, b"")
    assert for_people.stdout.decode(encoding)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk():
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*COMMAND, "tokenize", "A text."], stdout=full, stderr=subprocess.PIPE, timeout=300, check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith(b"Error: ")
    assert done.stderr.count(b"\n") == 1


def first_result(line, *arguments):
    """The first result of an endless input; when nobody reads any more the command ends quietly."""
    writer = subprocess.Popen(["sh", "-c", f"yes '{line}'"], stdout=subprocess.PIPE)
    command = subprocess.Popen(
        [*COMMAND, *arguments, "--lines", "-"], stdin=writer.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    writer.stdout.close()
    try:
        first = json.loads(command.stdout.readline())
        command.stdout.close()
        assert command.wait(timeout=300) == 141
        assert command.stderr.read() == b""
        return first
    finally:
        writer.kill()
        writer.wait()
        command.kill()
        command.stderr.close()


def test_a_reader_that_goes_away():
    """Results of an endless input come out before its end, and when nobody reads them any more all is over quietly."""
    assert first_result("A short line, and another.", "tokenize")["ids"][0] == 0


def test_results_of_an_endless_input_come_before_its_end():
    options = [*PLAIN, "--batch-tokens", "64", "--quiet", "--max-length", "5"]
    assert len(first_result("A <mask>.", "fill-mask", *options)) == 5


def test_interruption():
    command = subprocess.Popen(
        [*COMMAND, "tokenize", "--lines", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A shell has its background jobs ignore SIGINT, and so would this process.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    command.stdin.write(b"A line.\n" * 2000)
    command.stdin.flush()
    assert command.stdout.readline()  # so it has begun, and waits for more
    time.sleep(0.2)
    command.send_signal(signal.SIGINT)
    _, errors = command.communicate(timeout=300)
    assert command.returncode == 130
    assert errors == b""
