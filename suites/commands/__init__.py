"""Commands of convbench: one file for each, and the parts that they share."""
