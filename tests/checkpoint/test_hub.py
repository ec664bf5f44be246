"""Checkpoints on the Hub: the real huggingface_hub client, in a process of its own, against a server on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lf_ref.checkpoint import bind, save
from lf_ref.config import LongformerConfig
from oracles.hub_server import Hub, Repository, serving
from oracles.torch_writer import write_state
from oracles.weights import SMALL, state_of

OLD, NEW, PULL = (letter * 40 for letter in "abc")
REPO = "someone/longformer"
TOKENIZER = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
]
# What is asked for, in the order of a model and a tokenizer; one vocabulary is enough.
WHOLE = ["config.json", "weights", *TOKENIZER[:4]]
FOREIGN = ("HF_", "HUGGING", "TRANSFORMERS")  # how the variables of the client's libraries begin
NEVER = {"tf_model.h5": b"h5", "rust_model.ot": b"ot", "training_args.bin": b"pickle", "README.md": b"#"}

# Finds what a model and a tokenizer ask for, and says what it got: the commit and file of each path, or the error. Each
# line of its input is an order.
CLIENT = """
import contextlib, json, sys, time
from lf_ref.errors import CheckpointError, InputError
from lf_ref.files import locate, quiet_downloads
from huggingface_hub.utils.tqdm import disable_progress_bars, progress_bar_states

def obey(find, name, text=True, hurry=False, quiet=False, **order):
    if hurry:
        time.sleep = lambda seconds: None
    with quiet_downloads() if quiet else contextlib.nullcontext():
        source = locate(name, **order)
        for filename in find:
            if filename.startswith("weights"):
                choice = {"weights of torch": False, "weights in safetensors": True}.get(filename)
                from lf_ref.checkpoint import open_tensors  # which takes as long as all the rest

                tensors = open_tensors(source, choice)
                yield filename, str(float(tensors["embeddings.LayerNorm.bias"].array("float64")[0]))
            else:
                path = source.require(filename) if filename == "config.json" else source.find(filename)
                commit = path and path.parts[path.parts.index("snapshots") + 1]
                yield filename, path and [commit, path.read_text() if text else None]

disable_progress_bars("some.group")  # a setting of the caller's
for line in sys.stdin:
    found = {}
    try:
        raise OSError("what the caller is handling, which is no cause of what follows")
    except OSError:
        try:
            for filename, what in obey(**json.loads(line)):
                found[filename] = what
        except (CheckpointError, InputError) as error:
            found["error"], found["is_os_error"] = str(error), isinstance(error, OSError)
    found["states"] = dict(progress_bar_states)
    print(json.dumps(found), flush=True)
