"""Compiled hot loops, one module each; every one has a plain NumPy twin in ``tests/kernels``."""
