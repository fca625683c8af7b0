"""PoolProblem, its text, its windows; the contract of pooling algorithms."""
