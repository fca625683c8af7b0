"""Convolution of plain arrays in SciPy's terms: `convolve` and `correlate`."""

from .api import convolve as convolve
from .api import correlate as correlate
