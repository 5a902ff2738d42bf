"""How fast the science is, as ratios measured in one run: `python -m benchmarks`, or `make bench`."""
