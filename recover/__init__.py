"""Restore the alignment of a fine-tuned language model."""
