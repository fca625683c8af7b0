"""Direct convolution in vector registers, cache blocks and threads: one file a kernel."""
