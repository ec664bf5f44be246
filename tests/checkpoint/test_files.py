"""Finding a checkpoint by name, and writing files whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lf_ref
from lf_ref.checkpoint import open_tensors
from lf_ref.checkpoint.safetensors_file import write_safetensors
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.errors import CheckpointError, CheckpointFileError, InputError
from lf_ref.files import locate, write_beside
from oracles.torch_writer import write_state


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
    assert isinstance(caught.value, OSError)


def test_an_error_names_the_missing_file_and_those_of_the_folder(here):
    for index in range(25):
        (here / f"file{index:02}").touch()
    source = locate(here)
    assert source.find("config.json") is None
    with pytest.raises(CheckpointFileError, match=r"has no config.json \(it holds file00, .*, file19, \.\.\.\)"):
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
        with pytest.raises(CheckpointFileError, match=f"{name}.*{message}"):
            source.find(name)
    assert source.require("link").read_text() == "content"


# --- a folder within, and one of several weights ---------------------------------------------------------------------


@pytest.mark.parametrize("subfolder", ["", None, ".", "./"])
def test_no_subfolder_is_the_folder_itself(here, subfolder):
    (here / "config.json").write_text("{}")
    assert locate(here, subfolder=subfolder).require("config.json") == here / "config.json"


@pytest.mark.parametrize("subfolder", ["a", "a/b", "a//b/", "./a/b", ".hidden/x"])
def test_files_are_those_of_the_subfolder(here, subfolder):
    (here / subfolder).mkdir(parents=True)
    (here / subfolder / "config.json").write_text("{}")
    assert locate(str(here), subfolder=subfolder).require("config.json").samefile(here / subfolder / "config.json")


@pytest.mark.parametrize("subfolder", ["..", "a/../..", "/etc", "a\\b", "c:x", "a\0b", 3, Path("a")])
@pytest.mark.parametrize("name", [None, ".", "someone/something"])
def test_a_subfolder_leads_nowhere_else(here, name, subfolder):
    with pytest.raises(InputError, match="subfolder must be the path of a folder inside"):
        locate(name, subfolder=subfolder)


def test_a_subfolder_that_is_missing_is_named_with_what_there_is(here):
    (here / "real").mkdir()
    (here / "file").touch()
    for missing in ("nothing", "file", "real/nothing"):
        with pytest.raises(CheckpointFileError, match=rf"has no folder {missing} \(it holds file, real\)"):
            locate(here, subfolder=missing)


def test_local_files_need_no_download(here):
    (here / "config.json").write_text("{}")
    assert locate(here, force_download=True, local_files_only=True).find("config.json")


NAMES = ("model.safetensors", "model.fp16.safetensors", "pytorch_model.bin", "pytorch_model.fp16.bin")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0),
        ({"use_safetensors": True}, 0),
        ({"use_safetensors": False}, 2),
        ({"variant": "fp16"}, 1),
        ({"variant": "fp16", "use_safetensors": False}, 3),
        ({"variant": ""}, 0),
    ],
)
@pytest.mark.parametrize("is_sharded", [False, True])
def test_which_of_several_weights_is_read(here, options, expected, is_sharded):
    for number, name in enumerate(NAMES):
        place = here / (f"part-{number}" if is_sharded else name)
        if name.endswith(".bin"):
            write_state(place, {"a": np.array([number], np.float32)})
        else:
            write_safetensors(place, {"a": StoredTensor("float32", np.array([number], np.float32))})
        if is_sharded:
            variant = ".fp16" if ".fp16." in name else ""
            index = f"{name.replace('.fp16.', '.')}.index{variant}.json"
            (here / index).write_text(json.dumps({"weight_map": {"a": f"part-{number}"}}))
    assert open_tensors(locate(here), **options)["a"].array("float32") == [expected]


@pytest.mark.parametrize(
    ("held", "options", "message"),
    [
        ("pytorch_model.bin", {"use_safetensors": True}, "has no model.safetensors, sharded or not, "),
        ("model.safetensors", {"use_safetensors": False}, "has no pytorch_model.bin, sharded or not, "),
        ("model.safetensors", {"variant": "fp16"}, "has no model.fp16.safetensors or pytorch_model.fp16.bin, sharded"),
        ("rust_model.ot", {}, "has no model.safetensors or pytorch_model.bin, sharded or not, or tf_model.h5, "),
        ("tf_model.h5", {"use_safetensors": False}, "has no pytorch_model.bin, sharded or not, "),
        ("tf_model.h5", {"variant": "fp16"}, "has no model.fp16.safetensors or pytorch_model.fp16.bin, sharded"),
    ],
)
def test_weights_of_another_form_will_not_do(here, held, options, message):
    (here / held).touch()
    with pytest.raises(CheckpointFileError, match=message):
        open_tensors(locate(here), **options)


def test_a_variant_leads_nowhere_else(here):
    with pytest.raises(CheckpointError, match="plain name"):
        open_tensors(locate(here), variant="x/../../y")
    with pytest.raises(InputError, match="use_safetensors must be None, True or False"):
        open_tensors(locate(here), use_safetensors="yes")


def test_a_missing_file_is_an_os_error_as_in_hf(here):
    (here / "config.json").write_text("{}")
    (here / "index").mkdir()
    (here / "index" / "config.json").write_text("{}")
    (here / "index" / "model.safetensors.index.json").write_text('{"weight_map": {"a": "part.safetensors"}}')
    for name in ("./nothing", "two words", str(here), str(here / "config.json"), "index"):
        with pytest.raises(OSError, match=r"\w") as caught:
            lf_ref.LongformerModel.from_pretrained(name)
        assert isinstance(caught.value, lf_ref.CheckpointError)
        assert str(caught.value) == caught.value.args[0]
    (here / "config.json").unlink()
    with pytest.raises(OSError, match=r"has no config\.json"):
        lf_ref.LongformerConfig.from_pretrained(here)


def test_finding_local_files_loads_no_hub_client():
    program = """
import sys
from lf_ref.checkpoint import open_tensors
from lf_ref.files import locate
assert open_tensors(locate())
sys.exit("huggingface_hub" in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=300)


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
