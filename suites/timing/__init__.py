"""What is timed when: schedule, rounds, cells, resuming, progress."""
