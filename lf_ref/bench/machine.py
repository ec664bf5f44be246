"""The machine of a measurement: processor, versions, settings, load, date."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from threadpoolctl import threadpool_info

from ..kernels.cpus import usable_cpus
from ..version import __version__

# What matters for the speed: vector width, and instructions for matrices and reduced precision.
_FEATURES = (
    "avx2", "fma", "avx512f", "avx512vnni", "avx512bf16", "avxvnni", "amx-tile", "amx-bf16", "amx-int8",
    "neon", "dotprod", "i8mm", "bf16", "sve", "altivec", "vsx",
)  # fmt: skip
# Environment variables that change how the libraries use the processor.
_SETTINGS = (
    "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT", "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_ENABLE_INSTRUCTIONS", "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
)  # fmt: skip
_numba_config: Any = numba.config  # which has no type annotations


def features_used() -> list[str]:
    """Those of `_FEATURES` that the processor has; none if Numba compiles for another processor."""
    if _numba_config.CPU_NAME is not None:
        return []
    host = llvm.get_host_cpu_features()
    return [name for name in _FEATURES if host.get(name)]


def machine_facts(peer_packages: Sequence[str]) -> dict[str, Any]:
    """All of it as JSON values. peer_packages: whose versions matter besides lf_ref's own."""
    host = llvm.get_host_cpu_features()
    packages = ("numpy", "numba", *peer_packages)
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cpu": _cpu_name(),
        "cores": usable_cpus(),
        "features": [name for name in _FEATURES if host.get(name)],
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"lf_ref": __version__, "python": platform.python_version(), **{p: _version(p) for p in packages}},
        "blas": [
            {"name": pool["internal_api"], "version": pool["version"], "kernels": pool.get("architecture")}
            for pool in threadpool_info()
            if pool["user_api"] == "blas"
        ],
        "settings": {name: os.environ[name] for name in _SETTINGS if name in os.environ},
    }


def _cpu_name() -> str:
    """As the system calls it; Linux on ARM has no name for it, and LLVM knows the common ones by their number."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    known = llvm.get_host_cpu_name()
    if known not in ("", "generic"):
        return known
    return platform.processor() or platform.machine() or sys.platform


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
