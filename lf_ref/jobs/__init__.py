"""Jobs: a task on many files, in parts that are pure functions of their rows, so that a job goes on after any end."""

from .running import Summary, run

__all__ = ["Summary", "run"]
