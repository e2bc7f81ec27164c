"""What needs the operator: one list, kept as it changes."""
