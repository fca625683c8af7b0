"""Tables and sentences about a run: frame, summary, ratios, labels, terminal, export."""
