"""What the commands do, as functions of a validated request."""
