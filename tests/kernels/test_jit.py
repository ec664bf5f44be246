"""How kernels are compiled: without the GIL, and where no cache can be written."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lf_ref.cli.warmup import warm
from lf_ref.compilation import cached_kernels

PROGRAM = """
from numba.core import caching
caching.CacheImpl._locator_classes = []
import numpy as np
from lf_ref import compilation
from lf_ref.kernels.threads import Threads
from lf_ref.kernels.tokens import TokenKernels

compilation._PATIENCE = 0.0
compilation.announce_compilation()
x, weight = np.ones((3, 5), np.float32), np.ones((7, 5), np.float32)
print(TokenKernels(Threads(1), "float32").linear(x, weight, np.zeros(7, np.float32)).tolist())
"""


@pytest.mark.jit
def test_without_a_place_for_the_cache_each_process_compiles_anew():
    """Root may write anywhere, so Numba is left without places to try; nothing speaks of a cache."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str([[5.0] * 7] * 3)


@pytest.mark.jit
def test_every_kernel_releases_the_gil():
    """Else threads would take turns, and nothing but the time would tell."""
    warm("gelu", ["float32", "float64", "bfloat16", "int8"])
    kernels = cached_kernels()
    names = {kernel.__name__ for kernel in kernels}
    assert {"attend", "layer", "project", "linear", "layer_norm", "enter", "leave"} <= names
    assert [kernel.__name__ for kernel in kernels if not kernel.targetoptions.get("nogil")] == []
