"""Batches of rows through a task: what engines for data, such as Ray Data, Spark and Dask, call in their workers."""

from .predictor import Predictor

__all__ = ["Predictor"]
