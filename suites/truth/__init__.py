"""Oracles, judge, properties and canaries."""
