"""Measurements of what is said of large arrays and of clusters; each module is a program."""
