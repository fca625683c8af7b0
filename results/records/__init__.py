"""Records of a run: finding runs, reading and writing them, checking their fields."""
