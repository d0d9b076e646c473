"""Answers: one chat format for all models of a run, batches, samples, and models that a server runs."""
