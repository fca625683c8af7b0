"""One problem made of others: gradients, parts of a layer, biases, matrix products."""

from .performer import performer as performer
