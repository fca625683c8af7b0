"""Ways to pool: one file an algorithm."""
