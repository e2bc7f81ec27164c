"""What runs agents: one small interface and its backends."""
