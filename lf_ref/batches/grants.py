"""The CPUs that the engine which runs this process granted it."""

from __future__ import annotations

import sys

from ..kernels.cpus import usable_cpus


def granted_cpus() -> int:
    """How many threads to use: one per usable CPU, and in a task or actor of Ray no more than Ray granted.

    Engines grant through OMP_NUM_THREADS, which `usable_cpus` heeds. Ray sets it too, but not where it is set already.
    """
    granted = _granted_by_ray()
    return usable_cpus() if granted is None else max(1, min(usable_cpus(), int(granted)))


def _granted_by_ray() -> float | None:
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return None
    try:
        granted: float | None = ray.get_runtime_context().get_assigned_resources().get("CPU")
    except AssertionError:  # in a driver, to which Ray grants nothing
        return None
    return granted
