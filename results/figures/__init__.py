"""Figures of a run, all in one look."""
