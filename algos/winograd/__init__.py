"""Minimal filtering of 3 × 3 kernels, F(2 × 2) and F(4 × 4)."""
