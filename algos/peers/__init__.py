"""Peers: other people's convolutions behind our contract, each in its best configuration.

They are verified and timed exactly like ours, and run only where asked for by name. What a
library offers it does itself; what it does not offer, `why_not` says, and nothing is emulated
by computing more and throwing it away. A library is imported when a peer of it is first used,
never before, so `import algos` and listing the names cost nothing.
"""
