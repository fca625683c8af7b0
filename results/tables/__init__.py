"""Tables and sentences: frame, summary, ratios, labels, terminal, export."""
