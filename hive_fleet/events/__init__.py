"""Events as they are read."""
