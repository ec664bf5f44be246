"""Kernels on processors other than the host, and their place in Numba's disk cache."""

from __future__ import annotations

import importlib
import json
import platform
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from kernels.processes import compile_each_alone, run
from kernels.test_reduced import BFLOAT16_SUMS, arrays_of, x86

from lf_ref.kernels.vectors import dots_here
from oracles.band import averages_of, shares_of
from oracles.compare import assert_close
from oracles.reduced import bfloat16_product

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


REDUCED = """
import json, sys
import numpy as np
from lf_ref.checkpoint.reduced import reduce
from lf_ref.checkpoint.stored import StoredTensor
from lf_ref.kernels.reduced import reduced_product
from lf_ref.kernels.threads import Threads
from lf_ref.kernels.vectors import dots_here

arrays = np.load(sys.argv[1])
answer = {}
for kind in ("bfloat16", "int8"):
    weight = reduce(StoredTensor.of(arrays["weight"]), kind)
    answer[kind] = {"here": dots_here(kind), "out": reduced_product(arrays["x"], weight, Threads(2)).tolist()}
print(json.dumps(answer))
"""

KINDS = """
import importlib, json, sys
import numpy as np
from lf_ref.kernels.threads import Threads
from lf_ref.kernels.products import linear_product
from lf_ref.kernels.reduced import reduced_product
from lf_ref.checkpoint.reduced import reduce
from lf_ref.checkpoint.stored import StoredTensor

arrays = np.load(sys.argv[1])
x, weight = arrays["x"], arrays["weight"]
answer = {}
for kind in sys.argv[2:]:
    if kind == "float32":
        out = linear_product(x, weight, Threads(1))
    else:
        out = reduced_product(x, reduce(StoredTensor.of(weight), kind), Threads(1))
    answer[kind] = {"product": out.tolist()}
    if kind != "int8":
        averages, everything, nothing = np.empty_like(x), np.ones(len(x), bool), np.empty(0, np.int64)
        band_block = importlib.import_module("lf_ref.kernels.band_" + kind).band_block
        band_block(x, x, x, everything, nothing, 5, 0, len(x), averages)
        answer[kind]["averages"] = averages.tolist()
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this processor has compiled; the first of the tests finds nothing of others in it, and adds that."""
    folder = tmp_path_factory.mktemp("cache")
    compile_each_alone(folder)
    return folder


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


def answer_of(cache: Path, folder: Path, **variables: str) -> Any:
    return json.loads(run(PROGRAM, cache, str(folder / "arrays.npz"), **variables))


@pytest.mark.skipif(not OTHERS, reason="the names are those of x86 and ARM processors")
def test_any_processor_from_one_cache(tmp_path: Path, arrays: dict[str, Any], cache: Path) -> None:
    """Each processor gets tiles of its own shape, also from a cache that others have filled before."""
    shares = shares_of(arrays["query"], arrays["key"], arrays["local"], arrays["globals"].tolist(), 11)
    expected = averages_of(shares, arrays["value"])
    product = arrays["query"].astype(np.float64) @ arrays["key"].T.astype(np.float64)
    host = answer_of(cache, tmp_path)
    assert host["hits"] == 2
    for name, lanes in OTHERS.items():
        other = answer_of(cache, tmp_path, NUMBA_CPU_NAME=name)
        assert (other["lanes"], other["hits"]) == (lanes, 0)
        assert_close(np.array(other["out"]), expected, FLOAT32, name)
        assert_close(np.array(other["product"]), product, PRODUCTS, name)
    again = answer_of(cache, tmp_path)
    assert again["hits"] == 2
    assert (again["out"], again["product"]) == (host["out"], host["product"])
    assert_close(np.array(again["out"]), expected, FLOAT32, "host")
    assert_close(np.array(again["product"]), product, PRODUCTS, "host")


@x86
def test_a_processor_without_the_instructions(tmp_path: Path, cache: Path) -> None:
    """Also from a cache that others have filled; integers give the same bits everywhere."""
    x, weight = arrays_of(37, 71, 1031, seed=10)
    np.savez(tmp_path / "arrays.npz", x=x, weight=weight)
    path = str(tmp_path / "arrays.npz")
    host = json.loads(run(REDUCED, cache, path))
    other = json.loads(run(REDUCED, cache, path, NUMBA_CPU_NAME="haswell"))
    again = json.loads(run(REDUCED, cache, path))
    assert not other["bfloat16"]["here"]
    assert not other["int8"]["here"]
    assert other["int8"]["out"] == host["int8"]["out"]
    assert_close(np.array(other["bfloat16"]["out"]), np.array(host["bfloat16"]["out"]), BFLOAT16_SUMS, "bfloat16")
    assert_close(np.array(host["bfloat16"]["out"]), bfloat16_product(x, weight), BFLOAT16_SUMS, "host")
    assert again == host


def test_kernels_of_every_kind_from_one_cache(tmp_path: Path, cache: Path) -> None:
    """Compiled each in a process of its own, as by users who start with one and go on to another."""
    x, weight = arrays_of(13, 7, 31, seed=11)
    np.savez(tmp_path / "arrays.npz", x=x, weight=weight)
    path = str(tmp_path / "arrays.npz")
    kinds = ["float32", *(kind for kind in ("bfloat16", "int8") if dots_here(kind))]
    alone = {kind: json.loads(run(KINDS, cache, path, kind))[kind] for kind in kinds}
    assert json.loads(run(KINDS, cache, path, *kinds)) == alone
    assert json.loads(run(KINDS, cache, path, *reversed(kinds))) == alone
    assert_close(
        np.array(alone["float32"]["product"]), x.astype(float) @ weight.T.astype(float), BFLOAT16_SUMS, "float32"
    )


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
