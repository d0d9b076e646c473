"""Release decisions: the policy, the decision on a result, and its output formats."""
