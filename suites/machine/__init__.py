"""The machine: clock, environment, limits, noise, counters, memory, cores."""
