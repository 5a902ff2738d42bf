"""Training: the loop, its state, what it learns from, several processes, and compilation."""
