"""Loops that pooling algorithms share."""
