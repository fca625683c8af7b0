"""Timing: schedule, rounds, cells, resumed runs, progress."""
