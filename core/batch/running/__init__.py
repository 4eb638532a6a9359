"""Creates and runs batches: arms, jobs, resumption, grading again."""
