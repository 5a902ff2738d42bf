"""Public formats and your own logs, turned into the same request-log tables."""
