"""Progress: a bar on a terminal or in a notebook, elsewhere a line a minute; for lines of a file, how many of all."""

from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace

import pytest
from cli.running import PLAIN
from pipelines.building import save_checkpoint

from lf_ref.cli import main
from lf_ref.progress import in_notebook, progress


class Terminal(io.StringIO):
    """Standard error, a terminal or a file."""

    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = SimpleNamespace(seconds=1000.0)
    monkeypatch.setattr("tqdm.std.time", lambda: now.seconds)
    return now


def work(clock, total, seconds, **options):
    """Count to 10, a step after so many seconds."""
    with progress("work", total, "steps", **options) as bar:
        for _ in range(10):
            clock.seconds += seconds
            bar.update()


def on(monkeypatch, is_terminal):
    terminal = Terminal(is_terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def test_a_line_a_minute_where_there_is_no_terminal(monkeypatch, clock):
    log = on(monkeypatch, False)
    work(clock, 10, 25)
    assert log.getvalue().splitlines() == [
        "work: 3 of 10 steps done, 02:55 left",
        "work: 6 of 10 steps done, 01:40 left",
        "work: 9 of 10 steps done, 00:25 left",
    ]


def test_without_a_total_the_time_so_far(monkeypatch, clock):
    log = on(monkeypatch, False)
    work(clock, None, 65)
    assert log.getvalue().splitlines()[:2] == [
        "work: 1 steps done, 01:05 so far",
        "work: 2 steps done, 02:10 so far",
    ]


@pytest.mark.parametrize(("is_terminal", "seconds"), [(False, 5), (True, 0.1)])
def test_nothing_for_short_work(monkeypatch, clock, is_terminal, seconds):
    log = on(monkeypatch, is_terminal)
    work(clock, 10, seconds)
    assert log.getvalue().strip() == ""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_quiet_shows_nothing(monkeypatch, clock, is_terminal):
    log = on(monkeypatch, is_terminal)
    work(clock, 10, 100, quiet=True)
    assert log.getvalue() == ""


def test_a_bar_on_a_terminal(monkeypatch, clock):
    terminal = on(monkeypatch, True)
    work(clock, 10, 5)
    assert re.search(r"work: +20%.* 2/10 \[00:10<00:40", terminal.getvalue())
    assert "\n" not in terminal.getvalue()


def test_without_standard_error(monkeypatch, clock):
    monkeypatch.setattr(sys, "stderr", None)
    work(clock, 10, 100)


def test_a_notebook_has_a_bar_though_it_is_no_terminal(monkeypatch, clock):
    assert not in_notebook()
    kernel = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: kernel))
    assert in_notebook()
    made = []
    monkeypatch.setattr("tqdm.auto.tqdm", lambda **settings: made.append(settings) or progress("x", 1, "x", quiet=True))
    work(clock, 10, 5)
    assert [(settings["desc"], settings["total"]) for settings in made] == [("work", 10)]


@pytest.mark.parametrize("command", [[], ["--out", "x.npy"]], ids=["json", "file"])
def test_lines_done_of_all(monkeypatch, clock, tmp_path, command):
    monkeypatch.chdir(tmp_path)
    lines = tmp_path / "lines.txt"
    lines.write_text("A text.\n" * 7)
    monkeypatch.setattr("lf_ref.progress._PATIENCE", 0.0)
    terminal = on(monkeypatch, True)
    folder = save_checkpoint("feature-extraction", tmp_path / "model")
    with pytest.raises(SystemExit) as end:
        main(["feature-extraction", "--model", str(folder), *PLAIN, "--lines", str(lines), *command])
    assert not end.value.code
    assert "/7 [" in terminal.getvalue()
    assert "tokens" not in terminal.getvalue().replace("wrote", "")


@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_lines_of_tokenize_done_of_all(monkeypatch, tmp_path, options):
    lines = tmp_path / "lines.txt"
    lines.write_text("A text.\n" * 7)
    monkeypatch.setattr("lf_ref.progress._PATIENCE", 0.0)
    terminal = on(monkeypatch, True)
    with pytest.raises(SystemExit) as end:
        main(["tokenize", "--lines", str(lines), *options])
    assert not end.value.code
    assert ("tokenize: " in terminal.getvalue() and "/7 [" in terminal.getvalue()) == (not options)
