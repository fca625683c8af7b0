"""Compiling, linking, emitting and threads: the one room that names the private parts of Numba."""
