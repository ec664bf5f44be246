"""Arguments that the command line and pytest share: precisions and tolerances. Imports nothing."""

from __future__ import annotations

PRECISIONS = ["float64", "float32", "bfloat16", "float16"]
TOLERANCE = "calibrated|fixed|NUMBER"


def tolerance(text: str) -> str | float:
    """Parse a tolerance: "calibrated", "fixed", or a number of at least 0.

    Raises:
        ValueError: the text is none of these.
    """
    if text in ("calibrated", "fixed"):
        return text
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"must be calibrated, fixed or a number of at least 0, got {text!r}")
    return number
