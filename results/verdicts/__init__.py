"""Intervals and verdicts from passes, and the audit of the verdicts."""
