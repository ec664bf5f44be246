"""`lf-ref warmup`: the kernels compile, are cached, and are loaded again by whatever runs next.

All dtypes are warmed in the cache that the rest of the suite uses, since compiling their kernels takes long. What
an empty cache shows is shown by one kernel.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.jit

# Warmups in one process, each with the options of one argument: what it reports is what it and those before it need.
WARMUPS = """
import json
import sys
from click.testing import CliRunner
from lf_ref.cli import main

done = [CliRunner().invoke(main, ["warmup", "--json", *options.split()]) for options in sys.argv[1:]]
print(json.dumps([json.loads(one.stdout)["kernels"] for one in done]))
"""
# As if the tiny model that a warmup runs had one kernel.
ONE_KERNEL = """
import sys
import numpy as np
import lf_ref.cli
from lf_ref.kernels.layout.lanes import leave_kernel

sys.modules["lf_ref.cli.warmup"].compile_kernels = lambda activation, dtype: leave_kernel(np.dtype(dtype))
"""
# What a user's process does after it: its kernels and where they come from, as `lf-ref warmup --json` reports them,
# after a model of the first dtype, and after one of each dtype that follows.
FORWARDS = """
import json
import sys
import numpy as np
import lf_ref
from lf_ref.cli.warmup import compiled_kernels

ids, mask = np.full((2, 700), 5), np.ones((2, 700), int)
mask[1, 300:] = 0
found = []
for dtype in sys.argv[1:]:
    model = lf_ref.LongformerForMaskedLM.from_pretrained(dtype=dtype)
    for globals_ in 1, 2, 200:
        model(ids, mask, (np.arange(700) < globals_) * mask)
    model(ids, mask, lf_ref.global_attention.on_first_token(ids), output_attentions=True, output_hidden_states=True)
    model(ids[:1], logits_at=[[0, 3]])
    lf_ref.pipeline("fill-mask", dtype=dtype)("He opened the <mask>.")
    lf_ref.pipeline("feature-extraction", dtype=dtype)("He opened the door.")
    found.append(compiled_kernels()[0])
print(json.dumps(found))
"""


def lists_of(program, cache, *arguments):
    """The lists of kernels that a program prints; `cache` has their machine code, None: where all others have it."""
    environment = os.environ if cache is None else {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kinds(kernels):
    """The name and dtype of each."""
    found = {(kernel["name"], kernel["dtype"]) for kernel in kernels}
    assert len(found) == len(kernels), "one line for each kernel"
    return found


@pytest.fixture(scope="module")
def warmed():
    """The kernels that a warmup needs by its option."""
    plain, bfloat16 = lists_of(WARMUPS, None, "", "--bfloat16")
    int8, float64 = lists_of(WARMUPS, None, "--int8", "--int8 --float64")
    return {"": plain, "--bfloat16": bfloat16, "--int8": int8, "--float64 on top": float64}


def test_kernels_are_compiled_then_cached_and_then_loaded(tmp_path):
    for state in "compiled", "loaded":
        [kernels] = lists_of(ONE_KERNEL + WARMUPS, tmp_path, "--float64")
        assert kernels == [{"name": "leave", "dtype": dtype, "state": state} for dtype in ("float32", "float64")]


def test_a_forward_needs_exactly_what_the_warmup_compiles(warmed):
    needed = kinds(warmed[""])
    assert {"attend", "layer_norm", "layer gelu", "project", "linear lanes"} <= {name for name, _ in needed}
    assert {dtype for _, dtype in needed} == {"float32"}
    used, used_by_both = lists_of(FORWARDS, None, "float32", "bfloat16")
    assert {kernel["state"] for kernel in used_by_both} == {"loaded"}
    assert kinds(used) == needed
    assert kinds(used_by_both) <= kinds(warmed["--bfloat16"])


def test_float64_and_int8_are_compiled_on_request(warmed):
    needed = kinds(warmed["--float64 on top"]) - kinds(warmed["--int8"])
    assert needed == {(name, "float64") for name, _ in kinds(warmed[""])}
    used, used_by_both = lists_of(FORWARDS, None, "float64", "int8")
    assert {kernel["state"] for kernel in used_by_both} == {"loaded"}
    assert kinds(used) == needed
    assert kinds(used_by_both) - needed <= kinds(warmed["--int8"])


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_reduced_precision_has_kernels_of_its_own(dtype, warmed):
    found = kinds(warmed[f"--{dtype}"])
    assert {("layer gelu", dtype), ("project", dtype), (f"round_to_{dtype}", "float32")} <= found
    assert ("attend in_words" if dtype == "bfloat16" else "attend", "bfloat16") in found


def test_kernels_that_cannot_be_cached_are_not_compiled():
    """As in a read-only image: the user hears of it at once, and not that the JIT is off."""
    program = (
        "from numba.core import caching; caching.CacheImpl._locator_classes = []; "
        "from lf_ref.cli import main; main(['warmup'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: the compiled kernels cannot be cached: ")
    assert "set NUMBA_CACHE_DIR" in done.stderr
