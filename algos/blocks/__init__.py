"""Convolution of arrays that do not fit in memory: block by block, from store to store.

>>> import numpy as np, algos
>>> out = np.zeros(6)
>>> algos.blocks.convolve(np.arange(6.0), np.ones(3), out, boundary="nearest").blocks
1
>>> out
array([ 1.,  3.,  6.,  9., 12., 14.])
"""

from .api import convolve, correlate, layout

__all__ = ["convolve", "correlate", "layout"]
