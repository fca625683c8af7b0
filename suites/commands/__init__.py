"""Commands of convbench: one file a command."""
