"""A report as a plot: the error of each place, layer by layer."""

from __future__ import annotations

import math
import os
from importlib import import_module
from typing import TYPE_CHECKING

from ..errors import InputError
from .names import split

if TYPE_CHECKING:
    from .report import Report


def draw(report: Report, path: str | os.PathLike[str]) -> None:
    """Draw one point for each tensor: its error over the expected one, or its largest error where that is not known.

    A tensor that cannot be measured, of another shape say, stands at the top.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        figures = import_module("matplotlib.figure")
    except ImportError as error:
        raise InputError(f"the plot needs matplotlib: pip install 'lf-ref[notebooks]' ({error})") from error
    tensors = [tensor for tensor in report.tensors.values() if tensor.count or not tensor.passed]
    measured = any(not math.isnan(tensor.units) for tensor in tensors)
    heights = [(tensor.units if measured else tensor.max_abs) if tensor.count else math.inf for tensor in tensors]
    finite = [height for height in heights if math.isfinite(height) and height > 0]
    low, high = min(finite, default=1e-3) / 2, max(finite, default=1.0) * 2
    shown = [min(max(height, low), high) if not math.isnan(height) else low for height in heights]
    figure = figures.Figure(figsize=(max(8, 0.16 * len(tensors)), 6), layout="constrained")
    axes = figure.subplots()
    # Told apart by shape too, in colours of Okabe and Ito: for print, and for the colour-blind.
    for passed, marker, colour, title in ((True, "o", "#0072B2", "passes"), (False, "X", "#D55E00", "diverges")):
        places = [place for place, tensor in enumerate(tensors) if tensor.passed == passed]
        axes.plot(places, [shown[place] for place in places], marker, color=colour, label=title, markersize=4)
    layers = [split(tensor.name)[0] for tensor in tensors]
    for place, layer in enumerate(layers):
        if place and layer != layers[place - 1]:
            axes.axvline(place - 0.5, color="lightgrey", zorder=0)
        if layer is not None and (not place or layer != layers[place - 1]):
            axes.text(place, high, f" layer {layer}", va="top", fontsize=8)
    axes.set_xticks(range(len(tensors)), [_label(tensor.name) for tensor in tensors], rotation=90, fontsize=6)
    axes.set(yscale="log", ylim=(low / 1.5, high * 1.5), xlim=(-1, len(tensors)))
    axes.set_ylabel(f"error / expected error of {report.precision}" if measured else "largest absolute error")
    first = report.first_divergence
    axes.set_title("passed" if first is None else f"diverges first at {first.name}", fontsize=9)
    axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the plot cannot be written: {error}") from error


def _label(name: str) -> str:
    layer, within = split(name)
    return name if layer is None else within or "the layer"
