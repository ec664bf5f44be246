"""The fast path: Numba kernels with the meaning of `lf_ref.reference`."""
