"""A fleet of machines measures a suite: one problem at a time on each, through Dask."""
