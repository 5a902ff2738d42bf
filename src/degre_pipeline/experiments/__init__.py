"""Served lists meet the users of the simulated shop: an A/B test, and days that follow one another."""
