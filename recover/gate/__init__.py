"""A release decision: a policy, the decision that follows from a result, and its forms."""
