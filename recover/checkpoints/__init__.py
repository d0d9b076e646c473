"""Weights on disk: opened by their headers, paired, patched, and written all or nothing."""
