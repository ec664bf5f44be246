"""The reference implementation of Longformer in plain NumPy: any float dtype, written to be read, not to be fast."""
