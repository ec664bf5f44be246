"""While kernels are compiled for the first time, one line says so, once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from lf_ref.compilation import MESSAGE

SCRIPT = """
import lf_ref, lf_ref.compilation
lf_ref.compilation._PATIENCE = 0.05
lf_ref.LongformerModel.from_pretrained(dtype="float64")([[0, 5, 2]])  # its kernels compile in the least time
"""


@pytest.mark.jit
def test_one_line_while_the_cache_is_filled_and_none_when_it_is_full(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    for expected in (f"{MESSAGE}\n", ""):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment, timeout=500
        )
        assert (done.stdout, done.stderr) == ("", expected)


def test_the_message_is_a_line():
    assert "\n" not in MESSAGE
