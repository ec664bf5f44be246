"""Arrays of other libraries, by what these offer NumPy."""

from __future__ import annotations

import numpy as np

VALUES = np.random.default_rng(3).standard_normal((5, 7)).astype(np.float32)


class Named:
    """A dtype as MLX and TensorFlow have it."""

    def __init__(self, text: str, name: str | None = None) -> None:
        self.text = text
        if name:
            self.name = name

    def __repr__(self) -> str:
        return self.text


class OnlyDlpack:
    """What CPU arrays without `__array__` offer: NumPy's own capsule."""

    dtype = Named("mlx.core.float32")

    def __init__(self, values):
        self.values = values

    def __dlpack__(self):
        return self.values.__dlpack__()
