"""Whether a newly trained model may take the place of the served one: rules on figures, nothing else."""
