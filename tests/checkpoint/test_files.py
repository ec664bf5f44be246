"""Finding a checkpoint by name, and writing files whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lf_ref.errors import CheckpointError
from lf_ref.files import locate, write_beside


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_none_and_demo_name_the_bundled_checkpoint_also_beside_a_folder_of_that_name(here):
    (here / "demo").mkdir()
    (here / "demo" / "config.json").write_text("{}")
    bundled = locate().require("config.json")
    assert locate("demo").require("config.json") == bundled
    assert bundled.parent != here / "demo"
    for name in ("./demo", Path("demo"), str(here / "demo")):
        assert locate(name).require("config.json").read_text() == "{}"


def test_a_folder_goes_before_a_repository_of_that_name(here):
    (here / "allenai" / "longformer-base-4096").mkdir(parents=True)
    (here / "allenai" / "longformer-base-4096" / "config.json").write_text("{}")
    assert locate("allenai/longformer-base-4096").require("config.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.safetensors", "model.safetensors is not a folder; give the folder that holds the files, perhaps ."),
        ("sub/model.safetensors", "perhaps sub"),
        ("broken", "broken is not a folder"),
        ("./nothing", "there is no folder ./nothing"),
        ("/no/such/folder", "there is no folder"),
        ("~/models", "there is no folder"),
        (Path("someone/something"), "there is no folder"),
        ("a/b/c", "'a/b/c' is neither a folder here nor the id of a Hub repository"),
        ("two words", "neither"),
        ("", "neither"),
        ("a--b", "neither"),
        ("x" * 5000, "neither"),
        ("a\0b", "neither"),
        ("https://huggingface.co/allenai/longformer-base-4096", "neither"),
        ("..\\models", "there is no folder"),
    ],
)
def test_other_names_are_refused_with_what_to_do(here, name, message):
    (here / "sub").mkdir()
    (here / "model.safetensors").touch()
    (here / "sub" / "model.safetensors").touch()
    (here / "broken").symlink_to("nowhere")
    with pytest.raises(CheckpointError) as caught:
        locate(name)
    assert message in str(caught.value)


def test_what_a_folder_lacks_is_told_with_what_it_holds(here):
    for index in range(25):
        (here / f"file{index:02}").touch()
    source = locate(here)
    assert source.find("config.json") is None
    with pytest.raises(CheckpointError, match=r"has no config.json \(it holds file00, .*, file19, \.\.\.\)"):
        source.require("config.json")


@pytest.mark.parametrize("name", ["../config.json", "/etc/passwd", "a/b", "a\\b", "", ".", "..", "a\0b", "c:x"])
def test_names_of_files_lead_nowhere_else(here, name):
    with pytest.raises(CheckpointError, match="plain name"):
        locate(here).find(name)


def test_what_is_no_file_is_refused_without_opening_it(here):
    (here / "folder").mkdir()
    (here / "broken").symlink_to("nowhere")
    (here / "circle").symlink_to("circle")
    (here / "link").symlink_to(here / "real")
    (here / "real").write_text("content")
    os.mkfifo(here / "fifo")  # opening it would wait for a writer for ever
    source = locate(here)
    for name, message in (
        ("folder", "must be a file, got a folder"),
        ("fifo", "must be a file, got a special file"),
        ("broken", "symbolic link to a file that does not exist"),
        ("circle", "cannot be read"),
    ):
        with pytest.raises(CheckpointError, match=f"{name}.*{message}"):
            source.find(name)
    assert source.require("link").read_text() == "content"


def test_finding_local_files_loads_no_hub_client():
    program = """
import sys
from lf_ref.checkpoint import open_tensors
from lf_ref.files import locate
assert open_tensors(locate())
sys.exit("huggingface_hub" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_file_is_written_whole_or_not_at_all(here, monkeypatch):
    write_beside(here / "file", b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no")))
        with pytest.raises(OSError, match="no"):
            write_beside(here / "file", b"new")
    assert (here / "file").read_bytes() == b"old"
    write_beside(here / "file", b"new")
    assert (here / "file").read_bytes() == b"new"
    assert [path.name for path in here.iterdir()] == ["file"]
