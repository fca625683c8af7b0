"""Problem, its text and sizes; the contract of algorithms; errors."""
