"""Kernels where no cache can be written."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from lf_ref import LongformerForMaskedLM
print(LongformerForMaskedLM.from_pretrained()([[0, 9, 2]]).logits.shape)
"""


@pytest.mark.jit
def test_without_a_place_for_the_cache_each_process_compiles_anew(tmp_path):
    """Root may write anywhere, so the places are taken away: a path below a file can be made by nobody."""
    (tmp_path / "file").write_text("")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "file" / "below"), "HOME": str(tmp_path / "file")}
    environment["XDG_CACHE_HOME"] = environment["HOME"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == "(1, 3, 8192)"
