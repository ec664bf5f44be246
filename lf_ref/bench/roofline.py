"""A roofline plot: rates of the parts of the encoder over their arithmetic intensity, below the machine's ceilings."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..kernels.engine import Kernels
from ..kernels.rows.activations import activation_kernel
from ..kernels.threads import Threads
from .lanes import band_attention, matmul
from .size import Size
from .timing import Matmul, in_turns

_BYTES = 4  # of a float32
# Operations on each value: additions, multiplications and divisions as the kernels write them, one for each.
_NORM_OPERATIONS, _GELU_OPERATIONS = 10, 40
# Rows of 1024 values of the arrays that measure the memory bandwidth: larger than any cache.
_STREAM = 1 << 16


def drawing() -> Any:
    """matplotlib's figure, which draws to files without a screen.

    Raises:
        InputError: it is not installed.
    """
    try:
        return import_module("matplotlib.figure")
    except ImportError as error:
        raise InputError(f"the plot needs matplotlib: pip install 'lf-ref[notebooks]' ({error})") from error


def check_place(path: Path) -> None:
    """Check before the measurement that a file can be written.

    Raises:
        InputError: matplotlib is not installed, the folder does not exist, or the ending is unknown.
    """
    kinds = drawing().Figure().canvas.get_supported_filetypes()
    if not path.parent.is_dir():
        raise InputError(f"{path}: the plot cannot be written: there is no folder {path.parent}")
    if path.suffix and path.suffix[1:].lower() not in kinds:
        raise InputError(f"{path}: the plot cannot be written: the ending must be one of {', '.join(sorted(kinds))}")


def measure_parts(size: Size, num_threads: int, repeats: int) -> dict[str, Any]:
    """Rates of the parts of a layer for the long text, and the two ceilings; the results as JSON values.

    The bytes of a part are the least that it moves: each input and each output once.
    """
    hidden, inner = size.config.hidden_size, size.config.intermediate_size
    sgemm = Matmul(size.tokens, hidden, inner, num_threads)
    source, target = np.ones((_STREAM, 1024), np.float32), np.zeros((_STREAM, 1024), np.float32)
    threads, step = Threads(num_threads), -(-_STREAM // (4 * num_threads))

    def copy(start: int) -> None:
        target[start : start + step] = source[start : start + step]

    ranges = [(start,) for start in range(0, _STREAM, step)]
    parts = _parts(size, num_threads)
    runs = in_turns([sgemm, lambda: threads.run(copy, ranges), *(part for _, _, _, part in parts)], repeats)
    return {
        "sgemm_gflops": sgemm.flop / runs[0].median / 1e9,
        "bandwidth_gbytes": 2 * source.nbytes / runs[1].median / 1e9,
        "parts": [
            {
                "name": name,
                "gflops": flop / timed.median / 1e9,
                "flop_per_byte": flop / (_BYTES * values),
                "seconds": timed.median,
            }
            for (name, flop, values, _), timed in zip(parts, runs[2:], strict=True)
        ],
    }


def _parts(size: Size, num_threads: int) -> list[tuple[str, int, int, Callable[[], Any]]]:
    """For each part: name, floating-point operations, least number of values to move, and a function that runs it."""
    kernels, rng = Kernels(Threads(num_threads), "float32"), np.random.default_rng(0)
    tokens, hidden, inner = size.tokens, size.config.hidden_size, size.config.intermediate_size
    x, query, key = rng.standard_normal((3, tokens, hidden), np.float32)
    wide = rng.standard_normal((tokens, inner), np.float32)
    lanes = kernels.enter(x)
    intermediate = kernels.enter(wide + np.float32(100.0))  # large values stay themselves: it works in place
    one, zero = np.ones(hidden, np.float32), np.zeros(hidden, np.float32)
    blocks, gelu = kernels.blocks(len(lanes), hidden), activation_kernel("gelu", kernels.dtype)
    reach = min(size.window // 2, tokens - 1)
    pairs = tokens * (2 * reach + 1) - reach * (reach + 1)

    def linear(outputs: int, inputs: int) -> tuple[str, int, int, Callable[[], Any]]:
        weight = rng.standard_normal((outputs, inputs), np.float32)
        multiply = matmul(x if inputs == hidden else wide, weight, "float32", num_threads)
        flop = 2 * tokens * inputs * outputs
        return f"linear {inputs} to {outputs}", flop, tokens * (inputs + outputs) + inputs * outputs, multiply

    return [
        linear(hidden, hidden),
        linear(inner, hidden),
        linear(hidden, inner),
        (
            f"band attention, window {size.window}",
            4 * hidden * pairs,
            4 * tokens * hidden,
            band_attention(query, key, x, size.heads, size.window, num_threads),
        ),
        (
            "norm",
            _NORM_OPERATIONS * tokens * hidden,
            2 * tokens * hidden,
            lambda: kernels.run(lambda first, last: kernels.normalise(lanes[first:last], one, zero, 1e-5), blocks),
        ),
        (
            "gelu",
            _GELU_OPERATIONS * tokens * inner,
            2 * tokens * inner,
            lambda: kernels.run(lambda first, last: gelu(intermediate[first:last].reshape(-1)), blocks),
        ),
    ]


def draw(measured: dict[str, Any], machine: dict[str, Any], path: Path) -> None:
    """Draw the parts below the two ceilings; the ending of the file sets the format."""
    figure = drawing().Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    peak, bandwidth = measured["sgemm_gflops"], measured["bandwidth_gbytes"]
    intensities = [part["flop_per_byte"] for part in measured["parts"]]
    reach = np.geomspace(min(intensities) / 2, max([*intensities, peak / bandwidth]) * 2, 200)
    axes.plot(reach, np.minimum(peak, bandwidth * reach), color="black", label="ceiling")
    axes.annotate(f"sgemm {peak:.0f} GFLOP/s", (reach[-1], peak), ha="right", va="bottom")
    axes.annotate(f"memory {bandwidth:.0f} GB/s", (reach[0], bandwidth * reach[0]), ha="left", va="bottom")
    for part in measured["parts"]:
        axes.plot(part["flop_per_byte"], part["gflops"], "o", label=part["name"])
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="arithmetic intensity (FLOP per byte moved at least)",
        ylabel="rate (GFLOP/s)",
        title=f"{machine['cpu']}, float32",
    )
    axes.grid(True, which="both", alpha=0.2)
    figure.legend(loc="outside right upper")
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the plot cannot be written: {error}") from error
