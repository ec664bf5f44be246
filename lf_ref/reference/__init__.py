"""The definition of Longformer in plain NumPy: slow on purpose, any float dtype, readable from top to bottom."""
