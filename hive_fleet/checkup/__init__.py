"""A check-up: what is in order of this machine and of this hive, what is not, and what to do about it."""
