"""Vector registers: load, store, FMA, transpose, windows."""
