"""Asking models and judges, keeping what they say in files, and counting it."""
