"""The errors of tensors as a plot, layer by layer."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from ...errors import InputError
from ..traces.tensor_names import split_layer


@dataclass(frozen=True)
class Point:
    """The error of one tensor: infinite where it cannot be computed, NaN where no expected error is known."""

    name: str
    error: float
    passed: bool


def draw_errors(points: Sequence[Point], path: str | os.PathLike[str], title: str, error_label: str) -> None:
    """Draw one point per tensor, in order, into the file `path`. Tensors with an infinite error stand at the top.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        figures = import_module("matplotlib.figure")
    except ImportError as error:
        raise InputError(f"the plot needs matplotlib: pip install 'lf-ref[notebooks]' ({error})") from error
    finite = [point.error for point in points if math.isfinite(point.error) and point.error > 0]
    low, high = min(finite, default=1e-3) / 2, max(finite, default=1.0) * 2
    heights = [low if math.isnan(point.error) else min(max(point.error, low), high) for point in points]
    figure = figures.Figure(figsize=(max(8, 0.16 * len(points)), 6), layout="constrained")
    axes = figure.subplots()
    # The markers differ in shape and in colour (Okabe and Ito): for print, and for colour-blind readers.
    for passed, marker, colour, label in ((True, "o", "#0072B2", "passes"), (False, "X", "#D55E00", "diverges")):
        indices = [index for index, point in enumerate(points) if point.passed == passed]
        axes.plot(indices, [heights[index] for index in indices], marker, color=colour, label=label, markersize=4)
    layers = [split_layer(point.name)[0] for point in points]
    for index, layer in enumerate(layers):
        if index and layer != layers[index - 1]:
            axes.axvline(index - 0.5, color="lightgrey", zorder=0)
        if layer is not None and (not index or layer != layers[index - 1]):
            axes.text(index, high, f" layer {layer}", va="top", fontsize=8)
    axes.set_xticks(range(len(points)), [_label(point.name) for point in points], rotation=90, fontsize=6)
    axes.set(yscale="log", ylim=(low / 1.5, high * 1.5), xlim=(-1, len(points)))
    axes.set_ylabel(error_label)
    axes.set_title(title, fontsize=9)
    axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the plot cannot be written: {error}") from error


def _label(name: str) -> str:
    layer, within_layer = split_layer(name)
    return name if layer is None else within_layer or "the layer"
