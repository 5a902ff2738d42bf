"""What pages of tests say of the run that made them."""

from degre_pipeline.run_facts import RunFacts

RUN = RunFacts("kedro run --pipeline=evaluation", "2026-01-31 12:00", "simulated", "c0ffee" * 6, changed=True)
