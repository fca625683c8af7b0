"""Measurements of single features, printed as tables: `python -m suites.measures.NAME`."""
