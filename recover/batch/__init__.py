"""Many fine-tunes of one aligned model: the manifest, the workers, the overview."""
