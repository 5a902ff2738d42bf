"""A click world whose best list is known: the simulated shop, its click truth and the exact optimum."""
