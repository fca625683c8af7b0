"""Published claims about convolution, each checked on this machine.

Every claim is one function in `sources`, with its source in the docstring. `claim` holds the
contract, `checking` runs claims, `page` and `terminal` show them.
"""
