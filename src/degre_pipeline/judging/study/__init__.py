"""The truth study: arms that differ in one thing each, judges of several kinds, and what all of them say."""
