"""Workers that fail as told: the variable FAULT is "KIND NUMBER FOLDER", and happens once, as FOLDER has a mark of it.

kill: the worker is killed in the middle of writing the part; kill-always: each time; driver: the driver is killed, and
the id of the worker noted in FOLDER; interrupt: as Ctrl-C on a terminal; full: there is room for half of the part.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

from lf_ref.jobs import worker
from lf_ref.jobs.engines import local, local_worker

PROGRAM = local._PROGRAM.replace("lf_ref.jobs.engines.local_worker", "jobs.faults")


def main(pipe):
    """As `local_worker.main`."""
    kind, number, folder = os.environ["FAULT"].split(" ", 2)
    worker.pq = Faulty(kind, f'"part": {number},', Path(folder))
    local_worker.main(pipe)


class Faulty:
    """Pyarrow's module, whose `write_table` fails."""

    def __init__(self, kind, part, folder):
        self.kind, self.part, self.folder = kind, part, folder

    def write_table(self, table, path):
        mark = self.folder / "happened"
        if self.part in table.schema.metadata[b"lf_ref"].decode() and (self.kind == "kill-always" or not mark.exists()):
            mark.write_text(f"{os.getpid()}")
            path.write_bytes(b"PAR1 half of a part")
            if self.kind == "full":
                resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
            else:
                fail(self.kind)
        plain.write_table(table, path)


plain = worker.pq


def fail(kind):
    """Kill somebody."""
    if kind.startswith("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    os.kill(os.getppid(), signal.SIGKILL if kind == "driver" else signal.SIGINT)
    time.sleep(60)
