"""Claims, one module per source or chapter; every module is found by its place."""
