"""Creates and runs batches: arms, jobs, resumption, regrading."""
