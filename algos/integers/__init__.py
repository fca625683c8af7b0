"""Convolution of small integers, exactly."""
