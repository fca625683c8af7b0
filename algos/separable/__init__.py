"""Kernels that are outer products: one 1-D pass per axis."""
