"""Convolution as a product of spectra, tile by tile."""
