"""Networks from files and modules: every convolution and pooling layer becomes a problem."""
