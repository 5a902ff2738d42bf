"""Where a search goes wrong: which lists are overrated, how far from the log, what distillation loses."""
