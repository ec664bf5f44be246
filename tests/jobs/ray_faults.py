"""A driver whose actors of Ray fail as told: a file `fault` beside the output says KIND NUMBER, as for `jobs.faults`.

wait: the actor notes its process in `marks/happened` and waits, for the test to kill somebody.

    python -m jobs.ray_faults INPUTS MODEL OUTPUT OPTIONS
"""

from __future__ import annotations

import sys
import time
from ast import literal_eval
from pathlib import Path

from jobs import building, faults

from lf_ref.jobs import worker
from lf_ref.jobs.engines import ray


class FaultyActor(ray._Actor):
    """An actor with the fault that the file names."""

    def call(self, setting, num_threads, number):
        told = Path(setting.output).parent / "fault"
        if told.exists():
            kind, part = told.read_text().split()
            worker.pq = faults.Faulty(kind, f'"part": {part},', told.parent / "marks")
        return super().call(setting, num_threads, number)


plain_fail = faults.fail


def fail(kind):
    """As `faults.fail`."""
    if kind == "wait":
        time.sleep(600)
    plain_fail(kind)


faults.fail = fail

if __name__ == "__main__":
    from jobs.ray_faults import FaultyActor as Actor  # not that of __main__, which no actor can import

    ray._Actor = Actor
    inputs, model, output, options = sys.argv[1:]
    print(building.job(Path(inputs), model, output, engine="ray", **literal_eval(options)))
