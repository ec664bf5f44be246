"""Compare arrays so that a failure says where and by how much; type, shape and dtype come before the values."""

from __future__ import annotations

from typing import Any

import numpy as np


def assert_close(got: Any, expected: Any, tolerance: float, name: str) -> None:
    """Fail unless `got` has the shape and kind of `expected` and differs by at most `tolerance` x its largest value.

    NaN equals NaN and an infinity equals itself. Tuples and lists are compared item by item, None equals only None.
    """
    if expected is None or got is None:
        assert got is expected, f"{name}: got {_kind(got)}, expected {_kind(expected)}"
        return
    if isinstance(expected, tuple | list):
        assert isinstance(got, tuple | list), f"{name}: got {_kind(got)}, expected {len(expected)} items"
        assert len(got) == len(expected), f"{name}: got {len(got)} items, expected {len(expected)}"
        for index, (one, other) in enumerate(zip(got, expected, strict=True)):
            assert_close(one, other, tolerance, f"{name}[{index}]")
        return
    assert isinstance(got, np.ndarray | np.generic), f"{name}: got {_kind(got)}, expected a NumPy array"
    expected = np.asarray(expected)
    assert got.shape == expected.shape, f"{name}: got shape {got.shape}, expected {expected.shape}"
    assert got.dtype.kind == expected.dtype.kind, f"{name}: got {got.dtype}, expected {expected.dtype}"
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    finite = np.isfinite(expected)
    scale = float(np.abs(expected[finite]).max(initial=0.0))
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0.0, np.abs(got - expected))
    off[~np.isfinite(off)] = np.inf
    if off.size and not off.max() <= tolerance * scale:
        worst = np.unravel_index(int(off.argmax()), off.shape)
        where = tuple(int(index) for index in worst)
        raise AssertionError(
            f"{name}{list(where)}: got {float(got[where])!r}, expected {float(expected[where])!r}: "
            f"off by {off[where]:.3g}, allowed {tolerance:g} x {scale:.3g}; "
            f"{int((off > tolerance * scale).sum())} of {off.size} differ"
        )


def assert_identical(got: Any, expected: Any, name: str) -> None:
    """Fail unless both have the same dtype, shape and bits."""
    if isinstance(expected, tuple | list):
        assert len(got) == len(expected), f"{name}: got {len(got)} items, expected {len(expected)}"
        for index, (one, other) in enumerate(zip(got, expected, strict=True)):
            assert_identical(one, other, f"{name}[{index}]")
        return
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.dtype == expected.dtype, f"{name}: got {got.dtype}, expected {expected.dtype}"
    assert got.shape == expected.shape, f"{name}: got shape {got.shape}, expected {expected.shape}"
    if got.tobytes() != expected.tobytes():
        assert_close(got, expected, 0.0, name)
        raise AssertionError(f"{name}: equal numbers with different bits (signed zeros or NaN payloads)")


def _kind(value: Any) -> str:
    return "None" if value is None else type(value).__name__
