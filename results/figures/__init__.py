"""Figures of a run, all drawn in one style."""
