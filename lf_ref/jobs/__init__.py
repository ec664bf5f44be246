"""Jobs: a task on many files, in parts that are pure functions of their rows, so that a job goes on after any end.

The ideas are those of MapReduce (Dean, Ghemawat 2004): a part is written under another name and renamed.
"""

from .running import Summary, run

__all__ = ["Summary", "run"]
