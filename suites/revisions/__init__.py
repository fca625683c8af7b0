"""Two revisions of this repository, timed in turns in one session."""
