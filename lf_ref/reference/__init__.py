"""The reference implementation of Longformer in plain NumPy: in any float dtype; clear code, not fast code."""
