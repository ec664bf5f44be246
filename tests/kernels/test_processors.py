"""The float32 kernels on processors other than the host, and their place in Numba's disk cache."""

from __future__ import annotations

import importlib
import json
import platform
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from kernels.processes import Compiled, run

from lf_ref.kernels.vectors import dots_here
from oracles.band import averages_of, shares_of
from oracles.compare import assert_close

pytestmark = pytest.mark.jit

FLOAT32 = 2e-6  # as in test_band.py
PRODUCTS = 1e-5  # sums of 29 products of about 1

# Processors whose code runs on any that is likely to run the tests, and the lanes of their tiles. The host's own name
# is left out: by it the cache finds what was compiled for the host.
X86, ARM = {"haswell": 8, "nehalem": 4}, {"cortex-a72": 4, "cortex-a53": 4}
NAMED = {"x86_64": X86, "AMD64": X86, "aarch64": ARM, "arm64": ARM}.get(platform.machine(), {})
OTHERS = {name: lanes for name, lanes in NAMED.items() if name != llvm.get_host_cpu_name()}

PROGRAM = """
import json, sys
import numba, numpy as np
from lf_ref.kernels import band_float32, float32_tiles, tile
from lf_ref.kernels.products import linear_product
from lf_ref.kernels.threads import Threads

@numba.njit
def lanes():
    return tile.vector_lanes("")

arrays = np.load(sys.argv[1])
out = np.empty_like(arrays["value"])
band_float32.band_block(
    arrays["query"], arrays["key"], arrays["value"], arrays["local"], arrays["globals"], 11, 0, len(out), out
)
kernels = band_float32.band_block, float32_tiles.float32_block
hits = sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels)
product = linear_product(arrays["query"], arrays["key"], Threads(2))
print(json.dumps({"lanes": lanes(), "hits": hits, "out": out.tolist(), "product": product.tolist()}))
"""


@pytest.fixture
def arrays(tmp_path: Path) -> dict[str, Any]:
    rng = np.random.default_rng(7)
    query, key, value = rng.normal(size=(3, 103, 29)).astype(np.float32)
    marks = rng.choice([0, 1, 1, 1, 2], size=103)
    named = {
        "query": query,
        "key": key,
        "value": value,
        "local": marks == 1,
        "globals": np.flatnonzero(marks == 2),
    }
    np.savez(tmp_path / "arrays.npz", **named)
    return named


def answer_of(folder: Path, **variables: str) -> Any:
    return json.loads(run(PROGRAM, folder, str(folder / "arrays.npz"), **variables))


@pytest.mark.skipif(not OTHERS, reason="the names are those of x86 and ARM processors")
def test_any_processor_from_one_cache(tmp_path: Path, arrays: dict[str, Any], compiled: Compiled) -> None:
    """Each processor gets tiles of its own shape, also from a cache that others have filled before."""
    compiled.copy_to(tmp_path)
    shares = shares_of(arrays["query"], arrays["key"], arrays["local"], arrays["globals"].tolist(), 11)
    expected = averages_of(shares, arrays["value"])
    product = arrays["query"].astype(np.float64) @ arrays["key"].T.astype(np.float64)
    assert compiled.hits["float32_tiles"] == compiled.hits["band_float32"] == 0
    host = answer_of(tmp_path)
    assert host["hits"] == 2
    for name, lanes in OTHERS.items():
        other = answer_of(tmp_path, NUMBA_CPU_NAME=name)
        assert (other["lanes"], other["hits"]) == (lanes, 0)
        assert_close(np.array(other["out"]), expected, FLOAT32, name)
        assert_close(np.array(other["product"]), product, PRODUCTS, name)
    again = answer_of(tmp_path)
    assert again["hits"] == 2
    assert (again["out"], again["product"]) == (host["out"], host["product"])
    assert_close(np.array(again["out"]), expected, FLOAT32, "host")
    assert_close(np.array(again["product"]), product, PRODUCTS, "host")


@pytest.mark.parametrize(
    ("kind", "home", "called"),
    [
        ("float32", "band_tiles", ["band_tiles", "short_tiles", "tile", "vectors"]),
        ("bfloat16", "band_pairs", ["band_pairs", "band_tiles", "short_tiles", "tile", "vectors"]),
    ],
)
def test_the_cache_notices_a_change_of_the_tiles(
    monkeypatch: pytest.MonkeyPatch, kind: str, home: str, called: list[str]
) -> None:
    """Numba's key holds what a kernel closes over: here a hash of the sources of all that it calls."""
    modules = {name: importlib.import_module(f"lf_ref.kernels.{name}") for name in called}
    fingerprint = modules[home].fingerprint()
    if kind == "float32" or dots_here(kind):
        kernel = importlib.import_module(f"lf_ref.kernels.band_{kind}").band_block
        assert [cell.cell_contents for cell in kernel.py_func.__closure__] == [fingerprint]
    for changed in modules.values():
        sources = {module: Path(module.__file__).read_text() for module in modules.values()}
        sources[changed] += "# a change\n"
        with monkeypatch.context() as patch:
            patch.setattr("inspect.getsource", sources.__getitem__)
            assert modules[home].fingerprint() != fingerprint
