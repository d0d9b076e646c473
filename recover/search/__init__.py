"""Which weights to restore: the objective, the ranking of gains, the methods, and the loop around them."""
