"""Embeddings as a step of scikit-learn's pipelines; needs the extra `lf-ref[sklearn]`.

>>> from sklearn.linear_model import LogisticRegression
>>> from sklearn.pipeline import make_pipeline
>>> from lf_ref.sklearn import SentenceVectorizer
>>> classify = make_pipeline(SentenceVectorizer(), LogisticRegression())
>>> texts = ["The ship sailed at dawn.", "The waves broke.", "She cut the roses.", "The roots take up water."]
>>> classify.fit(texts, ["sea", "sea", "garden", "garden"]).predict(texts).shape
(4,)
"""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ImportError as error:
    raise ImportError("lf_ref.sklearn needs scikit-learn: pip install 'lf-ref[sklearn]'") from error

from .embeddings.encoder import SentenceEncoder
from .reference.ops import Array


class SentenceVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Texts in, an array of their embeddings out. It learns nothing.

    As scikit-learn wants it, arguments are attributes of the same names, so that `clone` and a grid search set them;
    the checkpoint is loaded on first use, and again after one of them was set. A pickle has the arguments alone.

    Args:
        model: the name of a checkpoint, as for `SentenceEncoder.from_pretrained`, or a loaded `SentenceEncoder`.
        normalize: divide each vector by its Euclidean norm.
        prompt_name: the name of a prompt to put before each text.
        dtype: of the model; None for that of the checkpoint.
        num_threads: of the model; None for all.
    """

    def __init__(
        self,
        model: Any = None,
        *,
        normalize: bool = False,
        prompt_name: str | None = None,
        dtype: str | None = None,
        num_threads: int | None = None,
    ) -> None:
        self.model = model
        self.normalize = normalize
        self.prompt_name = prompt_name
        self.dtype = dtype
        self.num_threads = num_threads

    def fit(self, X: Any, y: Any = None) -> SentenceVectorizer:
        """Load the checkpoint; X, the texts, and y are not looked at.

        Raises:
            CheckpointError, ConfigError, InputError: as for `SentenceEncoder.from_pretrained`.
        """
        self._encoder()
        return self

    def transform(self, X: Any) -> Array:
        """The embeddings of texts: a list, a Series or an array of one dimension.  # -> float32 (texts, width)

        Raises:
            CheckpointError, ConfigError, InputError: as for `SentenceEncoder`.
        """
        return self._encoder().encode(X, normalize=self.normalize, prompt_name=self.prompt_name)

    def get_feature_names_out(self, input_features: Any = None) -> Array:
        """The names of the columns: "embedding0", "embedding1", ..."""
        return np.array([f"embedding{index}" for index in range(self._encoder().embedding_dimension)], dtype=object)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_loaded"}

    def _encoder(self) -> SentenceEncoder:
        if isinstance(self.model, SentenceEncoder):
            return self.model
        wanted = (self.model, self.dtype, self.num_threads)
        loaded = getattr(self, "_loaded", None)
        if loaded is None or loaded[0] != wanted:
            loaded = (
                wanted,
                SentenceEncoder.from_pretrained(self.model, dtype=self.dtype, num_threads=self.num_threads),
            )
            self._loaded = loaded
        encoder: SentenceEncoder = loaded[1]
        return encoder
