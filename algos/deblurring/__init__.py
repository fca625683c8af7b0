"""Richardson–Lucy deconvolution: a pipeline of convolutions, as one problem."""
