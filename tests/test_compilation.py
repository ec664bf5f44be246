"""While kernels are compiled for the first time, one line says so, once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from kernels.processes import SLEEPER

from lf_ref.compilation import MESSAGE

# The first calls from several threads at once: of a few kernels, which compile in little time, or of a whole model.
FEW = """
lf_ref.compilation.announce_compilation()
weight = np.ones((7, 5))
run = lambda: TokenKernels(Threads(1), "float64").linear(weight, weight, weight[:, 0])
"""
MODEL = """
model = lf_ref.LongformerModel.from_pretrained()
run = lambda: model([[0, 5, 9, 7, 2]], [[1, 1, 0, 1, 1]], [[0, 1, 0, 0, 0]]).last_hidden_state
"""
THREADS = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
import lf_ref, lf_ref.compilation
import numpy as np
from lf_ref.kernels.threads import Threads
from lf_ref.kernels.tokens import TokenKernels

lf_ref.compilation._PATIENCE = 0.05
{}
barrier = Barrier(3)

def call(_):
    barrier.wait()
    return run().tobytes()

with ThreadPoolExecutor(3) as pool:
    assert len(set(pool.map(call, range(3)))) == 1
"""


def called(script, place):
    """What a process prints and what it says of it, with its machine code in a folder, or where all others have it."""
    environment = os.environ if place is None else {**os.environ, "NUMBA_CACHE_DIR": str(place)}
    done = subprocess.run(
        [sys.executable, "-c", THREADS.format(script)], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout, done.stderr


@pytest.mark.jit
def test_one_line_while_the_cache_is_filled_and_none_when_it_is_full(tmp_path):
    """Also where several threads fill it at once, whose answers are the same."""
    for expected in (f"{MESSAGE}\n", ""):
        assert called(FEW, tmp_path) == ("", expected)


@pytest.mark.jit
def test_a_model_may_be_called_first_by_several_threads_at_once():
    """Its kernels are those that other tests have compiled, or compiled here."""
    printed, said = called(MODEL, None)
    assert (printed, said in ("", f"{MESSAGE}\n")) == ("", True)


@pytest.mark.jit
def test_one_line_while_another_process_fills_the_cache(tmp_path):
    compiling = SLEEPER + "import lf_ref; lf_ref.LongformerModel.from_pretrained()([[0, 5, 2]])"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    options = {"env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", compiling], **options) as first:
        assert first.stdout.readline() == "compiling\n"
        with subprocess.Popen([sys.executable, "-c", THREADS.format(MODEL)], **options) as second:
            assert second.stderr.readline() == f"{MESSAGE}\n"
            second.kill()
        first.kill()


def test_the_message_is_a_line():
    assert "\n" not in MESSAGE
