"""The automatic choice, measured: its model fitted, its regret, tuning, networks of layers."""
