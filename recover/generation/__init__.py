"""Generating answers: the chat format of a run, batches, sampling, and models that a server runs."""
