"""Report page: one HTML file that holds the data of a run and needs no network."""