"""


def files(folder: Path, mark: float) -> dict[str, bytes]:
    """A whole checkpoint as the Hub would hold it; `mark` is in its weights and its config, to distinguish commits."""
    config = LongformerConfig(**SMALL, mark=mark)
    weights = state_of("LongformerModel", SMALL, 5)
    weights["embeddings.LayerNorm.bias"][0] = mark
    save(folder, bind(weights, config, "model"), config, "model")
    tokenizer = {name: f"{name} {mark}".encode() for name in TOKENIZER if name != "added_tokens.json"}
    held = {path.name: path.read_bytes() for path in folder.iterdir()}
    return {**held, **tokenizer, **NEVER, "pytorch_model.bin": b"not to be read"}


@pytest.fixture(scope="module")
def commits(tmp_path_factory) -> dict[str, dict[str, bytes]]:
    folder = tmp_path_factory.mktemp("commits")
    return {commit: files(folder / commit, mark) for commit, mark in ((OLD, 1.0), (NEW, 2.0), (PULL, 7.0))}


@pytest.fixture
def hub(commits) -> Iterator[Hub]:
    copies = {commit: dict(held) for commit, held in commits.items()}  # a test may change what the Hub holds
    repository = Repository({"main": OLD, "refs/pr/7": PULL}, copies)
    with serving(Hub({REPO: repository})) as server:
        yield server


@pytest.fixture
def ask(hub, tmp_path):
    """Have a client find files, with a cache of the test's own: one process for all that have the same variables."""
    with contextlib.ExitStack() as stack:

        @cache
        def client(variables: tuple[tuple[str, str], ...], terminal: Any, number: int) -> subprocess.Popen[str]:
            clean = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
            clean |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home")}
            clean |= {"NO_PROXY": "127.0.0.1,localhost", "HF_HUB_DISABLE_TELEMETRY": "1", **dict(variables)}
            errors = terminal or stack.enter_context(open(tmp_path / f"errors{number}", "a", encoding="utf-8"))
            command = [sys.executable, "-c", CLIENT]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
            process = stack.enter_context(subprocess.Popen(command, env=clean, text=True, **pipes))
            stack.callback(process.stdin.close)  # which ends it
            return process

        def run(
            *find: str, environment: dict[str, str] | None = None, terminal: Any = None, number: int = 1, **order: Any
        ) -> dict[str, Any]:
            process = client(tuple((environment or {}).items()), terminal, number)
            process.stdin.write(json.dumps({"name": REPO, "find": find or WHOLE, **order}) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            if terminal:
                process.stdin.close()
                process.wait(300)
            errors = "" if terminal else (tmp_path / f"errors{number}").read_text(encoding="utf-8")
            assert answer, errors
            return {**json.loads(answer), "stderr": errors}

        yield run


def commits_of(found: dict[str, Any]) -> set[str]:
    return {place[0] for place in found.values() if isinstance(place, list)}


# --- what is asked for -----------------------------------------------------------------------------------------------


def test_only_needed_files_are_requested_and_the_second_time_none(hub, ask):
    first = ask()
    assert "error" not in first
    assert (commits_of(first), first["weights"]) == ({OLD}, "1.0")
    assert first["added_tokens.json"] is None
    assert set(hub.files_asked_for()) == {"config.json", "model.safetensors", *TOKENIZER[:4]}
    assert first["stderr"] == ""  # no progress bars, since it is no terminal
    hub.requests.clear()
    assert ask(number=2) == first  # by another process
    assert hub.requests == []


def test_a_torch_checkpoint_is_found_after_asking_for_safetensors_once(hub, ask):
    held = hub.repositories[REPO].commits[OLD]
    del held["model.safetensors"]
    assert "pytorch_model.bin is not" in ask("config.json", "weights")["error"].replace(": is", " is")
    assert hub.files_asked_for() == [
        "config.json",
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
    ]
    hub.requests.clear()
    ask("config.json", "weights")
    assert hub.requests == []


def test_a_cache_filled_by_another_tool_is_complete_without_any_request(hub, ask, tmp_path):
    held = hub.repositories[REPO].commits[OLD]
    for kept in (["tokenizer.json"], ["vocab.json", "merges.txt"]):
        cache = tmp_path / f"cache{len(kept)}"
        snapshot = cache / "models--someone--longformer" / "snapshots" / OLD
        snapshot.mkdir(parents=True)
        for name in ("config.json", "model.safetensors", *kept):
            (snapshot / name).write_bytes(held[name])
        (snapshot.parent.parent / "refs").mkdir()
        (snapshot.parent.parent / "refs" / "main").write_text(OLD)
        found = ask(*WHOLE, *(kept if len(kept) == 2 else ()), cache_dir=str(cache))
        assert "error" not in found
        assert {name for name in TOKENIZER if found.get(name)} == set(kept)
    assert hub.requests == []


@pytest.mark.parametrize("revision", ["refs/pr/7", PULL])
def test_revisions(hub, ask, revision):
    found = ask(revision=revision)
    assert (commits_of(found), found["weights"]) == ({PULL}, "7.0")
    hub.requests.clear()
    assert ask(revision=revision) == found
    assert hub.requests == []
    assert ask("config.json")["config.json"][0] == OLD


def test_all_files_come_from_one_commit_though_the_branch_moves_on(hub, ask):
    hub.move_after["config.json"] = (REPO, NEW)
    found = ask()
    assert (commits_of(found), found["weights"]) == ({OLD}, "1.0")
    assert hub.repositories[REPO].refs["main"] == NEW


def test_a_half_filled_cache_is_filled_up_from_its_own_commit(hub, ask):
    ask("config.json")
    hub.repositories[REPO].refs["main"] = NEW
    assert commits_of(ask()) == {OLD}


def test_options_of_the_tokenizer_are_fetched_before_its_vocabulary(hub, ask):
    """Else a download that broke off between them would pass for a tokenizer without options."""
    hub.forbidden.add("special_tokens_map.json")
    assert "403" in ask("config.json", "vocab.json", "merges.txt")["error"]
    assert "vocab.json" not in hub.files_asked_for()
    hub.forbidden.clear()
    assert (
        ask("config.json", "vocab.json", "merges.txt", "special_tokens_map.json")["special_tokens_map.json"] is not None
    )


def test_a_shard_is_fetched_from_the_same_commit(hub, ask):
    held = hub.repositories[REPO].commits[OLD]
    held["part-1.safetensors"] = held.pop("model.safetensors")
    held["model.safetensors.index.json"] = json.dumps(
        {"weight_map": {"embeddings.LayerNorm.bias": "part-1.safetensors"}}
    ).encode()
    assert ask("config.json", "weights")["weights"] == "1.0"


@pytest.mark.parametrize("subfolder", ["inner", "inner/most/"])
def test_files_of_a_subfolder(hub, ask, subfolder):
    held = hub.repositories[REPO].commits[OLD]
    for name in (*TOKENIZER, "config.json", "model.safetensors"):
        if name in held:
            held[f"{subfolder.rstrip('/')}/{name}"] = held[name] if name != "config.json" else b"{}"
    found = ask(subfolder=subfolder)
    assert (commits_of(found), found["weights"]) == ({OLD}, "1.0")
    assert found["config.json"][1] == "{}"
    assert all(f"/{OLD}/" not in path or subfolder.rstrip("/") in path for _, path, _ in hub.requests)
    hub.requests.clear()
    assert ask(subfolder=subfolder) == found
    assert hub.requests == []
    error = ask("config.json", subfolder="outer")
    assert "someone/longformer (revision main) has no outer/config.json" in error["error"]
    assert error["is_os_error"]


def test_force_download_asks_once_more_for_what_the_cache_holds(hub, ask):
    first = ask()
    hub.repositories[REPO].refs["main"] = NEW
    hub.requests.clear()
    assert ask() == first
    assert hub.requests == []
    forced = ask(force_download=True)
    assert (commits_of(forced), forced["weights"]) == ({NEW}, "2.0")
    assert set(hub.files_asked_for()) == {"config.json", "model.safetensors", *TOKENIZER[:4]}
    hub.requests.clear()
    assert (commits_of(ask()), ask()["weights"]) == ({NEW}, "2.0")
    assert hub.requests == []
    forced = ask("config.json", "config.json", "weights", force_download=True)
    assert forced["weights"] == "2.0"
    gets = [path.rsplit("/", 1)[-1] for method, path, _ in hub.requests if method == "GET"]
    assert sorted(gets) == ["config.json", "model.safetensors"], "each file once"


@pytest.mark.parametrize("how", ["environment", "argument"])
def test_force_download_needs_the_hub(hub, ask, how):
    ask()
    hub.requests.clear()
    offline: dict[str, Any] = (
        {"environment": {"HF_HUB_OFFLINE": "1"}} if how == "environment" else {"local_files_only": True}
    )
    assert "force_download=True requests files anew" in ask(force_download=True, **offline)["error"]
    assert hub.requests == []


@pytest.mark.parametrize(("first", "then"), [("in safetensors", "of torch"), ("of torch", "in safetensors")])
def test_one_form_of_the_weights_is_requested_although_the_cache_has_another(hub, ask, tmp_path, first, then):
    path = write_state(tmp_path / "made.bin", {"embeddings.LayerNorm.bias": np.array([9], np.float32)})
    hub.repositories[REPO].commits[OLD]["pytorch_model.bin"] = path.read_bytes()
    values = {"weights in safetensors": "1.0", "weights of torch": "9.0"}
    for form in (f"weights {first}", f"weights {then}"):
        assert ask("config.json", form)[form] == values[form]
    hub.requests.clear()
    assert ask("weights")["weights"] == "1.0"
    assert hub.requests == []


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_an_interrupted_download_resumes(hub, ask, tmp_path):
    held = hub.repositories[REPO].commits[OLD]
    held["part-1.safetensors"] = held.pop("model.safetensors") + bytes(25 << 20)  # the client writes 10 MB at a time
    hub.break_after["part-1.safetensors"] = [15 << 20]
    assert ask("config.json", "part-1.safetensors", text=False)["part-1.safetensors"][0] == OLD
    cached = next((tmp_path / "home").rglob("part-1.safetensors"))
    assert cached.read_bytes() == held["part-1.safetensors"]
    ranges = [headers["Range"] for method, _, headers in hub.requests if method == "GET" and "Range" in headers]
    assert ranges == [f"bytes={10 << 20}-"]


def test_a_file_of_the_wrong_size_is_refused_and_not_cached(hub, ask):
    true_size = len(hub.repositories[REPO].commits[OLD]["model.safetensors"])
    hub.lie_about_size["model.safetensors"] = true_size + 1000
    error = ask("config.json", "weights")["error"]
    assert "download of model.safetensors from someone/longformer failed" in error
    assert "try again" in error
    hub.lie_about_size.clear()
    assert ask("config.json", "weights")["weights"] == "1.0"


def test_a_missing_file(hub, ask):
    del hub.repositories[REPO].commits[OLD]["config.json"]
    found = ask("config.json")
    assert "someone/longformer (revision main) has no config.json" in found["error"]
    assert found["is_os_error"]
    hub.repositories[REPO].commits[NEW] = {"config.json": b"{}", "rust_model.ot": b"ot"}
    error = ask("config.json", "weights", revision=NEW)["error"]
    assert "has no model.safetensors or pytorch_model.bin" in error


def test_a_missing_repository_revision_or_permission(hub, ask):
    found = ask(name="someone/nothing")
    error = found["error"]
    assert "neither a folder here nor a repository" in error
    assert found["is_os_error"]
    assert "hf auth login" in error
    assert "no revision 'refs/pr/8'" in ask(revision="refs/pr/8")["error"]
    hub.repositories[REPO].gated = True
    assert "is gated: accept its conditions" in ask()["error"]
    assert "error" not in ask("config.json", token="hf_" + "x" * 34)
    tokens = {headers.get("authorization", headers.get("Authorization")) for _, _, headers in hub.requests}
    assert tokens == {None, "Bearer hf_" + "x" * 34}


@pytest.mark.parametrize("how", ["environment", "argument"])
def test_offline(hub, ask, how):
    offline: dict[str, Any] = (
        {"environment": {"HF_HUB_OFFLINE": "1"}} if how == "environment" else {"local_files_only": True}
    )
    error = ask(**offline)["error"]
    assert "config.json of someone/longformer (revision main) is not in the cache" in error
    assert "HF_HUB_OFFLINE" in error
    assert ask(**offline)["is_os_error"]
    assert hub.requests == []
    assert "error" not in ask()
    hub.requests.clear()
    assert "error" not in ask(**offline)
    assert "model.safetensors or pytorch_model.bin" in ask("weights", revision=NEW, **offline)["error"]
    assert hub.requests == []


def test_without_a_network_a_complete_cache_will_do_and_nothing_else(hub, ask):
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    error = ask("config.json", environment=nowhere, hurry=True)["error"]
    assert "config.json of someone/longformer is not in the cache, and http://127.0.0.1:9 did not give it (" in error
    assert error.count("refused") == 1, "the cause is told once, and not as each layer of the client puts it"
    assert "there is none of the name someone/longformer here" in error
    ask()
    assert "error" not in ask(environment=nowhere)


# --- progress --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quiet", [False, True])
def test_a_terminal_sees_progress_unless_it_is_to_be_quiet(hub, ask, quiet):
    fcntl, pty, termios = map(pytest.importorskip, ("fcntl", "pty", "termios"))  # Unix has them
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    found = ask("config.json", "weights", terminal=theirs, quiet=quiet)
    os.close(theirs)
    seen = b""
    with contextlib.suppress(OSError):  # all that was written is read, and nobody can write any more
        while part := os.read(ours, 1 << 16):
            seen += part
    os.close(ours)
    assert found["weights"] == "1.0"
    assert found["states"] == {"some.group": False}  # huggingface_hub's own settings are as before
    assert (b"model.safetensors" in seen) is not quiet
    assert seen == b"" or not quiet


def test_the_weights_are_what_the_hub_holds(hub, ask, tmp_path):
    ask()
    cached = next((tmp_path / "home").rglob("model.safetensors"))
    assert cached.read_bytes() == hub.repositories[REPO].commits[OLD]["model.safetensors"]
    assert np.frombuffer(cached.read_bytes()[-4:], "<f4").size == 1
