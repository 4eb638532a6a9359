"""Reports on a batch: results, statistics, charts, failures, and exports for other tools."""
