"""The compiled kernels of this process, and a line on standard error while the first ones are being compiled."""

from __future__ import annotations

import sys
import threading
from functools import cache
from importlib import import_module
from typing import Any

_PATIENCE = 2.0  # seconds of compiling after which it is announced
_KERNELS = "lf_ref.kernels."
WAIT = "lf_ref:wait"  # the event of waiting for another process that compiles, with the data of "numba:compile"
MESSAGE = (
    "Compiling the kernels for this processor; later runs load them from a cache. "
    "`lf-ref warmup` compiles them ahead of time."
)


def cached_kernels() -> list[Any]:
    """Every kernel whose machine code can be cached on disk, compiled or not."""
    jit = sys.modules.get(_KERNELS + "jit")
    return [] if jit is None else jit.KERNELS


@cache
def announce_compilation() -> None:
    """Have a line written to standard error, once, when kernels are being compiled for long and none was cached."""
    event: Any = import_module("numba.core.event")

    class Announcer(event.Listener):  # type: ignore[misc]  # Numba has no types
        running = 0
        state = "idle"  # then "waiting" for the timer, "due" if nothing was compiling when it ended, and "done"

        def on_start(self, started: Any) -> None:
            if not started.data["dispatcher"].py_func.__module__.startswith(_KERNELS):
                return
            self.running += 1
            if self.state == "idle":
                self.state = "waiting"
                timer = threading.Timer(_PATIENCE, self.announce)
                timer.daemon = True
                timer.start()
            elif self.state == "due":
                self.announce()

        def on_end(self, ended: Any) -> None:
            if ended.data["dispatcher"].py_func.__module__.startswith(_KERNELS):
                self.running -= 1

        def announce(self) -> None:
            if not self.running:
                self.state = "due"
                return
            self.state = "done"
            kernels = cached_kernels()
            if sys.stderr is not None and kernels and not any(kernel.stats.cache_hits for kernel in kernels):
                print(MESSAGE, file=sys.stderr, flush=True)

    announcer = Announcer()
    for kind in ("numba:compile", WAIT):
        event.register(kind, announcer)
