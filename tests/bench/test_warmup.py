"""`lf-ref warmup`: the kernels compile, are cached, and are loaded again by whatever runs next."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.jit

WARMUP = "from lf_ref.cli import main; main()"
# What a user's process does after it: its kernels and where they come from, as `lf-ref warmup --json` reports them.
FORWARDS = """
import json
import sys
import numpy as np
import lf_ref
from lf_ref.cli.warmup import compiled_kernels

[dtype] = sys.argv[1:]
ids, mask = np.full((2, 700), 5), np.ones((2, 700), int)
mask[1, 300:] = 0
model = lf_ref.LongformerForMaskedLM.from_pretrained(dtype=dtype)
for globals_ in 1, 2, 200:
    model(ids, mask, (np.arange(700) < globals_) * mask)
model(ids, mask, lf_ref.global_attention.on_first_token(ids), output_attentions=True, output_hidden_states=True)
model(ids[:1], logits_at=[[0, 3]])
lf_ref.pipeline("fill-mask", dtype=dtype)("He opened the <mask>.")
lf_ref.pipeline("feature-extraction", dtype=dtype)("He opened the door.")
print(json.dumps({"kernels": compiled_kernels()[0]}))
"""


def kernels_of(program, cache, *arguments):
    """The kernels of a subprocess whose machine code is cached in `cache`; None: where that of all others is."""
    environment = os.environ if cache is None else {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["kernels"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The folder that the processes of this module share: each compiles only what those before it did not need."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def first(cache):
    """The kernels of the first warmup in an empty cache."""
    return kernels_of(WARMUP, cache, "warmup", "--json")


def test_kernels_compile_are_cached_and_reload(cache, first):
    assert {kernel["state"] for kernel in first} == {"compiled"}
    names = [kernel["name"] for kernel in first]
    assert {"attend", "layer_norm", "layer gelu", "project", "linear lanes"} <= set(names)
    assert len(set(names)) == len(names), "one line for each kernel"
    assert {kernel["dtype"] for kernel in first} == {"float32"}
    again = kernels_of(WARMUP, cache, "warmup", "--json")
    assert again == [{**kernel, "state": "loaded"} for kernel in first]
    used = kernels_of(FORWARDS, cache, "float32")
    assert used == again, "a forward needs exactly what the warmup compiled"


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_reduced_precision_is_compiled_on_request(dtype):
    found = kernels_of(WARMUP, None, "warmup", "--json", f"--{dtype}")
    kinds = {(kernel["name"], kernel["dtype"]) for kernel in found}
    assert {("layer gelu", dtype), ("project", dtype), (f"round_to_{dtype}", "float32")} <= kinds
    assert ("attend in_words" if dtype == "bfloat16" else "attend", "bfloat16") in kinds
    assert len(kinds) == len(found)
    used = kernels_of(FORWARDS, None, dtype)
    assert {kernel["state"] for kernel in used} == {"loaded"}
    assert {(kernel["name"], kernel["dtype"]) for kernel in used} <= kinds


def test_float64_is_compiled_on_request(first):
    found = kernels_of(WARMUP, None, "warmup", "--json", "--float64")
    for dtype in ("float32", "float64"):
        names = [kernel["name"] for kernel in found if kernel["dtype"] == dtype]
        assert names == [kernel["name"] for kernel in first]
    assert len(found) == 2 * len(first)
    used = kernels_of(FORWARDS, None, "float64")
    assert used == [{**kernel, "state": "loaded"} for kernel in found if kernel["dtype"] == "float64"]


def test_kernels_that_cannot_be_cached_are_not_compiled():
    """As in a read-only image: the user hears of it at once, and not that the JIT is off."""
    nowhere = "from numba.core import caching; caching.CacheImpl._locator_classes = []; "
    done = subprocess.run(
        [sys.executable, "-c", nowhere + WARMUP, "warmup"], capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: the compiled kernels cannot be cached: ")
    assert "set NUMBA_CACHE_DIR" in done.stderr
