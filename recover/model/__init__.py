"""A model in memory: loaded, edited by coordinates, and differentiated one block at a time."""
