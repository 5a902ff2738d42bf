"""The evaluation report: one HTML page and, for the terminal, one table."""
