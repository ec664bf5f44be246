"""While kernels are compiled for the first time, one line says so, once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from kernels.processes import SLEEPER

from lf_ref.compilation import MESSAGE

# The first calls from several threads at once; the kernels of float64 compile in the least time.
SCRIPT = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import lf_ref, lf_ref.compilation

lf_ref.compilation._PATIENCE = 0.05
model = lf_ref.LongformerModel.from_pretrained(dtype="float64")
barrier = Barrier(3)

def call(_):
    barrier.wait()
    return model([[0, 5, 9, 7, 2]], [[1, 1, 0, 1, 1]], [[0, 1, 0, 0, 0]]).last_hidden_state.tobytes()

with ThreadPoolExecutor(3) as pool:
    assert len(set(pool.map(call, range(3)))) == 1
"""


@pytest.mark.jit
def test_one_line_while_the_cache_is_filled_and_none_when_it_is_full(tmp_path):
    """Also where several threads fill it at once, whose answers are the same."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    for expected in (f"{MESSAGE}\n", ""):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment, timeout=500
        )
        assert (done.stdout, done.stderr) == ("", expected)


@pytest.mark.jit
def test_one_line_while_another_process_fills_the_cache(tmp_path):
    compiling = SLEEPER + "import lf_ref; lf_ref.LongformerModel.from_pretrained()([[0, 5, 2]])"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    options = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", compiling], **options) as first:
        assert first.stdout.readline() == "compiling\n"
        with subprocess.Popen([sys.executable, "-c", SCRIPT], **options) as second:
            assert second.stderr.readline() == f"{MESSAGE}\n"
            second.kill()
        first.kill()


def test_the_message_is_a_line():
    assert "\n" not in MESSAGE
