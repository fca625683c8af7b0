"""Records of a run: where runs are, reading, writing whole files."""
