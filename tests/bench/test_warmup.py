"""`lf-ref warmup`: the kernels compile, are kept, and are loaded again by whatever runs next."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lf_ref.kernels.vectors import dots_here

pytestmark = pytest.mark.jit

WARMUP = "from lf_ref.cli import main; main()"
# What a user's process does after it: its kernels and where they come from, as `lf-ref warmup --json` reports them.
FORWARDS = """
import json
import numpy as np
import lf_ref
from lf_ref.cli.warmup import compiled_kernels

ids, mask = np.full((2, 700), 5), np.ones((2, 700), int)
mask[1, 300:] = 0
model = lf_ref.LongformerForMaskedLM.from_pretrained()
model(ids, mask, lf_ref.global_attention.on_first_token(ids))
model(ids[:1], output_attentions=True, output_hidden_states=True)
model(ids[:1], logits_at=[[0, 3]])
lf_ref.pipeline("fill-mask")("He opened the <mask>.")
print(json.dumps({"kernels": compiled_kernels()[0]}))
"""


def kernels_of(program, cache, *arguments):
    """The kernels of a process of its own that keeps its machine code in `cache`; None: where all others do."""
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
    assert {"band_block", "bias_gelu", "bias_residual_layer_norm"} <= {kernel["name"] for kernel in first}
    assert {kernel["dtype"] for kernel in first} == {"float32"}
    again = kernels_of(WARMUP, cache, "warmup", "--json")
    assert again == [{**kernel, "state": "loaded"} for kernel in first]
    used = kernels_of(FORWARDS, cache)
    assert used == again, "a forward needs exactly what the warmup compiled"


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
def test_reduced_precision_are_compiled_on_request(kind):
    names = {kernel["name"] for kernel in kernels_of(WARMUP, None, "warmup", "--json", f"--{kind}")}
    assert f"round_to_{kind}" in names
    assert (f"{kind}_block" in names) == dots_here(kind)


def test_float64_is_compiled_on_request(cache, first):
    found = kernels_of(WARMUP, cache, "warmup", "--json", "--float64")
    wide = [kernel for kernel in found if kernel["dtype"] == "float64"]
    assert {"band_block", "bias_gelu", "masked_softmax"} <= {kernel["name"] for kernel in wide}
    assert {kernel["state"] for kernel in wide} == {"compiled"}
    assert [kernel for kernel in found if kernel not in wide] == [{**kernel, "state": "loaded"} for kernel in first]


def test_kernels_that_cannot_be_cached_are_not_compiled():
    """As in a read-only image: the user hears of it at once, and not that the JIT is off."""
    nowhere = "from numba.core import caching; caching.CacheImpl._locator_classes = []; "
    done = subprocess.run(
        [sys.executable, "-c", nowhere + WARMUP, "warmup"], capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: the compiled kernels cannot be cached: ")
    assert "set NUMBA_CACHE_DIR" in done.stderr
