"""Verifying many algorithms on many cases: driver, shrinking, progress."""
