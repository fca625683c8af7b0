"""Problems and data: suites, batch files, fills, filters, pictures."""
