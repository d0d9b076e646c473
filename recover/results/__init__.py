"""The schema of `result.json`, and the statistics in it."""
