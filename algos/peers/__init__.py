"""Peers: other people's convolutions behind our contract, each in its best configuration.

Each is called as its own users call it: its operands are tensors of its library, made beforehand,
and its result is fetched afterwards (`peer`). They are verified like ours, and run only where asked
for by name. If a library does not offer a problem, `why_not` says so; nothing is emulated by
computing more and throwing it away. A library is imported when a peer of it is first used, never
before, so `import algos` and listing the names cost nothing.
"""
