"""Tasks on threads: what holds whichever thread a task is run by."""

from __future__ import annotations

import threading
import time

import pytest

from lf_ref.kernels.threads import Threads


def test_all_tasks_are_over_when_one_has_failed():
    """What they write to is then free for something else."""
    together, done = threading.Barrier(3), []

    def task(number: int) -> None:
        together.wait()  # each of the three on a thread of its own
        if number == 0:
            raise ValueError("the first")
        time.sleep(0.2)
        done.append(number)

    with pytest.raises(ValueError, match="the first"):
        Threads(3).run(task, [(number,) for number in range(3)])
    assert sorted(done) == [1, 2]
