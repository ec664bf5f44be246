"""Checkpoints of sentence-transformers on the Hub: the real client, in a process of its own, against a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from embeddings.folders import NORMALIZE, PROMPTS, TEXTS, build, dense_of

from lf_ref import SentenceEncoder
from oracles.hub_server import Hub, Repository, serving

REPO, COMMIT = "someone/sentences", "a" * 40
CLIENT = """
import json, sys, warnings
warnings.simplefilter("error")
import lf_ref
encoder = lf_ref.SentenceEncoder.from_pretrained(sys.argv[1], backend="numpy")
print(json.dumps([encoder.max_tokens, encoder.encode_query(json.loads(sys.argv[2])).tolist()]))
"""
CONVERT = """
import sys, lf_ref
lf_ref.to_safetensors(sys.argv[1], sys.argv[2])
"""


@pytest.mark.parametrize("inner", ["", "0_Transformer"])
def test_modules_are_fetched_and_the_second_time_nothing_is(inner, tmp_path):
    modules = None, dense_of(21, 13, 1), NORMALIZE
    folder = build(
        tmp_path / "in", *modules, inner=inner, settings={"prompts": PROMPTS}, transformer={"max_seq_length": 17}
    )
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    hub = Hub({REPO: Repository({"main": COMMIT}, {COMMIT: files | {"2_Dense/pytorch_model.bin": b"not read"}})})
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS"))}
    with serving(hub):
        kept |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(tmp_path / "home"), "NO_PROXY": "127.0.0.1,localhost"}
        kept |= {"HF_HUB_DISABLE_TELEMETRY": "1"}

        def run(client, *arguments):
            command = [sys.executable, "-c", client, REPO, *map(str, arguments)]
            done = subprocess.run(command, env=kept, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
            return done.stdout

        longest, vectors = json.loads(run(CLIENT, json.dumps(TEXTS)))
        asked = {path.split("/resolve/")[-1].partition("/")[2] for _, path, _ in hub.requests}
        assert {"modules.json", "1_Pooling/config.json", "2_Dense/model.safetensors"} <= asked
        assert "2_Dense/pytorch_model.bin" not in asked
        hub.requests.clear()
        assert json.loads(run(CLIENT, json.dumps(TEXTS))) == [longest, vectors]
        assert not hub.requests
        run(CONVERT, tmp_path / "out")
    expected = SentenceEncoder.from_pretrained(folder, backend="numpy")
    assert longest == expected.max_tokens == 17
    np.testing.assert_allclose(vectors, expected.encode_query(TEXTS), rtol=0, atol=1e-6)
    copied = SentenceEncoder.from_pretrained(tmp_path / "out", backend="numpy")
    np.testing.assert_array_equal(copied.encode_query(TEXTS), expected.encode_query(TEXTS))
