"""Whether two runs of a notebook show the same: words exactly, numbers closely, pictures not at all.

Numbers are taken as they are printed. Whole numbers must be equal; others may differ by one in the last digit that both
have, which is what rounding of another processor or library can do to them. A cell with the tag `measured` shows
numbers that are of a machine, such as times: its words must be the same, its numbers may be any.
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import groupby
from typing import Any

MEASURED = "measured"

_NUMBER = re.compile(r"(?<![\w.])([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?!\w)")


def differences(stored: Any, fresh: Any) -> list[str]:
    """What a notebook shows otherwise than it did, one line for each output; the cells of both must be the same."""
    assert [cell.source for cell in stored.cells] == [cell.source for cell in fresh.cells]
    found = []
    for before, after in zip(stored.cells, fresh.cells, strict=True):
        if before.cell_type != "code":
            continue
        any_number = MEASURED in before.metadata.get("tags", [])
        shown, shows = outputs(before), outputs(after)
        if [kind for kind, _ in shown] != [kind for kind, _ in shows]:
            kinds = " and ".join(", ".join(kind for kind, _ in some) or "nothing" for some in (shown, shows))
            found.append(f"{before.id}: stored and shown now are {kinds}")
            continue
        for (kind, old), (_, new) in zip(shown, shows, strict=True):
            difference = text_difference(old, new, any_number=any_number)
            if difference:
                found.append(f"{before.id}, {kind}: {difference}")
    return found


def outputs(cell: Any) -> list[tuple[str, str]]:
    """What a cell shows: kind and text of each output. Of a picture only that there is one."""
    shown = []
    for output in cell.outputs:
        if output.output_type == "stream":
            shown.append((output.name, output.text))
        elif output.output_type == "error":
            shown.append(("error", f"{output.ename}: {output.evalue}"))
        elif any(kind.startswith("image/") for kind in output.data):
            shown.append(("picture", ""))
        else:
            shown += sorted((kind, "".join(text)) for kind, text in output.data.items())
    # A stream may come in any number of parts.
    return [(kind, "".join(text for _, text in parts)) for kind, parts in groupby(shown, lambda one: one[0])]


def text_difference(old: str, new: str, *, any_number: bool = False) -> str:
    """The first difference of two texts, or nothing; the width of white space does not count."""
    lines_before, lines_after = old.splitlines(), new.splitlines()
    if len(lines_before) != len(lines_after):
        return f"{len(lines_before)} lines stored, {len(lines_after)} shown now"
    for before, after in zip(lines_before, lines_after, strict=True):
        parts, others = (_NUMBER.split(" ".join(line.split())) for line in (before, after))
        # Words and numbers alternate.
        same = parts[::2] == others[::2] and (any_number or all(map(close, parts[1::2], others[1::2])))
        if not same:
            return f"stored {before.strip()!r}, shown now {after.strip()!r}"
    return ""


def close(one: str, other: str) -> bool:
    """Whether two printed numbers differ by at most one in the last digit that both have; whole numbers by nothing."""
    numbers = Decimal(one), Decimal(other)
    steps = [number.as_tuple().exponent for number in numbers]
    if max(steps) >= 0:
        return numbers[0] == numbers[1]
    return abs(numbers[0] - numbers[1]) <= Decimal(1).scaleb(max(steps))
