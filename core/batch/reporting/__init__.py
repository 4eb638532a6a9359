"""What comes of a batch: results, statistics, reports, charts, failures, and formats of other tools."""
