"""Progress on standard error: a bar on a terminal or in a notebook, elsewhere a line a minute."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from tqdm import tqdm

# Seconds of work after which a bar appears, and between lines.
_PATIENCE, _BETWEEN_LINES = 2.0, 60.0
_LINE = "{desc}: {n_fmt}{unit} done, {elapsed} so far"
_LINE_OF_ALL = "{desc}: {n_fmt} of {total_fmt}{unit} done, {remaining} left"


class _Lines(tqdm):  # type: ignore[type-arg]  # generic for type checkers alone
    """Progress as lines of a log."""

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write the state as a line; msg: "" where a bar would be wiped away; pos: of a bar among others."""
        if msg is None:
            self.fp.write(f"{self}\n")
            self.fp.flush()

    def clear(self, nolock: bool = False) -> None:
        """Wipe nothing away: lines stay. nolock: as for bars."""


def progress(what: str, total: int | None, unit: str, *, quiet: bool = False) -> tqdm[Any]:
    """Progress of some work, as a context; its `update` counts the completed units.

    what: the work. total: the number of units, None if unknown. unit: the name of a unit, such as "tokens". quiet: show
    nothing.
    """
    settings: dict[str, Any] = {"desc": what, "total": total, "unit": f" {unit}", "leave": False}
    settings["unit_scale"] = unit == "tokens"  # there are many
    if quiet or sys.stderr is None:
        return tqdm(**settings, disable=True)
    if in_notebook():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # without ipywidgets it is a bar of letters
            from tqdm.auto import tqdm as notebook_bar

        return notebook_bar(**settings, delay=_PATIENCE)
    if sys.stderr.isatty():
        return tqdm(**settings, delay=_PATIENCE)
    layout = _LINE if total is None else _LINE_OF_ALL
    return _Lines(**settings, delay=_BETWEEN_LINES, mininterval=_BETWEEN_LINES, miniters=1, bar_format=layout)


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})
