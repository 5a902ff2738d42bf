"""Request-log tables to lists, with a ranking score for every candidate, and to tensors."""
